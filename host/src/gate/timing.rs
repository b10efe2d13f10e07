//! Timing: which calls are timed, and what their times stand for.
//!
//! To take the time costs twenty short calls. To ask in every call whether it is its turn costs something too: a branch that
//! is taken once in a million calls slows all of them down. So a call does not ask. It finds what it calls through the *view*
//! of the tenant that its pin shows: mostly the plain one; the timed one where somebody has shown that, and what is found
//! there takes the time.
//!
//! To time its calls may take a hundredth of a thread's time. So all calls are timed where they are long, or seldom. Where
//! they are not, the pin goes back to the plain view when the hundredth is used up, until the next [tick](Gate::tick); then
//! as many in a row are timed as the time since then allows, a dozen or so at most.
//!
//! The last of the times stand for the untimed calls after them, in equal parts: so there are as many times as calls. A call
//! has its time a moment before it counts as ended.
//!
//! Who may touch what: a pin's book, and which of the [views](super::views) it shows, are written under the book's lock, by the
//! pin's thread and by the tick. That lock is the innermost of the gate's. What a thread may spend is its own.

use super::{
    Gate, GateId, Tenant,
    latency::Latency,
    mark::Number,
    pin::{self, Pin, since_epoch},
    sync::{Instant, Ordering, thread_local},
    tally::{Failure, Numbers},
    unpin,
};
use std::{cell::Cell, time::Duration};

/// Timing may take this part of the time.
const PART: u64 = 100;
/// Nanoseconds that it takes to time a call, roughly.
const COST: u64 = 100;
/// Nanoseconds of timing that a thread may save up: so many calls in a row are held up by it after a pause.
const MOST: u64 = 16 * COST;

/// The first calls of a tenant, which are timed in any case: the very first find nothing in the caches.
const FIRST: usize = if cfg!(modelled) { 2 } else { 8 };
/// The last times that stand for the untimed calls.
const LAST: usize = 8;

/// What a thread may spend on timing.
#[derive(Clone, Copy)]
struct Purse {
    /// Nanoseconds that are left.
    left: u64,
    /// When it has earned last: nanoseconds since the epoch.
    at: u64,
}

thread_local! {
    static PURSE: Cell<Purse> = const { Cell::new(Purse { left: 0, at: 0 }) };
}

impl Purse {
    /// Earns for the time until now, and pays for one more timed call. Says whether there is enough.
    fn pay(mut self, now: u64) -> (bool, Purse) {
        let earned = now.saturating_sub(self.at) / PART;
        let left = (self.left + earned).min(MOST);
        let rest = left.checked_sub(COST);
        self.left = rest.unwrap_or(left);
        // What is less than a nanosecond is earned another time.
        self.at = if earned > 0 { now } else { self.at };
        (rest.is_some(), self)
    }
}

/// Whether the calling thread may have one more call timed.
fn may_time(now: u64) -> bool {
    // A thread past its thread-locals takes leases anyway.
    PURSE
        .try_with(|purse| {
            let (may, rest) = purse.get().pay(now);
            purse.set(rest);
            may
        })
        .unwrap_or(true)
}

/// The times that were taken last.
#[derive(Default)]
struct Times {
    /// How many were taken.
    taken: usize,
    /// Each at the place of its number, from which the older one is gone.
    last: [Duration; LAST],
}

impl Times {
    fn add(&mut self, took: Duration) {
        self.last[self.taken % LAST] = took;
        self.taken += 1;
    }

    /// Has them stand for so many calls.
    fn stand_for(&self, calls: u64, latency: &mut Latency) {
        if calls == 0 {
            return;
        }
        let known = self.taken.min(LAST) as u64;
        for (place, took) in (0..known).zip(self.last) {
            // Together they are all of them, and none becomes fewer when there are more.
            latency.count_in(took, (calls + place) / known);
        }
    }
}

/// What a thread counts for the tenant that it called last.
#[derive(Default)]
pub(super) struct Book {
    /// Calls that have ended, up to this lease; those after it are not in here.
    calls: u64,
    counted: Number,
    /// The last lease whose time is in here.
    timed: Number,
    times: Times,
    /// The last lease that had ended at the last tick.
    at_tick: Number,
    errors: u64,
    panics: u64,
    latency: Latency,
}

