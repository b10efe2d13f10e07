//! Waiting: for a condition or an event, and never longer than the limit.

use crossbeam_channel::Receiver;
use host::event::{Event, Happening};
use std::time::{Duration, Instant};

/// How long anything may take before its test fails. Far longer than it should take on the slowest machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `condition` gives something. `what` is what the test waits for, in words.
///
/// # Panics
/// When the limit has passed.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begin.elapsed() < LIMIT, "waited in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits for the event that `fits`.
///
/// # Panics
/// When the limit has passed, with the events that came instead.
pub fn event(events: &Receiver<Event>, what: &str, fits: impl Fn(&Happening) -> bool) -> Event {
    let end = Instant::now() + LIMIT;
    let mut others = Vec::new();
    loop {
        match events.recv_deadline(end) {
            Ok(event) if fits(&event.what) => return event,
            Ok(event) => others.push(event.what),
            Err(error) => panic!("waited in vain ({error}) for {what}; there were {others:#?}"),
        }
    }
}
