//! A stay: one call's time inside of a gate, as others beside the gate may know it.
//!
//! A thread that is inside has a counted lease on its pin, with a number. What is to hold for the length of that call is
//! noted with pin and number, and holds as long as the pin still has that number: the end of the call need tell nobody.
//! Nested leases have no numbers, and so belong to the stay that they are nested in. A number is taken back only by a lease
//! in which nothing was called.
//!
//! Who may touch what: a [`Brief`] belongs to its thread, which asks whether the stay lasts; of a [`Stay`], anybody may
//! ask whether it is over. `exited` is stored with release when the call ends: who finds it over sees all that it did.

use super::{
    Fences, Gate, NonNull, Ordering, Tenant,
    pin::{self, Pin},
    unpin,
};
use std::sync::Arc;

/// Which gate; of use beyond the gate's own life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    fences: Fences,
    gate: usize,
}

impl<T: Tenant> Gate<T> {
    /// Which gate it is.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            fences: self.fences,
            gate: self.id,
        }
    }
}

impl Mark {
    /// The calling thread's stay inside of this gate, if it is inside by a pin of its own.
    pub(crate) fn stay(self) -> Option<Brief> {
        let pin = pin::own(self.fences, self.gate)?;
        let number = unpin::look(&pin).entered.load(Ordering::Relaxed);
        let brief = Brief { pin, number };
        brief.is_of(unpin::look(&pin)).then_some(brief)
    }
}

/// A stay of the calling thread's, as one word and a number. It keeps nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Brief {
    pin: NonNull<Pin>,
    number: u64,
}

impl Brief {
    fn is_of(self, pin: &Pin) -> bool {
        pin.entered.load(Ordering::Relaxed) == self.number
            && pin.exited.load(Ordering::Relaxed) + 1 == self.number
    }

    /// Whether the thread is still inside, by the same lease.
    ///
    /// # Safety
    /// Called on the thread that it is of, while a [`Stay`] that was made of this or of another stay on the same pin lives.
    #[inline(always)]
    pub(crate) unsafe fn lasts(self) -> bool {
        // SAFETY: The caller promises that a stay keeps the pin.
        self.is_of(unsafe { self.pin.as_ref() })
    }

    /// Makes a stay of it, out of one that was there before where it is on the same pin. To be called while it lasts.
    pub(crate) fn keep(self, before: &mut Option<Stay>) {
        match before {
            Some(stay) if std::ptr::eq(Arc::as_ptr(&stay.pin), self.pin.as_ptr()) => {
                stay.number = self.number;
            }
            // It is inside, and so is its thread's table, which keeps the pin.
            _ => {
                *before = unpin::look(&self.pin).this().map(|pin| Stay {
                    pin,
                    number: self.number,
                });
            }
        }
    }
}

/// A stay that keeps its pin.
#[derive(Clone)]
pub(crate) struct Stay {
    pin: Arc<Pin>,
    number: u64,
}

impl Stay {
    /// Whether the call has ended, and all that it did is to be seen.
    pub(crate) fn is_over(&self) -> bool {
        self.pin.exited.load(Ordering::Acquire) >= self.number
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, brief: Brief) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.pin), brief.pin.as_ptr()) && self.number == brief.number
    }
}
