//! What stands for locks, atomics and the clock in a model: those of the checker, under the names the gate knows.
//!
//! Time stands still: a deadline has passed from the beginning, or never passes. What would wait until a deadline that
//! has passed tries once; what would wait for longer waits for as long as it takes. Who would spin or sleep lets others
//! go on first.
//!
//! Counted references are the standard library's. The checker does not see them, so they order nothing in a model; the
//! gate may not rely on them for that.

use loom::sync::{self as checked, atomic::AtomicUsize};
pub(crate) use loom::sync::{RwLockReadGuard, RwLockWriteGuard};
pub(crate) use loom::{
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence},
    thread::yield_now as spin_loop,
};
use std::{
    ops::{Add, Deref, DerefMut, Sub},
    time::Duration,
};

/// A moment of a clock that stands still, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    pub(crate) fn now() -> Instant {
        Instant(0)
    }

    pub(crate) fn elapsed(self) -> Duration {
        Instant::now() - self
    }

    pub(crate) fn saturating_duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    fn has_passed(self) -> bool {
        self <= Instant::now()
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, later: Duration) -> Instant {
        Instant(self.0 + later.as_nanos() as u64)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Who would try again would only let others go on first, and then wait.
pub(crate) const TRIES: usize = 1;

pub(crate) fn sleep(_: Duration) {
    spin_loop();
}

/// The checker's thread-locals, which know no `const`.
macro_rules! local {
    ($(static $name:ident: $type:ty = const { $value:expr };)+) => {
        loom::thread_local! { $(static $name: $type = $value;)+ }
    };
}
pub(crate) use local as thread_local;

/// A number that no gate of this run has had; from 1 on.
pub(crate) fn next_gate() -> usize {
    loom::lazy_static! {
        static ref NEXT: AtomicUsize = AtomicUsize::new(1);
    }
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The system call `membarrier`, which does nothing in a model. So it is not offered; who uses it anyway has no fence.
pub(crate) mod membarrier {
    pub(crate) fn register() -> bool {
        false
    }

    pub(crate) fn pass() {}
}

#[derive(Default)]
pub(crate) struct Mutex<T>(checked::Mutex<T>);

/// Always there but while its thread waits for a [`Condvar`].
pub(crate) struct MutexGuard<'a, T>(Option<checked::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(checked::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self.0.lock().ok())
    }

    pub(crate) fn try_lock_until(&self, deadline: Instant) -> Option<MutexGuard<'_, T>> {
        if deadline.has_passed() {
            self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
        } else {
            Some(self.lock())
        }
    }
}

const HELD: &str = "only a condition variable takes it, and gives it back";

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(HELD)
    }
}

#[derive(Default)]
pub(crate) struct Condvar(checked::Condvar);

pub(crate) struct Waited {
    timed_out: bool,
}

impl Waited {
    pub(crate) fn timed_out(&self) -> bool {
        self.timed_out
    }
}

impl Condvar {
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> Waited {
        let timed_out = deadline.has_passed();
        if !timed_out {
            let held = guard.0.take().expect(HELD);
            guard.0 = self.0.wait(held).ok();
        }
        Waited { timed_out }
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

pub(crate) struct RwLock<T>(checked::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        RwLock(checked::RwLock::new(value))
    }

    pub(crate) fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.0.try_read().ok()
    }

    pub(crate) fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.0.try_write().ok()
    }

    pub(crate) fn try_read_for(&self, limit: Duration) -> Option<RwLockReadGuard<'_, T>> {
        if limit.is_zero() {
            self.0.try_read().ok()
        } else {
            self.0.read().ok()
        }
    }

    pub(crate) fn try_write_for(&self, limit: Duration) -> Option<RwLockWriteGuard<'_, T>> {
        if limit.is_zero() {
            self.0.try_write().ok()
        } else {
            self.0.write().ok()
        }
    }
}
