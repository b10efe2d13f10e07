//! A tally: the numbers of the calls into one tenant.
//!
//! Threads count for themselves, on their pins: a shared counter would be most of the cost of a call on two threads. The
//! tally knows the pins that count for it. A pin whose thread comes to the next tenant, or to its end, settles: the
//! tally keeps what it has counted. What cannot be counted on a pin is counted here at once.
//!
//! Who may touch what: what a pin counts stands in its book, which has a lock of its own, taken inside of the tally's.

use super::{latency::Latency, pin::Pin, sync::Mutex};
use std::{sync::Arc, time::Duration};

/// The numbers of the calls into one tenant.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    settled: Numbers,
    counting: Vec<Arc<Pin>>,
    pending: u64,
}

/// The numbers of some calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Calls that have ended.
    pub(crate) calls: u64,
    /// Those of them that ended in an error: refused by the author's `Err`, or faulty.
    pub(crate) errors: u64,
    /// Those of the errors that were panics.
    pub(crate) panics: u64,
    /// Calls inside now: pending ones, and one for each thread that is inside.
    pub(crate) in_flight: u64,
    /// How long they took. Of short calls only some are timed, and stand for the others.
    pub(crate) latency: Latency,
}

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// By an error.
    Error,
    /// By a panic, which is an error too.
    Panic,
}

impl Failure {
    /// By a panic, or by another error.
    pub(crate) fn new(panicked: bool) -> Self {
        if panicked {
            Failure::Panic
        } else {
            Failure::Error
        }
    }
}

impl Numbers {
    fn fail(&mut self, failure: Failure) {
        self.errors += 1;
        self.panics += u64::from(failure == Failure::Panic);
    }
}

impl Tally {
    /// What was counted up to now.
    pub(crate) fn numbers(&self) -> Numbers {
        let counted = self.0.lock();
        let mut sum = counted.settled.clone();
        sum.in_flight = counted.pending;
        for pin in &counted.counting {
            pin.add_to(&mut sum);
            sum.in_flight += u64::from(pin.is_inside());
        }
        sum
    }

    /// Counts a call that has no pin of its own.
    pub(super) fn count(&self, took: Duration) {
        let settled = &mut self.0.lock().settled;
        settled.calls += 1;
        settled.latency.count_in(took, 1);
    }

    /// A call is pending from now on.
    pub(super) fn pends(&self) {
        self.0.lock().pending += 1;
    }

    /// Counts a call that was pending.
    pub(super) fn ended(&self, took: Option<Duration>) {
        self.0.lock().pending -= 1;
        if let Some(took) = took {
            self.count(took);
        }
    }

    /// Counts the failure of a call whose pin counts for another tenant.
    pub(super) fn fail(&self, failure: Failure) {
        self.0.lock().settled.fail(failure);
    }

    /// Lets this pin count for it.
    pub(super) fn begin(&self, pin: Arc<Pin>) {
        self.0.lock().counting.push(pin);
    }

    /// Takes over what this pin has counted for it, and the pin's counts begin anew.
    pub(super) fn settle(&self, pin: &Pin) {
        let counted = &mut *self.0.lock();
        pin.add_to(&mut counted.settled);
        pin.clear();
        counted
            .counting
            .retain(|counting| !std::ptr::eq(&**counting, pin));
    }
}
