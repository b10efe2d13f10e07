//! Drain: closes the gate, and waits until no call is inside.
//!
//! Takes a [`Loaded`](super::load::Loaded) candidate. Gives it [`Drained`], with the closed gate. Fails when calls are
//! still inside at the deadline, and names them; where a plugin goes out of service, those that are only pending are
//! cancelled then. Callers who arrive wait outside, each no longer than one try takes.
//! Dropping the ticket opens the gate on the incumbent.

use crate::{
    config::{OnDrainDeadline, PluginConfig},
    deadline,
    gate::{Closed, Inside, Leaving},
    generation::Generation,
    pending,
    slot::{self, Slot},
};
use anyhow::{Result, anyhow};
use parking_lot::{Mutex, MutexGuard};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// A slot that is closed, with nobody inside.
pub(crate) struct Drained<'a, Ticket> {
    /// What the step before gave.
    pub(crate) ticket: Ticket,
    /// The closed gate.
    pub(crate) closed: Closed<'a, Generation>,
    /// At most one gate of a host is closed at a time: two could hold up two threads that call across.
    pub(crate) only_one: MutexGuard<'a, ()>,
}

/// How long cancelled calls may take to leave.
const LEAVE: Duration = Duration::from_secs(1);

/// What becomes of calls that are pending at the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtDeadline {
    /// They go on, and the drain has failed.
    LetThemBe,
    /// They are cancelled.
    CancelThem,
}

/// Drains the slot for whoever holds the ticket: a candidate, or what is to be unloaded. Nothing keeps trying in a host
/// that is shutting down.
pub(crate) fn drain<'a, Ticket>(
    ticket: Ticket,
    slot: &'a Slot,
    only_one: &'a Mutex<()>,
    config: &PluginConfig,
    at_deadline: AtDeadline,
    shutting_down: &AtomicBool,
) -> Result<Drained<'a, Ticket>> {
    loop {
        let deadline = deadline::after(config.drain_deadline);
        let may_try_again = || {
            config.on_drain_deadline == OnDrainDeadline::KeepTrying
                && !shutting_down.load(Ordering::Acquire)
        };
        let inside = match only_one.try_lock_until(deadline) {
            None if may_try_again() => continue,
            None => {
                return Err(anyhow!(
                    "another plugin's gate was closed for all of {}",
                    humantime::format_duration(config.drain_deadline)
                ));
            }
            Some(guard) => match close(slot, deadline, config.close_patience, at_deadline) {
                Ok(closed) => {
                    return Ok(Drained {
                        ticket,
                        closed,
                        only_one: guard,
                    });
                }
                Err(inside) => inside,
            },
        };
        let blockers = slot::describe(&inside, slot.gate.tenant().as_deref());
        let words = slot::in_words(&blockers);
        if !may_try_again() {
            return Err(anyhow!(
                "these calls were still inside when the drain deadline had passed: {words}"
            ));
        }
        tracing::warn!(plugin = &*slot.name, "still draining, inside are: {words}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn close(
    slot: &Slot,
    deadline: Instant,
    patience: Duration,
    at_deadline: AtDeadline,
) -> Result<Closed<'_, Generation>, Vec<Inside>> {
    // Between the tries too, so that none follows those that are cancelled.
    let _held_back = slot.gate.hold_back();
    let closed = slot.gate.close(deadline, patience);
    let Some(generation) = slot.gate.tenant() else {
        return closed;
    };
    if closed.is_ok() || at_deadline == AtDeadline::LetThemBe || generation.pending.is_empty() {
        return closed;
    }
    pending::cancel_all(generation, LEAVE);
    slot.gate.close(Instant::now() + LEAVE, patience)
}

/// In overlap mode: waits until no call is inside the replaced generation, or until the deadline has passed. What is
/// inside then makes the generation linger.
pub(crate) fn wait_out(retired: &mut Leaving<Generation>, deadline: Duration) {
    let until = deadline::after(deadline);
    let mut pause = Duration::from_micros(100);
    while !retired.inside().is_empty() && Instant::now() < until {
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}
