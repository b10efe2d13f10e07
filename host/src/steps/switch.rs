//! Switch: lets the callers in to the successor.
//!
//! Takes a [`HandedOver`] slot, or in overlap mode a [`Loaded`] candidate. Gives a [`Switched`] slot: there is no way back
//! but another journey. Fails before that where data was published meanwhile that the candidate cannot use. Callers who waited enter the successor.

use super::{
    hand_over::HandedOver,
    load::{Loaded, Ready},
};
use crate::{
    announce::now_millis, gate::Leaving, generation::Generation, journal::SavedState, slot::Slot,
};
use anyhow::Result;
use std::sync::{Arc, atomic::Ordering};

/// A slot whose successor serves.
pub(crate) struct Switched {
    /// The generation that serves.
    pub(crate) successor: Arc<Generation>,
    /// The generation that served.
    pub(crate) retired: Option<Leaving<Generation>>,
    /// The state as it was handed over.
    pub(crate) state: Option<SavedState>,
    /// What an operator should know.
    pub(crate) remarks: Vec<String>,
}

/// Opens the closed gate on the candidate.
pub(crate) fn switch(handed_over: HandedOver<'_>) -> Result<Switched> {
    let HandedOver { drained, state } = handed_over;
    let Ready {
        generation: successor,
        remarks,
        proposal: _until_it_serves,
    } = ready(drained.ticket)?;
    if state.as_ref().is_some_and(|state| state.tainted) {
        successor.taint();
    }
    let since = drained.closed.since();
    let retired = drained.closed.open_on(Some(Arc::clone(&successor)));
    let micros = since.elapsed().as_micros() as u64;
    tracing::debug!(micros, "new callers were held outside");
    leaves(retired.as_ref());
    successor.life.desk.open();
    Ok(Switched {
        successor,
        retired,
        state,
        remarks,
    })
}

/// Puts the candidate behind the open gate.
pub(crate) fn replace(loaded: Loaded, slot: &Slot) -> Result<Switched> {
    let Ready {
        generation: successor,
        remarks,
        proposal: _until_it_serves,
    } = ready(loaded)?;
    let retired = slot.gate.replace(Some(Arc::clone(&successor)));
    leaves(retired.as_ref());
    successor.life.desk.open();
    Ok(Switched {
        successor,
        retired,
        state: None,
        remarks,
    })
}

/// What is on its way out is not asked any more what data may be published.
fn leaves(retired: Option<&Leaving<Generation>>) {
    let reader = retired.and_then(|retired| retired.tenant().life.desk.reader());
    if let Some(reader) = reader {
        reader.leave();
    }
}

fn ready(loaded: Loaded) -> Result<Ready> {
    let ready = loaded.into_generation()?;
    ready
        .generation
        .since
        .store(now_millis(), Ordering::Relaxed);
    Ok(ready)
}
