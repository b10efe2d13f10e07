//! A stay: one call's time inside of a gate, as others beside the gate may know it.
//!
//! A thread that is inside has a mark on its pin, from when its method is noted, that it has for no other lease until its
//! count has gone round. What is to hold for the length of that call is noted with pin and mark, and holds as long as the pin
//! still has that mark: the end of the call need tell nobody. Nested leases leave the mark as it is, and so belong to the
//! stay that they are nested in. A mark is taken back only by a lease in which nothing was called.
//!
//! Whoever keeps a brief of a call that is over lets go of it before the count has gone round. A stay may be kept for as
//! long as one likes: it is over, or at worst not over, when the count comes by again.
//!
//! Who may touch what: a [`Brief`] belongs to its thread, which asks whether the stay lasts; of a [`Stay`], anybody may
//! ask whether it is over. The mark that ends a call is stored with release: who finds it over sees all that it did.

use super::{
    Gate, GateId, NonNull, Tenant,
    mark::Mark,
    pin::{self, Pin},
    unpin,
};
use std::sync::Arc;

impl<T: Tenant> Gate<T> {
    /// Which gate it is.
    pub(crate) fn gate_id(&self) -> GateId {
        self.id
    }
}

impl GateId {
    /// The calling thread's stay inside of this gate, if it is inside by a pin of its own.
    pub(crate) fn stay(self) -> Option<Brief> {
        let pin = pin::own(self)?;
        let mark = unpin::look(&pin).own_mark();
        mark.is_inside().then_some(Brief { pin, mark })
    }
}

/// A stay of the calling thread's, by pin and mark. It keeps nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Brief {
    pin: NonNull<Pin>,
    mark: Mark,
}

impl Brief {
    /// Whether the thread is still inside, by the same lease.
    ///
    /// # Safety
    /// Called on the thread that it is of, while a [`Stay`] that was made of this or of another stay on the same pin lives.
    #[inline(always)]
    pub(crate) unsafe fn lasts(self) -> bool {
        // SAFETY: The caller promises that a stay keeps the pin.
        let pin = unsafe { self.pin.as_ref() };
        pin.own_mark() == self.mark
    }

    /// Makes a stay of it, out of one that was there before where it is on the same pin. To be called while it lasts.
    pub(crate) fn keep(self, before: &mut Option<Stay>) {
        match before {
            Some(stay) if std::ptr::eq(Arc::as_ptr(&stay.pin), self.pin.as_ptr()) => {
                stay.mark = self.mark;
            }
            // It is inside, and so is its thread's table, which keeps the pin.
            _ => {
                *before = unpin::look(&self.pin).this().map(|pin| Stay {
                    pin,
                    mark: self.mark,
                });
            }
        }
    }
}

/// A stay that keeps its pin.
#[derive(Clone)]
pub(crate) struct Stay {
    pin: Arc<Pin>,
    mark: Mark,
}

impl Stay {
    /// Whether the call has ended, and all that it did is to be seen.
    pub(crate) fn is_over(&self) -> bool {
        self.pin.mark().ended() != self.mark.ended()
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, brief: Brief) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.pin), brief.pin.as_ptr()) && self.mark == brief.mark
    }
}
