//! Passing: a call that goes through a gate by its pin alone.
//!
//! What is not the common case (no pin yet, a call further out on the thread, a swap near, a tenant that the pin does not show)
//! goes through with a lease. No branch on the way is taken otherwise: one that is taken once in a million calls makes all of
//! them slower. So which call is timed is no question here: see [timing](super::timing). And what a call comes to by one load
//! after another is what it waits for, more than for all it does: so a pin shows the view itself, and whoever calls often
//! [approaches](Approach) with the place of the pin in his hand.

use super::{
    Arc, Call, Failure, Fences, Gate, NonNull, Ordering, Place, Refusal, Tenant,
    mark::Mark,
    pin::{self, Pin},
    sync::Instant,
    unpin,
};
use std::{hint::cold_path, time::Duration};

/// What has a gate, the same one as long as it is there.
pub(crate) trait Gated {
    /// What stands behind the gate.
    type Tenant: Tenant;
    /// The gate.
    fn gate(&self) -> &Gate<Self::Tenant>;
}

impl<T: Tenant> Gated for Gate<T> {
    type Tenant = T;

    #[inline(always)]
    fn gate(&self) -> &Gate<T> {
        self
    }
}

/// A way to a gate for whoever calls often: it keeps what has the gate, and knows the gate's place in threads' rows.
pub(crate) struct Approach<G> {
    to: Arc<G>,
    place: Place,
}

impl<G> Clone for Approach<G> {
    fn clone(&self) -> Self {
        Approach {
            to: Arc::clone(&self.to),
            place: self.place,
        }
    }
}

impl<G: Gated> Approach<G> {
    /// The one to the gate of this.
    pub(crate) fn to(to: Arc<G>) -> Self {
        Approach {
            place: to.gate().id.place(),
            to,
        }
    }

    /// What has the gate.
    #[inline(always)]
    pub(crate) fn holder(&self) -> &G {
        &self.to
    }

    /// Does `work` by the pin alone, with what `find` finds there; or gives back the `load` that it would need. It looks and
    /// turns back where `find` finds nothing, and where the gate has no place in the thread's row.
    #[inline(always)]
    pub(crate) fn pass_quickly<Found, Load, R>(
        &self,
        call: Call,
        find: impl FnOnce(&Here<'_, G::Tenant>) -> Option<Found>,
        work: impl FnOnce(&Here<'_, G::Tenant>, Found, Load) -> R,
        load: Load,
    ) -> Result<R, Load> {
        // The place of the gate that the holder has, which it keeps.
        pass_at(self.place, call, find, work, load)
    }
}

/// Where a call is that passes: inside of the tenant that its pin shows.
pub(crate) struct Here<'pass, T: Tenant> {
    pin: &'pass Pin,
    view: &'pass T::View,
}

impl<'pass, T: Tenant> Here<'pass, T> {
    /// The view that the pin shows: the plain one or the timed one.
    #[inline(always)]
    pub(crate) fn view(&self) -> &T::View {
        self.view
    }

    /// The tenant.
    #[inline(always)]
    pub(crate) fn tenant(&self) -> &T {
        unpin::reach_here(self)
    }

    /// Finds that the view takes no time, which a lease would have to take.
    #[inline(always)]
    fn is_plain(&self) -> Option<()> {
        self.pin.views.is_plain(self.view).then_some(())
    }

