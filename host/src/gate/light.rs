//! A light lease: that of a caller who got in by its pin alone, in two words.
//!
//! It is what [`Gate::enter`] does as long as no swap is near, for calls that are over before a larger lease is written to
//! memory and read back. Protocols 1 and 2 of the gate are kept as they stand there; where a light lease is not to be
//! had, the caller goes the ordinary way.

use super::{Gate, Tenant, pin, pin::Pin, unpin};
use std::{marker::PhantomData, ptr::NonNull, sync::atomic::Ordering};

/// One caller's right to be inside, by its pin. It stays on its thread.
pub(crate) struct Light<'gate, T: Tenant> {
    tenant: NonNull<T>,
    pin: NonNull<Pin>,
    _gate: PhantomData<(&'gate Gate<T>, *const ())>,
}

impl<T: Tenant> Gate<T> {
    /// Lets the caller in by its pin, as [`enter`](Gate::enter) would; `None` where it has to go another way.
    #[inline(always)]
    pub(crate) fn enter_lightly(&self) -> Option<Light<'_, T>> {
        let pin = pin::own(self.id)?;
        let note = unpin::look(&pin);
        let entered = note.entered.load(Ordering::Relaxed);
        if note.exited.load(Ordering::Relaxed) != entered {
            return None;
        }
        note.entered.store(entered + 1, Ordering::Relaxed);
        self.fences.of_the_many();
        let Some(tenant) = NonNull::new(self.bias.load(Ordering::Acquire)) else {
            // Taken back, as by the door: nobody was inside.
            note.entered.store(entered, Ordering::Release);
            return None;
        };
        Some(Light {
            tenant,
            pin,
            _gate: PhantomData,
        })
    }
}

impl<T: Tenant> Light<'_, T> {
    /// What it leads to.
    #[inline(always)]
    pub(crate) fn tenant(&self) -> &T {
        unpin::reach(&self.tenant)
    }

    /// Notes which method is called, as [`Lease::note_briefly`](super::Lease::note_briefly).
    #[inline(always)]
    pub(crate) fn note_briefly(&self, method: u32, exclusive: bool) {
        unpin::look(&self.pin).note(self.tenant().number(), method, exclusive);
    }
}

impl<T: Tenant> Drop for Light<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // Nobody has noted a time.
        let pin = unpin::look(&self.pin);
        let entered = pin.entered.load(Ordering::Relaxed);
        pin.exited.store(entered, Ordering::Release);
    }
}
