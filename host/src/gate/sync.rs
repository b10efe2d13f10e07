//! What the gate is built on: locks, atomics, fences, threads' own places, and the clock.
//!
//! A model checker has its own of each, and goes through the orders in which they can be used: `tests/models` builds these
//! very sources with `cfg(modelled)`, and says in its `sync.rs` what stands for what. Everywhere else they are the real
//! ones, and nothing stands in between.

#[cfg(not(modelled))]
pub(super) use self::numbers::next_gate;
#[cfg(modelled)]
pub(super) use crate::sync::*;
#[cfg(not(modelled))]
pub(super) use {
    parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    std::{
        hint::spin_loop,
        sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence},
        thread::sleep,
        thread_local,
        time::Instant,
    },
};

/// How often a lock is tried before the thread sleeps: about five microseconds.
#[cfg(not(modelled))]
pub(super) const TRIES: usize = 128;

#[cfg(not(modelled))]
mod numbers {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A number that no gate has had; from 1 on.
    pub(in super::super) fn next_gate() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}
