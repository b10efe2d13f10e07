//! Drain: closes the gate, and waits until no call is inside.
//!
//! Takes a [`Loaded`](super::load::Loaded) candidate. Gives it [`Drained`], with the closed gate. Fails when calls are
//! still inside at the deadline, and names them. Callers who arrive wait outside, each no longer than one try takes.
//! Dropping the ticket opens the gate on the incumbent.

use crate::{
    config::{OnDrainDeadline, PluginConfig},
    deadline,
    gate::{Closed, Leaving},
    generation::Generation,
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

/// Drains the slot for whoever holds the ticket: a candidate, or what is to be unloaded. Nothing keeps trying in a host
/// that is shutting down.
pub(crate) fn drain<'a, Ticket>(
    ticket: Ticket,
    slot: &'a Slot,
    only_one: &'a Mutex<()>,
    config: &PluginConfig,
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
            Some(guard) => match slot.gate.close(deadline, config.close_patience) {
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
