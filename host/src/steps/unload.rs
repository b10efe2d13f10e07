//! Unload: takes a retired generation out of memory, and looks whether it is gone.
//!
//! Takes the retired generation of a [`Switched`](super::switch::Switched) slot. Gives its `Departure`. Cannot fail:
//! what cannot be unmapped yet lingers, with the cause, and is tried again. Callers notice nothing.

use crate::{
    gate::Leaving,
    generation::Generation,
    report::Departure,
    sweeper::{Retired, Sweeper},
};
use std::time::Duration;

/// How long a swap itself tries before it leaves the rest to the sweeper.
const PATIENCE: Duration = Duration::from_millis(300);

/// Retires a generation that no caller can find any more.
pub(crate) fn unload(retired: Leaving<Generation>, sweeper: &Sweeper) -> Departure {
    sweeper.depart(Retired::generation(retired), PATIENCE)
}
