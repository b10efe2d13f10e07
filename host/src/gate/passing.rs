//! Passing: a call that goes through a gate by its pin alone.
//!
//! What is not the common case (no pin yet, a call further out on the thread, a swap near, a tenant not counted for yet) goes
//! through with a lease. No branch on the way is taken otherwise: one that is taken once in a million calls makes all of them
//! slower. So which call is timed is no question here: see [timing](super::timing).

use super::{
    Call, Failure, Fences, Gate, NonNull, Ordering, Place, Refusal, Tenant,
    mark::Mark,
    pin::{self, Pin},
    unpin,
};
use std::{hint::cold_path, ptr, time::Duration};

impl<T: Tenant> Gate<T> {
    /// Does `work` with the tenant, inside: what [`Gate::enter`] is, at a twentieth of its cost. Where the pin shows the
    /// timed view it takes a lease, and so the time.
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
        let work_there = |tenant: &T, (), work: F| work(tenant);
        let quickly = self.pass_quickly(self.place(), call, is_plain, work_there, work);
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

    /// Does `work` by the pin alone, with what `find` finds at the tenant, through the view that the pin shows; or gives back
    /// the `load` that it would need. It looks and turns back where it finds nothing, and where the gate has no place in the
    /// thread's row. `place` is the gate's: at any other there is a pin that counts for another gate's tenant, and the call
    /// turns back.
    #[inline(always)]
    pub(crate) fn pass_quickly<Found, Load, R>(
        &self,
        place: Place,
        call: Call,
        find: impl FnOnce(&T, &T::View) -> Option<Found>,
        work: impl FnOnce(&T, Found, Load) -> R,
        load: Load,
    ) -> Result<R, Load> {
        match place.shown() {
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
        find: impl FnOnce(&T, &T::View) -> Option<Found>,
        work: impl FnOnce(&T, Found, Load) -> R,
        load: Load,
    ) -> Result<R, Load> {
        let pin = unpin::look(&pin);
        let mark = pin.own_mark();
        if mark.is_inside() {
            return Err(load);
        }
        pin.set_mark(mark.inside(call.note));
        fences.of_the_many();
        let tenant = self.bias.load(Ordering::Acquire);
        if pin.counts_for(tenant.cast()) {
            let tenant = unpin::reach_known(tenant);
            if let Some(found) = find(tenant, unpin::see::<T>(pin)) {
                let _until_it_has_ended = Passing {
                    pin,
                    ended: mark.next(),
                    exclusive: call.exclusive,
                };
                pin.note_exclusive(call);
                return Ok(work(tenant, found, load));
            }
        }
        cold_path();
        pin.set_mark(mark);
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
            let work_there = |tenant: &T, (), work: F| work(tenant);
            match self.pass_by(pin, self.fences, call, is_plain, work_there, work) {
                Ok(done) => {
                    *result = Some(done);
                    return Ok(());
                }
                Err(not_done) => work = not_done,
            }
        }
        let lease = self.enter(limit)?;
        lease.note(call).map_err(Refusal::Knot)?;
        lease.is_a_call();
        *result = Some(work(lease.tenant()));
        Ok(())
    }

    /// Has each thread's next call go with a lease, as the first call of a tenant does. Says how many threads there are.
    pub(crate) fn send_aside(&self) -> usize {
        self.pins.forget_all()
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

/// Finds that the view takes no time, which a lease would have to take.
#[inline(always)]
fn is_plain<T: Tenant>(tenant: &T, view: &T::View) -> Option<()> {
    let [plain, _] = tenant.views();
    ptr::eq(plain, view).then_some(())
}

/// A call that goes through without a lease. Dropping it ends the call, also where its work panics.
struct Passing<'pin> {
    pin: &'pin Pin,
    /// The mark of the pin when the call has ended.
    ended: Mark,
    exclusive: bool,
}

impl Drop for Passing<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.exclusive {
            self.pin.is_exclusive.store(false, Ordering::Relaxed);
        }
        self.pin.set_mark(self.ended);
    }
}
