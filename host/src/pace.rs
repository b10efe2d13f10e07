//! A pace: whether one method of one generation is known to be short.
//!
//! A call that is short may run on a thread that must not be kept, such as the listener's: handing it to another thread
//! and back takes longer than the call. Nobody says beforehand which methods are short, so it is learnt: a method of a new
//! generation is unknown; it is short after [`STREAK`] calls in a row that each took less than [`SHORT`]; one longer call
//! makes it unknown again. A method that was seen calling out to a plugin is never short: it may have to wait at the other's
//! gate.
//!
//! Any thread may note any call. Notes that meet may lose one another: then it is learnt a call later. Nothing is written
//! while nothing new is learnt.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

/// A call below this is short.
pub(crate) const SHORT: Duration = Duration::from_micros(100);
/// So many short calls in a row make a method short.
pub(crate) const STREAK: u8 = 8;
/// Instead of a number of calls: it calls out.
const CALLS_OUT: u8 = u8::MAX;

thread_local! {
    static HAS_CALLED_OUT: Cell<bool> = const { Cell::new(false) };
}

/// What is known of one method: how many of its last calls were short, at most [`STREAK`]; or that it calls out.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU8);

impl Pace {
    /// Whether its calls are short.
    pub(crate) fn is_short(&self) -> bool {
        self.0.load(Ordering::Relaxed) == STREAK
    }

    /// Notes one call: how long it took, and whether it called out.
    pub(crate) fn note(&self, took: Duration, called_out: bool) {
        let before = self.0.load(Ordering::Relaxed);
        let after = match before {
            CALLS_OUT => CALLS_OUT,
            _ if called_out => CALLS_OUT,
            _ if took >= SHORT => 0,
            STREAK => STREAK,
            streak => streak + 1,
        };
        if after != before {
            self.0.store(after, Ordering::Relaxed);
        }
    }
}

/// Notes that the plugin code on this thread calls out.
pub(crate) fn note_call_out() {
    HAS_CALLED_OUT.set(true);
}

/// Begins to watch for such a call.
pub(crate) fn forget_call_out() {
    HAS_CALLED_OUT.set(false);
}

/// Whether there was one since then.
pub(crate) fn has_called_out() -> bool {
    HAS_CALLED_OUT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short() -> Pace {
        let pace = Pace::default();
        for _ in 0..STREAK {
            assert!(!pace.is_short());
            pace.note(Duration::from_micros(1), false);
        }
        assert!(pace.is_short());
        pace
    }

    #[test]
    fn a_method_is_short_after_a_streak_and_until_a_longer_call() {
        let pace = short();
        pace.note(Duration::from_micros(1), false);
        assert!(pace.is_short());
        pace.note(SHORT, false);
        assert!(!pace.is_short());
        pace.note(Duration::from_micros(1), false);
        assert!(!pace.is_short(), "the streak begins anew");
    }

    #[test]
    fn a_method_that_calls_out_is_never_short_again() {
        let pace = short();
        pace.note(Duration::from_micros(1), true);
        for _ in 0..=STREAK {
            assert!(!pace.is_short());
            pace.note(Duration::from_micros(1), false);
        }
    }
}