    #[inline(always)]
    pub(super) fn pin(&self) -> &'pass Pin {
        self.pin
    }
}

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
        match pass_at(
            self.id.place(),
            call,
            |here| here.is_plain(),
            do_there,
            work,
        ) {
            Ok(result) => Ok(result),
            Err(work) => {
                // Not by value, so that the result of the quick way can stay in a register.
                let mut result = None;
                self.pass_slowly(limit, call, work, &mut result)?;
                result.ok_or(Refusal::Vacant)
            }
        }
    }

    /// Does `work` by a pin out of the thread's table, where the gate has no place in its row; or with a lease. Calls by the
    /// door are timed as those are that pass: while a swap waits for the pins there are many.
    #[cold]
    #[inline(never)]
    fn pass_slowly<R, F: FnOnce(&T) -> R>(
        &self,
        limit: Duration,
        call: Call,
        mut work: F,
        result: &mut Option<R>,
    ) -> Result<(), Refusal> {
        if !self.id.has_place() {
            match self.pass_by_table(call, |here| here.is_plain(), do_there, work) {
                Ok(done) => {
                    *result = Some(done);
                    return Ok(());
                }
                Err(not_done) => work = not_done,
            }
        }
        let pin = pin::own(self.id);
        let is_timed = pin.is_none_or(|pin| unpin::look(&pin).is_next_timed());
        // Looked at where it is: to move it takes as long as the lock.
        let entered = self.enter_since(is_timed.then(Instant::now), limit);
        let lease = entered.as_ref().map_err(|refusal| *refusal)?;
        lease.note(call).map_err(Refusal::Knot)?;
        lease.is_a_call();
        *result = Some(work(lease.tenant()));
        Ok(())
    }

    /// Does `work` by a pin out of the thread's table, if it has one, with what `find` finds there; or gives back the `load`.
    pub(crate) fn pass_by_table<Found, Load, R>(
        &self,
        call: Call,
        find: impl FnOnce(&Here<'_, T>) -> Option<Found>,
        work: impl FnOnce(&Here<'_, T>, Found, Load) -> R,
        load: Load,
    ) -> Result<R, Load> {
        match pin::own(self.id) {
            Some(pin) => pass_by(pin, self.fences, call, find, work, load),
            None => Err(load),
        }
    }

    /// Whether those who [approach](Approach) it pass: it has a place in threads' rows.
    pub(crate) fn shows_by_rows(&self) -> bool {
        self.id.has_place()
    }

    /// Has each thread's next call go with a lease, as the first call of a tenant does. Says how many threads there are.
    pub(crate) fn send_aside(&self) -> usize {
        self.pins.hide_all()
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

fn do_there<T: Tenant, R>(here: &Here<'_, T>, (): (), work: impl FnOnce(&T) -> R) -> R {
    work(here.tenant())
}

/// Passes by the calling thread's pin at this place, which is that of a gate with such tenants. The gate is there meanwhile.
#[inline(always)]
fn pass_at<T: Tenant, Found, Load, R>(
    place: Place,
    call: Call,
    find: impl FnOnce(&Here<'_, T>) -> Option<Found>,
    work: impl FnOnce(&Here<'_, T>, Found, Load) -> R,
    load: Load,
) -> Result<R, Load> {
    match place.shown() {
        Some(pin) => pass_by(pin, Fences::OnTheOne, call, find, work, load),
        None => Err(load),
    }
}

/// Passes by this pin of the calling thread's, on a gate with these fences and such tenants. The gate is there meanwhile.
#[inline(always)]
fn pass_by<T: Tenant, Found, Load, R>(
    pin: NonNull<Pin>,
    fences: Fences,
    call: Call,
    find: impl FnOnce(&Here<'_, T>) -> Option<Found>,
    work: impl FnOnce(&Here<'_, T>, Found, Load) -> R,
    load: Load,
) -> Result<R, Load> {
    let pin = unpin::look(&pin);
    let mark = pin.own_mark();
    if mark.is_inside() {
        return Err(load);
    }
    pin.set_mark(mark.inside(call.note));
    fences.of_the_many();
    if let Some(view) = unpin::see::<T>(pin) {
        let here = Here { pin, view };
        if let Some(found) = find(&here) {
            let _until_it_has_ended = Passing {
                pin,
                ended: mark.next(),
                exclusive: call.exclusive,
            };
            pin.note_exclusive(call);
            return Ok(work(&here, found, load));
        }
    }
    cold_path();
    pin.set_mark(mark);
    Err(load)
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
