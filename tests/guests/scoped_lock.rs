//! A plugin whose threads stand in line at one lock.

use std::sync::{Mutex, PoisonError};

/// Keeps nothing.
#[derive(Default)]
struct ScopedLock;

#[plugin_api::plugin(name = "scoped-lock", version = "1.0.0", stateless)]
impl ScopedLock {
    /// Does its work, and returns 42.
    fn work(&self) -> u64 {
        let sum = Mutex::new(0);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    std::thread::yield_now();
                    *sum += 7;
                });
            }
        });
        sum.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
