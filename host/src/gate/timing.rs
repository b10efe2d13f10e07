//! Timing: which calls are timed, and what their times stand for.
//!
//! To take the time costs twenty short calls. To ask in every call whether it is its turn costs something too: a branch that
//! is taken once in a million calls slows all of them down. So a call does not ask. It finds what it calls through the *view*
//! of the tenant that its pin shows: mostly the plain one; the timed one where somebody has shown that, and what is found
//! there takes the time.
//!
//! To time its calls may take a hundredth of a thread's time. So all calls are timed where they are long, or seldom. Where
//! they are not, the pin goes back to the plain view when the hundredth is used up, until the next [tick](Gate::tick); then
//! as many in a row are timed as the time since then allows, some dozens at most.
//!
//! A time stands for its own call, and for those after it that were not timed: so there are as many times as calls.
//!
//! Who may touch what: a pin's book, and which view it shows, are written under the book's lock, by the pin's thread and by the
//! tick. That lock is the innermost of the gate's. A call loads the view without it.

use super::{
    Gate, GateId, Tenant,
    latency::Latency,
    pin::{self, Pin, since_epoch},
    sync::{AtomicPtr, Instant, Ordering},
    tally::{Failure, Numbers},
    unpin,
};
use std::{ptr, time::Duration};

/// Timing may take this part of the time.
const PART: u64 = 100;
/// Nanoseconds that it takes to time a call, roughly.
const COST: u64 = 100;
/// Nanoseconds of timing that a thread may save up: so many calls in a row are held up by it after a pause.
const MOST: u64 = 64 * COST;

/// The views of a tenant that a pin can show.
pub(super) struct Views {
    shown: AtomicPtr<()>,
    plain: AtomicPtr<()>,
    timed: AtomicPtr<()>,
}

impl Views {
    /// Those of no tenant.
    pub(super) fn new() -> Self {
        Views {
            shown: AtomicPtr::new(ptr::null_mut()),
            plain: AtomicPtr::new(ptr::null_mut()),
            timed: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The one that is shown: one of the tenant that the pin counts for.
    #[inline(always)]
    pub(super) fn shown(&self) -> *const () {
        self.shown.load(Ordering::Relaxed)
    }

    /// Under the book's lock: those of another tenant.
    fn set(&self, [plain, timed]: [*const (); 2]) {
        self.plain.store(plain.cast_mut(), Ordering::Relaxed);
        self.timed.store(timed.cast_mut(), Ordering::Relaxed);
        self.show_timed();
    }

    /// Under the book's lock.
    fn show_timed(&self) {
        let timed = self.timed.load(Ordering::Relaxed);
        self.shown.store(timed, Ordering::Relaxed);
    }

    /// Under the book's lock.
    fn show_plain(&self) {
        let plain = self.plain.load(Ordering::Relaxed);
        self.shown.store(plain, Ordering::Relaxed);
    }
}

/// What a thread counts for the tenant that it called last.
#[derive(Default)]
pub(super) struct Book {
    /// The leases that had ended when the pin began to count for that tenant.
    before: u64,
    /// The leases that had ended with the last one whose time is in here.
    timed: u64,
    /// The time that stands for those after it.
    last: Option<Duration>,
    /// When that call began: nanoseconds since the epoch; 0 where there was none.
    at: u64,
    /// Nanoseconds of timing that are left.
    left: u64,
    /// The leases that had ended at the last tick.
    at_tick: u64,
    errors: u64,
    panics: u64,
    latency: Latency,
}

impl Book {
    /// Begins anew, when so many leases have ended.
    pub(super) fn clear(&mut self, ended: u64) {
        self.before = ended;
        self.timed = ended;
        self.last = None;
        self.at = 0;
        self.left = 0;
        self.errors = 0;
        self.panics = 0;
        self.latency.clear();
    }

    /// Counts a call that failed.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.errors += 1;
        self.panics += u64::from(failure == Failure::Panic);
    }

    /// Adds what was counted, when so many leases have ended.
    pub(super) fn add_to(&self, sum: &mut Numbers, ended: u64) {
        sum.calls += ended.saturating_sub(self.before);
        sum.errors += self.errors;
        sum.panics += self.panics;
        sum.latency.add(&self.latency);
        if let Some(last) = self.last {
            sum.latency.count_in(last, ended.saturating_sub(self.timed));
        }
    }

    /// Counts the time of a call, which is about to be the next lease to end after so many. Says whether the next call is to
    /// be timed too.
    fn took(&mut self, since: u64, took: Duration, ended: u64) -> bool {
        let untimed = ended.saturating_sub(self.timed);
        self.latency.count_in(self.last.unwrap_or(took), untimed);
        self.latency.count_in(took, 1);
        self.timed = ended + 1;
        self.last = Some(took);
        let earned = match self.at {
            0 => COST,
            at => since.saturating_sub(at) / PART,
        };
        self.at = since;
        let left = (self.left + earned).min(MOST);
        let rest = left.checked_sub(COST);
        self.left = rest.unwrap_or(left);
        rest.is_some()
    }

    /// Says whether leases have ended since the last tick, of which there are so many now.
    fn tick(&mut self, ended: u64) -> bool {
        std::mem::replace(&mut self.at_tick, ended) != ended
    }
}

impl Pin {
    /// Sees another tenant, by these views: the plain one and the timed one. On the pin's thread.
    pub(super) fn see(&self, views: [*const (); 2]) {
        let _book = self.book.lock();
        self.views.set(views);
    }

    /// Counts the time of the counted lease, which began so many nanoseconds after the epoch. On the pin's thread.
    pub(super) fn took(&self, since: u64, took: Duration) {
        let mut book = self.book.lock();
        if book.took(since, took, self.ended()) {
            self.views.show_timed();
        } else {
            self.views.show_plain();
        }
    }

    /// Has its thread's next call timed, if it has called since the last tick. Says whether it has.
    fn tick(&self) -> bool {
        let mut book = self.book.lock();
        let has_called = book.tick(self.ended());
        if has_called {
            self.views.show_timed();
        }
        has_called
    }
}

impl<T: Tenant> Gate<T> {
    /// Has one of the next calls of each thread timed that has called since the last tick. Says how many have.
    pub(crate) fn tick(&self) -> usize {
        self.pins.count(Pin::tick)
    }
}

impl GateId {
    /// A call begins that was found through the timed view: the calling thread is inside, without a lease.
    pub(crate) fn call_begins(self) {
        self.with_pin_inside(|pin| {
            let now = since_epoch(Instant::now());
            pin.since.store(now, Ordering::Relaxed);
        });
    }

    /// That call ends. Does nothing where none has begun.
    pub(crate) fn call_ends(self) {
        self.with_pin_inside(|pin| {
            let since = pin.since.load(Ordering::Relaxed);
            if since > 0 {
                pin.since.store(0, Ordering::Relaxed);
                let took = since_epoch(Instant::now()).saturating_sub(since);
                pin.took(since, Duration::from_nanos(took));
            }
        });
    }

    fn with_pin_inside(self, work: impl FnOnce(&Pin)) {
        if let Some(pin) = pin::own(self) {
            let pin = unpin::look(&pin);
            if pin.is_inside() {
                work(pin);
            }
        }
    }
}
