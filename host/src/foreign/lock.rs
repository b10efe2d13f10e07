//! The lock between an instance's `&mut self` methods and all others.
//!
//! `&self` methods hold its shared side, and run beside one another; `&mut self` methods have it alone. While none of the
//! latter is called, `&self` methods of interfaces go without it: see the gate's [`Openness`].
//!
//! A pending call does not wait for its share on a thread: where there is none, it puts its waker into `waiting`, tries once
//! more, and goes away. Whoever has had the other side, or waited for it, wakes all of them afterwards.

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

/// The lock of one instance. It begins guarded.
#[derive(Default)]
pub(super) struct Lock {
    openness: Openness,
    sides: Arc<RwLock<()>>,
    /// Pending calls that wait for a `&mut self` method to end.
    waiting: Mutex<Vec<Waker>>,
    /// How many pending calls have a share.
    shares: Arc<AtomicUsize>,
}

impl Lock {
    /// Whether methods of interfaces go without it, where they take `&self`.
    pub(super) fn openness(&self) -> &Openness {
        &self.openness
    }

    /// Lets methods of interfaces go without the lock again, if it pays. Says whether it has.
    pub(super) fn tick(&self) -> bool {
        // Mostly it is not to be had where somebody waits for the other side; who gets that looks again.
        let side = || self.sides.try_read();
        self.openness.tick() && side().is_some_and(|_side| self.openness.open())
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

    /// The other side, for a `&mut self` method: nobody is inside then, by the lock or without it. `guard` has nobody go
    /// without it any more, as [`Gate::guard`](crate::gate::Gate::guard) does, until that moment at most; it says whether it
    /// has done so.
    #[inline]
    pub(super) fn alone(
        &self,
        limit: Duration,
        guard: impl Fn(Instant) -> bool,
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
        guard: &dyn Fn(Instant) -> bool,
    ) -> Option<RwLockWriteGuard<'_, ()>> {
        loop {
            if !self.openness.is_guarded() && !guard(deadline) {
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

/// The other side: nobody else is inside as long as it lives, by the lock or without it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, task::Wake};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_finds_it_open_gives_it_back_and_wakes_who_was_refused_before_it_waits() {
        let lock = Lock::default();
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let side = lock.sides.write();
        assert!(lock.poll_share(true, &waker).is_pending(), "it is held");
        assert!(lock.openness.open());
        assert!(lock.if_guarded(side).is_none(), "it is open");
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(lock.poll_share(true, &waker).is_ready());
    }

    #[test]
    fn it_is_asked_for_guard_only_where_it_is_open_and_not_had_where_that_fails() {
        let lock = Lock::default();
        let asked = Cell::new(0);
        let refuse = |_| {
            asked.set(asked.get() + 1);
            false
        };
        assert!(lock.alone(Duration::ZERO, refuse).is_some());
        assert_eq!(asked.get(), 0, "it begins guarded");
        assert!(lock.openness.open());
        assert!(lock.alone(Duration::ZERO, refuse).is_none());
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn it_is_opened_where_others_came_by_it_and_nobody_alone_has_come_or_is_there() {
        let lock = Lock::default();
        assert!(!lock.tick(), "nobody has come");
        lock.openness.note_beside();
        lock.openness.note_alone();
        assert!(!lock.tick(), "somebody has come alone");
        lock.openness.note_beside();
        let side = lock.sides.write();
        assert!(!lock.tick(), "somebody is alone");
        drop(side);
        assert!(!lock.tick(), "nobody has come since");
        let _beside = lock.sides.read();
        lock.openness.note_beside();
        assert!(lock.tick());
        assert!(lock.openness.is_open());
    }
}
