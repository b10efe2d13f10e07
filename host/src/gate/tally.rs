//! A tally: the numbers of the calls into one tenant.
//!
//! Threads count for themselves, on their pins: a shared counter would be most of the cost of a call on two threads. The
//! tally knows the pins that count for it. A pin whose thread comes to the next tenant, or to its end, settles: the
//! tally keeps what it has counted. What cannot be counted on a pin is counted here at once.
//!
//! Who may touch what: a pin's counts are written by its thread; they are read, and settled, under the tally's lock.

use super::{
    latency::{Latency, OwnLatency},
    pin::Pin,
    sync::{AtomicU64, Mutex, Ordering},
};
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
    /// How long they took, from the question to the answer. Of calls far below a microsecond only some are timed.
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

/// What a thread counts for the tenant that it called last.
pub(super) struct Counts {
    /// The leases that had ended when the pin began to count for that tenant.
    before: AtomicU64,
    errors: AtomicU64,
    panics: AtomicU64,
    latency: OwnLatency,
}

impl Counts {
    pub(super) fn new() -> Self {
        Counts {
            before: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            latency: OwnLatency::new(),
        }
    }

    pub(super) fn took(&self, took: Duration, calls: u64) {
        self.latency.count_in(took, calls);
    }

    pub(super) fn fail(&self, failure: Failure) {
        let add = |count: &AtomicU64| {
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        };
        add(&self.errors);
        if failure == Failure::Panic {
            add(&self.panics);
        }
    }

    pub(super) fn add_to(&self, sum: &mut Numbers, ended: u64) {
        sum.calls += ended - self.before.load(Ordering::Relaxed);
        sum.errors += self.errors.load(Ordering::Relaxed);
        sum.panics += self.panics.load(Ordering::Relaxed);
        self.latency.add_to(&mut sum.latency);
    }

    pub(super) fn clear(&self, ended: u64) {
        self.before.store(ended, Ordering::Relaxed);
        self.errors.store(0, Ordering::Relaxed);
        self.panics.store(0, Ordering::Relaxed);
        self.latency.clear();
    }
}