impl Book {
    /// Begins anew, when this lease has ended.
    pub(super) fn clear(&mut self, ended: Number) {
        self.calls = 0;
        self.counted = ended;
        self.timed = ended;
        self.times.taken = 0;
        self.errors = 0;
        self.panics = 0;
        self.latency.clear();
    }

    /// Counts a call that failed.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.errors += 1;
        self.panics += u64::from(failure == Failure::Panic);
    }

    /// Adds what was counted, when this lease has ended.
    pub(super) fn add_to(&self, sum: &mut Numbers, ended: Number) {
        sum.calls += self.calls + ended.since(self.counted);
        sum.errors += self.errors;
        sum.panics += self.panics;
        sum.latency.add(&self.latency);
        let untimed = ended.since(self.timed);
        self.times.stand_for(untimed, &mut sum.latency);
    }

    /// Counts the time of a call, which is about to be the next lease to end after this one. Says whether it is one of the
    /// tenant's first.
    fn took(&mut self, took: Duration, ended: Number) -> bool {
        self.calls += ended.since(self.counted);
        self.counted = ended;
        // A lease has one time.
        if self.timed.is_up_to(ended) {
            let untimed = ended.since(self.timed);
            self.times.stand_for(untimed, &mut self.latency);
            self.latency.count_in(took, 1);
            self.timed = ended.next();
            self.times.add(took);
        }
        self.times.taken < FIRST
    }

    /// Says whether leases have ended since the last tick, when this is the last that has.
    fn tick(&mut self, ended: Number) -> bool {
        std::mem::replace(&mut self.at_tick, ended) != ended
    }
}

impl Pin {
    /// Counts the time of the counted lease, which began so many nanoseconds after the epoch. On the pin's thread.
    pub(super) fn took(&self, since: u64, took: Duration) {
        let mut book = self.book.lock();
        let is_early = book.took(took, self.ended());
        self.views.set_timed(may_time(since) || is_early);
    }

    /// Has the next call timed.
    pub(super) fn time_next(&self) {
        let _book = self.book.lock();
        self.views.set_timed(true);
    }

    /// Whether the next call is to be timed. On the pin's thread.
    pub(super) fn is_next_timed(&self) -> bool {
        self.views.is_timed()
    }

    /// Has its thread's next call timed, if it has called since the last tick. Says whether it has.
    fn tick(&self) -> bool {
        let mut book = self.book.lock();
        let has_called = book.tick(self.ended());
        if has_called {
            self.views.set_timed(true);
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

#[cfg(all(test, not(modelled)))]
mod tests {
    use super::*;

    /// Of calls so many nanoseconds apart, how many in a row of a thousand are timed.
    fn timed(purse: &mut Purse, apart: u64) -> usize {
        let began = purse.at;
        let pays = |call: &u64| {
            let (may, rest) = purse.pay(began + call * apart);
            *purse = rest;
            may
        };
        (1..=1_000).filter(pays).count()
    }

    #[test]
    fn a_thread_spends_a_hundredth_of_its_time_whatever_it_calls() {
        let mut purse = Purse { left: 0, at: 1 };
        assert_eq!(timed(&mut purse, PART * COST), 1_000, "long ones");
        assert_eq!(timed(&mut purse, PART * COST / 10), 100);
        // What is earned in less than a nanosecond's steps is not lost.
        assert_eq!(timed(&mut purse, PART / 10), 1);
    }

    #[test]
    fn after_a_pause_a_dozen_or_so_are_timed_and_no_more() {
        let mut purse = Purse { left: 0, at: 1 };
        let (may, rest) = purse.pay(1_000_000_000);
        assert!(may);
        purse = rest;
        assert_eq!(timed(&mut purse, 1) + 1, (MOST / COST) as usize);
    }

    #[test]
    fn the_last_times_stand_for_all_others_in_equal_parts() {
        let mut times = Times::default();
        for nanos in 1..=20 {
            times.add(Duration::from_micros(nanos));
            for calls in 0..100 {
                let mut latency = Latency::default();
                times.stand_for(calls, &mut latency);
                assert_eq!(latency.count(), calls);
            }
        }
        let mut latency = Latency::default();
        times.stand_for(80, &mut latency);
        assert_eq!(latency.longest(), Duration::from_micros(20));
        let least = latency.quantile(0.01).expect("there are some");
        assert!(
            least >= Duration::from_micros(13),
            "the older ones are gone"
        );
    }
}
