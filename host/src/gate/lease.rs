//! A lease: one caller's right to be inside.
//!
//! A lease is mostly a call that is timed, and that those who ask who is inside can name. Most calls go without: see
//! [`Gate::pass`].

use super::{
    Arc, Gate, NonNull, Ordering, PhantomData, Tenant,
    mark::Note,
    pin::{Pin, since_epoch},
    sync::{Instant, RwLockReadGuard},
    unpin,
};
use std::cell::Cell;

/// One caller's right to be inside. It stays on its thread.
pub(crate) struct Lease<'gate, T: Tenant> {
    pub(super) gate: &'gate Gate<T>,
    pub(super) tenant: NonNull<T>,
    pub(super) pin: NonNull<Pin>,
    pub(super) way: Way<'gate>,
    /// When the caller came to the gate, where the lease is timed.
    pub(super) since: Option<Instant>,
    /// Whether it is one for a call.
    pub(super) is_a_call: Cell<bool>,
    pub(super) _on_this_thread: PhantomData<*const ()>,
}

/// How a lease got in.
pub(super) enum Way<'gate> {
    /// By its pin alone.
    Pin,
    /// By the lock.
    Door {
        _door: RwLockReadGuard<'gate, ()>,
        /// The pin, where it is for this lease only.
        for_one: Option<Arc<Pin>>,
    },
    /// Inside another lease of the same thread.
    Nested,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    /// Which method is called.
    pub(crate) note: Note,
    /// Whether it is called alone (`&mut self`).
    pub(crate) exclusive: bool,
}

impl Call {
    /// A call of the method with this number, by the tenant's own count.
    pub(crate) const fn of(method: u32, exclusive: bool) -> Call {
        Call {
            note: Note::of(method),
            exclusive,
        }
    }
}

/// What a method may not do, since the calls further out on its thread wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knot {
    /// A `&mut self` method of the same tenant is further out: everything would wait for it.
    UnderExclusive,
    /// The method is `&mut self`, and a `&self` method of the same tenant is further out.
    ExclusiveUnderShared,
}

impl<T: Tenant> Lease<'_, T> {
    /// What it leads to.
    #[inline(always)]
    pub(crate) fn tenant(&self) -> &T {
        unpin::reach(&self.tenant)
    }

    /// Says that the call is executed, and to be counted. A caller who is let in and turns back is none.
    pub(crate) fn is_a_call(&self) {
        self.is_a_call.set(true);
    }

    /// Notes which method is called, for those who ask who is inside; before anything is.
    ///
    /// # Errors
    /// The call would wait for a call further out on the same thread.
    pub(crate) fn note(&self, call: Call) -> Result<(), Knot> {
        let pin = unpin::look(&self.pin);
        if matches!(self.way, Way::Nested) {
            if call.exclusive {
                return Err(Knot::ExclusiveUnderShared);
            }
            let outer = pin.tenant.load(Ordering::Relaxed);
            if pin.is_exclusive.load(Ordering::Relaxed) && outer == self.tenant().number() {
                return Err(Knot::UnderExclusive);
            }
            return Ok(());
        }
        let since = self.since.map_or(0, since_epoch);
        pin.since.store(since, Ordering::Relaxed);
        pin.note(call);
        Ok(())
    }
}

impl<T: Tenant> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        let pin = unpin::look(&self.pin);
        let is_a_call = self.is_a_call.get();
        match &mut self.way {
            Way::Nested => {
                let nested = pin.nested.load(Ordering::Relaxed);
                pin.nested.store(nested - 1, Ordering::Relaxed);
                if let Some(since) = self.since.filter(|_| is_a_call) {
                    self.tenant().tally().count(since.elapsed());
                }
            }
            Way::Pin => pin.leave(self.since, is_a_call),
            Way::Door { for_one, .. } => {
                pin.leave(self.since, is_a_call);
                pin.by_the_door.store(false, Ordering::Release);
                if let Some(pin) = for_one.take() {
                    self.gate.pins.remove(&pin);
                }
            }
        }
    }
}
