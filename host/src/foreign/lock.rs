//! The lock between an instance's `&mut self` methods and all others.
//!
//! `&self` methods hold its shared side, and run beside one another; `&mut self` methods have it alone. While none of the latter
//! is called, `&self` methods of interfaces go without it: see the gate's [`Openness`].

use super::tables::Tables;
use crate::{deadline, gate::Openness};
use parking_lot::{
    ArcRwLockReadGuard, Mutex, RawRwLock, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    time::{Duration, Instant},
};

/// How often a lock is tried where the thread must not sleep: about a microsecond.
const TRIES: usize = 64;

/// The lock of one instance.
pub(super) struct Lock {
    /// What callers find while they may not go without it: the instance's tables with nothing at any place.
    closed: Box<Tables>,
    openness: Openness,
    sides: Arc<RwLock<()>>,
    /// Pending calls that wait for a `&mut self` method to end.
    waiting: Mutex<Vec<Waker>>,
    /// How many pending calls have a share.
    shares: Arc<AtomicUsize>,
}

impl Lock {
    /// One that is guarded, for an instance with such tables.
    pub(super) fn new(tables: &Tables) -> Self {
        Lock {
            closed: Box::new(tables.without_places()),
            openness: Openness::default(),
            sides: Arc::default(),
            waiting: Mutex::default(),
            shares: Arc::default(),
        }
    }

    /// What callers find, of the instance's tables: them, or nothing at any place.
    pub(super) fn shown_of<'lock>(&'lock self, tables: &'lock Tables) -> &'lock Tables {
        if self.openness.is_open() {
            tables
        } else {
            &self.closed
        }
    }

    /// Notes that a `&self` method of an interface is called by the lock.
    pub(super) fn note_beside(&self) {
        self.openness.note_beside();
    }

    /// Lets methods of interfaces go without the lock again, where that saves them something. Says whether it has.
    pub(super) fn tick(&self) -> bool {
        // Where somebody has the other side, or waits for it, it is not to be had.
        self.openness.tick()
            && self
                .sides
                .try_read()
                .is_some_and(|_side| self.openness.open())
    }

    /// The shared side, for a `&self` method. It waits behind a `&mut self` method that waits; but not where that may wait
    /// for it in turn: a method that comes back to its own plugin on the same thread (the gate refuses that under a
    /// `&mut self` method), and whatever a pending call may need to go on.
    pub(super) fn shared(
        &self,
        limit: Duration,
        from_inside: bool,
    ) -> Option<RwLockReadGuard<'_, ()>> {
        let sides = &self.sides;
        if from_inside || self.shares.load(Ordering::Acquire) > 0 {
            let wait = || sides.try_read_recursive_for(limit);
            in_time(limit, || sides.try_read_recursive(), wait)
        } else {
            in_time(limit, || sides.try_read(), || sides.try_read_for(limit))
        }
    }

    /// The other side, for a `&mut self` method. `guard` has nobody go without the lock any more, until that moment at most, and
    /// says whether it has done so.
    #[inline]
    pub(super) fn alone(
        &self,
        limit: Duration,
        guard: impl Fn(&Openness, Instant) -> bool,
    ) -> Option<Alone<'_>> {
        let then = self.wakes();
        self.openness.note_alone();
        let side = match self.guarded_side_now() {
            Some(side) => side,
            None => self.guarded_side(deadline::after(limit), &guard)?,
        };
        Some(Alone {
            _side: side,
            _then: then,
        })
    }

    /// The other side, if it is to be had now, with nobody inside who goes without the lock.
    #[inline]
    fn guarded_side_now(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        let side = self.openness.is_guarded().then(|| self.sides.try_write());
        self.if_guarded(side.flatten()?)
    }

    /// Has it guarded, for as long as it takes to have the other side.
    #[cold]
    fn guarded_side(
        &self,
        deadline: Instant,
        guard: &dyn Fn(&Openness, Instant) -> bool,
    ) -> Option<RwLockWriteGuard<'_, ()>> {
        loop {
            if !self.openness.is_guarded() && !guard(&self.openness, deadline) {
                return None;
            }
            let (sides, left) = (
                &self.sides,
                deadline.saturating_duration_since(Instant::now()),
            );
            let side = in_time(left, || sides.try_write(), || sides.try_write_for(left))?;
            if let Some(side) = self.if_guarded(side) {
                return Some(side);
            }
            self.openness.note_alone();
        }
    }

    /// Keeps the other side if nobody is inside who goes without the lock: a tick may have let them in just before.
    fn if_guarded<'lock>(
        &'lock self,
        side: RwLockWriteGuard<'lock, ()>,
    ) -> Option<RwLockWriteGuard<'lock, ()>> {
        if self.openness.is_guarded() {
            return Some(side);
        }
        drop(side);
        // Who was not let in by that may be the one that those inside wait for.
        drop(self.wakes());
        None
    }

    /// A share, once it is to be had.
    pub(super) fn poll_share(&self, from_inside: bool, waker: &Waker) -> Poll<Share> {
        if let Some(share) = self.share(from_inside) {
            return Poll::Ready(share);
        }
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        drop(waiting);
        // A method that has ended meanwhile has found nobody to wake.
        self.share(from_inside).map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits for the shared side, for the host's own look at the object.
    pub(super) fn look(&self) -> RwLockReadGuard<'_, ()> {
        self.sides.read()
    }

    /// A share, if it is to be had now.
    fn share(&self, from_inside: bool) -> Option<Share> {
        let guard = if from_inside {
            self.sides.try_read_recursive_arc()
        } else {
            self.sides.try_read_arc()
        }?;
        self.shares.fetch_add(1, Ordering::AcqRel);
        Some(Share {
            _held: Some(Held {
                _guard: guard,
                shares: Arc::clone(&self.shares),
            }),
        })
    }

    /// Wakes the pending calls that wait, when the result is dropped.
    fn wakes(&self) -> Wakes<'_> {
        Wakes(self)
    }
}

/// The other side: nobody else is inside as long as it lives.
pub(super) struct Alone<'lock> {
    // In this order: who is woken finds the lock free.
    _side: RwLockWriteGuard<'lock, ()>,
    _then: Wakes<'lock>,
}

struct Wakes<'lock>(&'lock Lock);

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        let waiting = std::mem::take(&mut *self.0.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// A pending call's share in an instance: no `&mut self` method runs as long as it lives.
pub(crate) struct Share {
    _held: Option<Held>,
}

impl Share {
    /// One in an instance without a lock.
    pub(super) fn of_no_lock() -> Share {
        Share { _held: None }
    }
}

struct Held {
    _guard: ArcRwLockReadGuard<RawRwLock, ()>,
    shares: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shares.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Takes a lock within `limit`. Without a limit the thread never sleeps, but tries for a moment: those inside may be short.
fn in_time<G>(
    limit: Duration,
    try_now: impl Fn() -> Option<G>,
    wait: impl FnOnce() -> Option<G>,
) -> Option<G> {
    if !limit.is_zero() {
        return wait();
    }
    (0..TRIES).find_map(|_| {
        let guard = try_now();
        if guard.is_none() {
            std::hint::spin_loop();
        }
        guard
    })
}
