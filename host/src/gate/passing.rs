//! Passing: a call that goes through a gate by its pin alone, and takes no time.
//!
//! What is not the common case (no pin yet, a call further out on the thread, a swap near, a tenant not counted for yet, a
//! call whose turn it is to be timed) goes through with a lease.

use super::{
    Call, Failure, Fences, Gate, NonNull, Ordering, Refusal, Tenant,
    pin::{self, Pin},
    unpin,
};
use std::{hint::cold_path, time::Duration};

impl<T: Tenant> Gate<T> {
    /// Does `work` with the tenant, inside: what [`Gate::enter`] is, at a twentieth of its cost. Only now and then, and
    /// for calls that are long, it takes a lease, and so the time.
    ///
    /// # Errors
    /// Why the caller was not let in; `work` is not done then.
    #[inline(always)]
    pub(crate) fn pass<R, F: FnOnce(&T) -> R>(
        &self,
        limit: Duration,
        call: Call,
        work: F,
    ) -> Result<R, Refusal> {
        let whatever = |_: &T| Some(());
        let quickly = self.pass_quickly(call, whatever, |tenant, (), work: F| work(tenant), work);
        match quickly {
            Ok(result) => Ok(result),
            Err(work) => {
                // Not by value, so that the result of the quick way can stay in a register.
                let mut result = None;
                self.pass_slowly(limit, call, work, &mut result)?;
                result.ok_or(Refusal::Vacant)
            }
        }
    }

    /// Does `work` by the pin alone, with what `find` finds at the tenant; or gives back the `load` that it would need. It
    /// looks and turns back where it finds nothing, and where the gate has no place in the thread's row.
    #[inline(always)]
    pub(crate) fn pass_quickly<Found, Load, R>(
        &self,
        call: Call,
        find: impl FnOnce(&T) -> Option<Found>,
        work: impl FnOnce(&T, Found, Load) -> R,
        load: Load,
    ) -> Result<R, Load> {
        match self.id.shown() {
            Some(pin) => self.pass_by(pin, Fences::OnTheOne, call, find, work, load),
            None => Err(load),
        }
    }

    /// Passes by this pin of the calling thread's, with the gate's fences.
    #[inline(always)]
    fn pass_by<Found, Load, R>(
        &self,
        pin: NonNull<Pin>,
        fences: Fences,
        call: Call,
        find: impl FnOnce(&T) -> Option<Found>,
        work: impl FnOnce(&T, Found, Load) -> R,
        load: Load,
    ) -> Result<R, Load> {
        let pin = unpin::look(&pin);
        let mark = pin.mark.load(Ordering::Relaxed);
        // That of a thread that is inside is never below.
        if mark >= pin.due.load(Ordering::Relaxed) {
            return Err(load);
        }
        pin.mark.store(pin::inside(mark), Ordering::Release);
        fences.of_the_many();
        let tenant = self.bias.load(Ordering::Acquire);
        if pin.counts_for(tenant.cast()) {
            let tenant = unpin::reach_known(tenant);
            if let Some(found) = find(tenant) {
                let _until_it_has_ended = Passing {
                    pin,
                    ended: mark + 1,
                    exclusive: call.exclusive,
                };
                pin.note(call);
                return Ok(work(tenant, found, load));
            }
        }
        cold_path();
        pin.mark.store(mark, Ordering::Release);
        Err(load)
    }

    /// Does `work` by a pin out of the thread's table, where the gate has no place in its row; or with a lease.
    #[cold]
    #[inline(never)]
    fn pass_slowly<R, F: FnOnce(&T) -> R>(
        &self,
        limit: Duration,
        call: Call,
        mut work: F,
        result: &mut Option<R>,
    ) -> Result<(), Refusal> {
        if !self.id.has_place()
            && let Some(pin) = pin::own(self.id)
        {
            let whatever = |_: &T| Some(());
            let with = |tenant: &T, (), work: F| work(tenant);
            match self.pass_by(pin, self.fences, call, whatever, with, work) {
                Ok(done) => {
                    *result = Some(done);
                    return Ok(());
                }
                Err(not_done) => work = not_done,
            }
        }
        let lease = self.enter(limit)?;
        lease.note(call).map_err(Refusal::Knot)?;
        let stands_for = unpin::look(&lease.pin).stands_for();
        lease.stands_for.set(stands_for);
        *result = Some(work(lease.tenant()));
        Ok(())
    }

    /// Counts that a call failed which this thread is inside of.
    #[cold]
    pub(crate) fn count_failure(&self, tenant: &T, failure: Failure) {
        match pin::own(self.id) {
            Some(pin) if unpin::look(&pin).tenant.load(Ordering::Relaxed) == tenant.number() => {
                unpin::look(&pin).fail(failure);
            }
            _ => tenant.tally().fail(failure),
        }
    }
}

/// A call that goes through without a lease. Dropping it ends the call, also where its work panics.
struct Passing<'pin> {
    pin: &'pin Pin,
    /// The mark of the pin when the call has ended.
    ended: u64,
    exclusive: bool,
}

impl Drop for Passing<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.exclusive {
            self.pin.is_exclusive.store(false, Ordering::Relaxed);
        }
        self.pin.mark.store(self.ended, Ordering::Release);
    }
}
