//! The gate: how callers get in to what a slot holds, and how a swap gets them out.
//!
//! A caller takes a *lease* to go through and gives it back when its call returns. A swap *closes* the gate: callers who
//! are inside finish, callers who arrive wait outside, and enter whatever stands behind the gate afterwards. Where two
//! tenants may serve side by side, a swap *replaces* the tenant instead, and the leases on the old one run out by
//! themselves.
//!
//! The door is a read-write lock: a lease holds its read side, closing its write side. Two locked instructions a call
//! would be most of the cost of a call, and all threads would write to the same word. So as long as no swap is near, the
//! gate is *biased*: callers leave the door alone, and only note on a *pin* of their own thread that they are inside.
//!
//! Most calls *pass*: they note no more than that, and count by it, and ask nobody but the pin, which *shows* them the tenant.
//! A lease also takes the time, and its caller can be asked since when it is inside; of the calls that pass, some are found
//! through a view that does the same: see [timing](timing). What pins count comes together in the tenant's *tally*.
//!
//! # Terms and states
//! - *pin*: one thread's note on one gate. Its [mark](mark) counts the leases that have ended, and says whether one has not,
//!   whose number is the next. Only nested leases are not counted: they end before the one they are nested in.
//! - *bias*: the tenant, where callers may enter by their pins alone; null where they must go by the door.
//! - *shown*: a view of the bias, on the pin of a thread that has been inside of it; null where its next call goes with a lease.
//! - *biased* (bias = current), *by the door* (bias null, the lock free for readers), *closed* (bias null, the write side
//!   held). A swap goes from the first to the second, waits for the pins, takes the lock, and goes back to the first.
//!   Callers wait only in the third, and while the lock is being taken, which is tried for a short time only.
//!
//! # Who may touch what
//! A pin is written by its own thread only, but for what it shows and its book, which are written under the book's lock: others
//! have it show nothing, or another view of the tenant that it shows, or have its next call timed. Anybody reads it (what it
//! counts under that lock). `current` and `tenant` are written by whoever holds the gate's `swap` lock: one swap at a time; so
//! is `bias`, but that whoever lets only insiders in makes it null at any time. The row and the table of a thread's pins
//! belong to that thread. What a pin says of its present lease (for whom it counts, that it goes by the door, or is for a
//! call made alone) is stored with release, after the leases of before: others decide by it whom to wait for.
//!
//! # Protocols, and why they hold
//! 1. *Enter by the pin, against leaving the bias.* The caller marks its pin, passes its fence, loads what the pin shows (or
//!    `bias`, for a lease). The swap stores null to `bias`, has every pin show nothing, passes its fence, loads every mark. By
//!    the fences one of them sees the other's store: either the caller finds null and goes by the door, or the swap finds
//!    it inside and waits. A caller whose pin is not on the list yet takes the list's lock after the swap has, and so finds
//!    null. Who turns back, and calls nothing, takes its number back; whoever waits for that number asks whether anybody is
//!    inside at all.
//! 2. *Leave.* Every mark is stored with release, and loaded with acquire: what a call did happens before what the swap
//!    does with the tenant, also where the swap sees but the mark of the thread's next lease.
//! 3. *By the door.* The caller holds the read side before it reads `current`, and marks its pin `by_the_door`; a swap
//!    does not wait for such pins, since it will have the write side.
//! 4. *Replace.* The bias is left, the new tenant is stored to `current`, then to `bias`: so a thread that has found it by
//!    the door or nested does not find the old one by its pin any more. After the fence the number of every pin's lease is
//!    noted. A lease that begins later finds the new tenant; one that began before has ended when so many have. By the door
//!    the same fences stand between the pin's store and the load of `current`. The number may be that of a lease on the new
//!    tenant already: then the old one is waited for longer than need be.
//! 5. *Pending.* A call that is pending holds an [owned](owned) lease: an entry in a register, which closing waits for
//!    before it leaves the bias, and which counts as inside of its tenant.
//! 6. *Nested.* A thread that is inside a gate goes through it again without touching door or counters: it would wait
//!    behind a swap that waits for it. What it reads as `current` stays until its outer lease ends: closing waits for that
//!    lease, and replacing for its number.
//! 7. *Show, and count.* A thread inside of a tenant, with a lease, has its pin show it: under the book's lock, and only where
//!    `bias` is that tenant still. Whoever leaves the bias takes that lock of every pin, after the store of null to `bias`: a
//!    thread that comes to the lock before has its pin hidden, one that comes after finds null, or a later bias; so does one
//!    whose pin was not on the list yet, since it takes the list's lock later. So what is shown is of the bias, and no pin
//!    shows a tenant that is about to be given away, or that ends with its gate. A pin may be made to show nothing at any
//!    other time too. It counts for the tenant whose lease was its thread's last, by that one's number.
//! 8. *Alone.* Where a tenant has a lock between its calls, callers may pass without it as long as nobody calls alone: see
//!    [guarding](guarding).
//!
//! # Races considered
//! A swap that gives up restores the bias before it lets the next one begin; callers by the door at that time keep the
//! read side, and the next closing waits for them there. Where only insiders are let in, a swap that restores the bias
//! stores it and looks for that mark; who marks looks the other way round: one of them sees the other, and it ends null. Gates
//! are never mistaken for one another: their numbers are not used again. Their places in threads' rows are, and a pin may
//! still stand there whose gate has ended: it shows nothing (protocol 7), so nobody passes by it. A pin outlives its
//! thread's table only on the gate's list, which that thread's end takes it off. A thread past its thread-locals has a pin
//! for each lease and always goes by the door: what it nests is bounded by its limits only.
//!
//! A model checker goes through these protocols in `tests/models`, with full fences on both sides; not through the system
//! call `membarrier`, which differs only in who fences, nor through rows, which gates without full fences have, nor through
//! threads past their thread-locals, nor through swaps beside the letting in of insiders only, whose order is sequential
//! consistency, which the checker does not have.
//!
//! Why not one lock (2.4 times the cost of a call, 20 times on two threads), counters by shard (1.6 times), or epochs (no
//! deadline, no names).

mod closing;
mod fence;
mod guarding;
mod latency;
mod lease;
mod mark;
mod owned;
mod passing;
mod pin;
mod row;
#[expect(unsafe_code, reason = "looks at a pin that its caller keeps")]
mod stay;
mod sync;
mod tally;
#[cfg(all(test, not(modelled)))]
mod tests;
mod timing;
mod views;

pub(crate) use closing::Closed;
pub(crate) use fence::Fences;
pub(crate) use guarding::Openness;
use lease::Way;
pub(crate) use lease::{Call, Knot, Lease};
pub(crate) use mark::Note;
#[cfg_attr(modelled, expect(unused_imports, reason = "models have no handles"))]
pub(crate) use mark::Notes;
use mark::{Mark, Number};
use owned::{HeldBack, Register};
pub(crate) use owned::{Owned, Within, is_inside_any};
use passing::Here;
#[cfg_attr(modelled, expect(unused_imports, reason = "models have no handles"))]
pub(crate) use passing::{Approach, Gated};
pub(crate) use pin::Inside;
use pin::{Pin, Pins};
pub(crate) use row::GateId;
use row::Place;
#[cfg_attr(modelled, expect(unused_imports, reason = "models have no data"))]
pub(crate) use stay::{Brief, Stay};
use std::{
    cell::Cell,
    marker::PhantomData,
    ptr::{self, NonNull},
    sync::Arc,
    time::Duration,
};
use sync::{AtomicBool, AtomicPtr, Instant, Mutex, Ordering, RwLock};
pub(crate) use tally::{Failure, Tally};

/// Leases on one gate that a thread may hold inside one another.
pub(crate) const DEEPEST: u32 = 64;

/// What stands behind a gate.
pub(crate) trait Tenant {
    /// How callers see it: where a call finds what it calls.
    type View;
    /// The plain view, and the timed one: what is found there takes the time, between [`GateId::call_begins`] and
    /// [`GateId::call_ends`]. They are there, unmoved, as long as the tenant. Where both are the same, only leases are timed.
    ///
    /// It is asked for them when a pin is to show it, under the lock of that pin's book.
    fn views(&self) -> [&Self::View; 2];
    /// Its number: no two tenants of a gate have the same, and none has 0.
    fn number(&self) -> u64;
    /// Where the calls into it are counted.
    fn tally(&self) -> &Arc<Tally>;
    /// Whether it is open to callers without a lock, where it has one between its calls: see [guarding](guarding).
    fn openness(&self) -> Option<&Openness> {
        None
    }
}

/// The door of a slot.
#[repr(C, align(128))]
pub(crate) struct Gate<T> {
    bias: AtomicPtr<T>,
    id: GateId,
    fences: Fences,
    /// Whether only threads that are inside of some gate are let in, for the rest of its life.
    for_insiders: AtomicBool,
    current: AtomicPtr<T>,
    door: RwLock<()>,
    /// Held by whoever changes the gate's state: one swap at a time.
    swap: Mutex<()>,
    /// What `current` points to, kept alive.
    tenant: Mutex<Option<Arc<T>>>,
    pins: Arc<Pins>,
    /// The leases of pending calls.
    register: Arc<Register>,
}

/// Why a caller was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing stands behind the gate.
    Vacant,
    /// The gate did not open in time.
    OutOfTime,
    /// The thread is inside as often as it may be.
    TooDeep,
    /// The call would wait for a call further out on its thread.
    Knot(Knot),
    /// Only callers who are inside of some gate are let in.
    ForInsiders,
}

impl<T: Tenant> Gate<T> {
    /// A gate with nothing behind it.
    pub(crate) fn new() -> Self {
        Gate::with_fences(Fences::of_this_process())
    }

    pub(crate) fn with_fences(fences: Fences) -> Self {
        Gate {
            bias: AtomicPtr::new(ptr::null_mut()),
            id: GateId::new(fences),
            fences,
            for_insiders: AtomicBool::new(false),
            current: AtomicPtr::new(ptr::null_mut()),
            door: RwLock::new(()),
            swap: Mutex::new(()),
            tenant: Mutex::new(None),
            pins: Arc::default(),
            register: Arc::default(),
        }
    }

    /// What stands behind it now, without a lease: for those who look and do not call.
    pub(crate) fn tenant(&self) -> Option<Arc<T>> {
        self.tenant.lock().clone()
    }

    /// Lets the caller in, waiting at most `limit` while the gate is closed.
    ///
    /// The lease must end on this thread in the reverse order of its beginning, as a local of a call does.
    pub(crate) fn enter(&self, limit: Duration) -> Result<Lease<'_, T>, Refusal> {
        self.enter_since(Some(Instant::now()), limit)
    }

    /// The same for a caller who has come at that time; one without a time is not timed, unless it has to wait.
    #[inline]
    fn enter_since(
        &self,
        since: Option<Instant>,
        limit: Duration,
    ) -> Result<Lease<'_, T>, Refusal> {
        match pin::own(self.id) {
            Some(pin) => self.enter_with(pin, None, since, limit),
            None => {
                let (pin, kept) = pin::make(self.id, &self.pins);
                let place = NonNull::from(&*pin);
                // A thread past its thread-locals has a pin for this one lease, by the door, which takes it off the list.
                let for_one = (!kept).then_some(pin);
                self.enter_with(place, for_one, since, limit)
            }
        }
    }

    #[inline(always)]
    fn enter_with(
        &self,
        pin: NonNull<Pin>,
        for_one: Option<Arc<Pin>>,
        since: Option<Instant>,
        limit: Duration,
    ) -> Result<Lease<'_, T>, Refusal> {
        let note = unpin::look(&pin);
        let mark = note.own_mark();
        if mark.is_inside() {
            return self.enter_nested(pin, since);
        }
        note.set_mark(mark.inside(Note::NAMELESS));
        self.fences.of_the_many();
        let tenant = self.bias.load(Ordering::Acquire);
        match NonNull::new(tenant) {
            Some(tenant) if for_one.is_none() => Ok(self.lease(tenant, pin, Way::Pin, since)),
            _ => self.enter_by_the_door(pin, for_one, mark, since, limit),
        }
    }

    /// A lease on this tenant, whose calls the pin counts from now on.
    #[inline(always)]
    fn lease<'gate>(
        &'gate self,
        tenant: NonNull<T>,
        pin: NonNull<Pin>,
        way: Way<'gate>,
        mut since: Option<Instant>,
    ) -> Lease<'gate, T> {
        if !matches!(way, Way::Nested) {
            let is_new = self.introduce(unpin::look(&pin), unpin::reach(&tenant));
            if is_new {
                since.get_or_insert_with(Instant::now);
            }
        }
        // Made where it goes: to move it takes as long as the lock.
        Lease {
            gate: self,
            tenant,
            pin,
            way,
            since,
            is_a_call: Cell::new(false),
            _on_this_thread: PhantomData,
        }
    }

    /// Has the calling thread's pin count for this tenant, which it is inside of, and show it. Says whether it is the pin's
    /// first lease on that one.
    fn introduce(&self, pin: &Pin, tenant: &T) -> bool {
        let is_new = !pin.counts_for(tenant.number());
        if is_new {
            pin.count_for(tenant.number(), tenant.tally());
        }
        let address = &raw const *tenant;
        let may_be_entered = || ptr::eq(self.bias.load(Ordering::SeqCst), address);
        // Asked twice, so that who goes by the door while a swap is near takes no lock for nothing.
        if pin.views.shown().is_null() && may_be_entered() {
            let views = || tenant.views().map(|view| (&raw const *view).cast());
            pin.show(address.cast(), || may_be_entered().then(views));
        }
        is_new
    }

    /// Goes in by the lock, since a swap is near, or nothing stands behind the gate.
    #[cold]
    #[inline(never)]
    fn enter_by_the_door(
        &self,
        pin: NonNull<Pin>,
        for_one: Option<Arc<Pin>>,
        mark: Mark,
        mut since: Option<Instant>,
        limit: Duration,
    ) -> Result<Lease<'_, T>, Refusal> {
        let note = unpin::look(&pin);
        note.set_mark(mark);
        let refuse = |refusal| {
            if let Some(pin) = &for_one {
                self.pins.remove(pin);
            }
            Err(refusal)
        };
        if self.for_insiders.load(Ordering::SeqCst) && !is_inside_any() {
            return refuse(Refusal::ForInsiders);
        }
        // A swap that goes well closes the door for less than it takes to be woken.
        let door = for_a_moment(|| self.door.try_read()).or_else(|| {
            since.get_or_insert_with(Instant::now);
            self.door.try_read_for(limit)
        });
        let Some(door) = door else {
            return refuse(Refusal::OutOfTime);
        };
        note.by_the_door.store(true, Ordering::Release);
        note.set_mark(mark.inside(Note::NAMELESS));
        self.fences.of_the_many();
        match NonNull::new(self.current.load(Ordering::Acquire)) {
            Some(tenant) => {
                let way = Way::Door {
                    _door: door,
                    for_one,
                };
                Ok(self.lease(tenant, pin, way, since))
            }
            None => {
                note.set_mark(mark);
                note.by_the_door.store(false, Ordering::Release);
                drop(door);
                refuse(Refusal::Vacant)
            }
        }
    }

    /// Goes in once more on a thread that is inside.
    #[cold]
    #[inline(never)]
    fn enter_nested(
        &self,
        pin: NonNull<Pin>,
        since: Option<Instant>,
    ) -> Result<Lease<'_, T>, Refusal> {
        let note = unpin::look(&pin);
        let nested = note.nested.load(Ordering::Relaxed);
        // The counted lease is one of them.
        if nested + 1 >= DEEPEST {
            return Err(Refusal::TooDeep);
        }
        let tenant = NonNull::new(self.current.load(Ordering::Acquire)).ok_or(Refusal::Vacant)?;
        note.nested.store(nested + 1, Ordering::Relaxed);
        // It is counted apart from the pin, and all that is so counted has its time.
        let since = since.unwrap_or_else(Instant::now);
        Ok(self.lease(tenant, pin, Way::Nested, Some(since)))
    }

    /// Puts another tenant behind the open gate. The old one may still have callers inside.
    pub(crate) fn replace(&self, tenant: Option<Arc<T>>) -> Option<Leaving<T>> {
        let _alone = self.swap.lock();
        // First of all: whoever has found the new tenant in `current` must not find the old one here.
        self.leave_bias();
        let before = self.put(tenant)?;
        self.fences.of_the_one();
        Some(Leaving {
            tenant: Some(before),
            waits: self.pins.inside(),
            register: Arc::clone(&self.register),
        })
    }

    /// Makes a tenant the current one, open to callers. The bias was left.
    fn put(&self, tenant: Option<Arc<T>>) -> Option<Arc<T>> {
        let mut place = self.tenant.lock();
        let pointer = tenant
            .as_ref()
            .map_or(ptr::null_mut(), |tenant| Arc::as_ptr(tenant).cast_mut());
        let before = std::mem::replace(&mut *place, tenant);
        self.current.store(pointer, Ordering::SeqCst);
        self.set_bias(pointer);
        before
    }

    fn set_bias(&self, tenant: *mut T) {
        self.bias.store(tenant, Ordering::SeqCst);
        // In this order, and the other way round below: one of the two sees the other.
        if self.for_insiders.load(Ordering::SeqCst) {
            self.leave_bias();
        }
    }

    /// Has callers who come from now on go by the door. Who is on the way in by a pin may still come in, until there was a
    /// fence.
    fn leave_bias(&self) {
        self.bias.store(ptr::null_mut(), Ordering::SeqCst);
        self.pins.hide_all();
    }

    /// Lets in only callers who are inside of some gate, from now on: their calls are part of those that are to end. A
    /// call on its way in by its pin may still come in.
    pub(crate) fn admit_only_insiders(&self) {
        self.for_insiders.store(true, Ordering::SeqCst);
        self.leave_bias();
    }

    /// The calls that are inside, oldest first.
    pub(crate) fn inside(&self) -> Vec<Inside> {
        let mut inside: Vec<Inside> = self
            .pins
            .all()
            .iter()
            .filter(|pin| pin.is_inside())
            .map(|pin| pin.describe())
            .collect();
        inside.extend(self.register.inside(None));
        sort(&mut inside);
        inside
    }
}

/// Oldest first; last, of whom that is not known.
fn sort(inside: &mut [Inside]) {
    inside.sort_by_key(|call| (call.since.is_none(), call.since));
}

impl<T> Drop for Gate<T> {
    fn drop(&mut self) {
        // The next gate at its place finds its pins.
        self.pins.hide_all();
        self.id.end();
    }
}

/// Tries again and again, for a few microseconds: who sleeps instead is woken late.
fn for_a_moment<R>(attempt: impl Fn() -> Option<R>) -> Option<R> {
    (0..sync::TRIES).find_map(|_| {
        let done = attempt();
        if done.is_none() {
            sync::spin_loop();
        }
        done
    })
}

/// A tenant that no new caller can find, and the leases on it that have not ended. While one has not, the tenant is kept
/// alive: dropping this then leaves it in memory for good.
pub(crate) struct Leaving<T: Tenant> {
    tenant: Option<Arc<T>>,
    waits: Vec<(Number, Arc<Pin>)>,
    register: Arc<Register>,
}

impl<T: Tenant> Leaving<T> {
    /// The tenant, to look at.
    ///
    /// # Panics
    /// Never: it is there until [`Leaving::into_tenant`] takes it.
    pub(crate) fn tenant(&self) -> &Arc<T> {
        match &self.tenant {
            Some(tenant) => tenant,
            None => unreachable!("it is taken out by value only"),
        }
    }

    /// The calls that are inside.
    pub(crate) fn inside(&mut self) -> Vec<Inside> {
        self.waits.retain(|(lease, pin)| pin.holds(*lease));
        let mut inside: Vec<Inside> = self.waits.iter().map(|(_, pin)| pin.describe()).collect();
        let number = self.tenant.as_ref().map(|tenant| tenant.number());
        inside.extend(self.register.inside(number));
        inside
    }

    /// The tenant itself, with nobody inside and nobody looking at it.
    ///
    /// # Errors
    /// This, while somebody is or does.
    pub(crate) fn into_tenant(mut self) -> Result<T, Self> {
        if !self.inside().is_empty() {
            return Err(self);
        }
        match self.tenant.take().map(Arc::try_unwrap) {
            Some(Ok(tenant)) => Ok(tenant),
            Some(Err(tenant)) => {
                self.tenant = Some(tenant);
                Err(self)
            }
            None => unreachable!("it is taken out by value only"),
        }
    }
}

impl<T: Tenant> Drop for Leaving<T> {
    fn drop(&mut self) {
        let is_left = !self.inside().is_empty();
        let Some(tenant) = self.tenant.take() else {
            return;
        };
        if is_left {
            std::mem::forget(tenant);
        }
    }
}

/// The pointers of the gate, each followed in one place.
#[expect(unsafe_code, reason = "follows pointers that the protocols keep valid")]
mod unpin {
    use super::{Here, NonNull, Pin, Tenant};

    /// A pin of this thread.
    #[inline(always)]
    pub(super) fn look(pin: &NonNull<Pin>) -> &Pin {
        // SAFETY: It comes from this thread's row or table, or from an `Arc` on the gate's list. The thread's table or the
        // lease itself (`Way::Door`) keeps it: what the row shows is in the table, and is taken out of the row before it goes. A
        // lease is a local of a call: it ends before its thread's table does.
        unsafe { pin.as_ref() }
    }

    /// The tenant of a lease.
    #[inline(always)]
    pub(super) fn reach<T>(tenant: &NonNull<T>) -> &T {
        // SAFETY: It was `bias` or `current` when the lease began, kept alive by the gate's `tenant` then; and what is
        // taken out of there is a `Leaving`, which gives nothing away before the leases on it have ended (protocols 1,
        // 3, 4, 5 and 6), or comes out of a closed gate, where there are none.
        unsafe { tenant.as_ref() }
    }

    /// The view that a pin shows, if it shows one. The pin's thread is marked inside by it, and its gate is there.
    #[inline(always)]
    pub(super) fn see<T: Tenant>(pin: &Pin) -> Option<&T::View> {
        // SAFETY: What a pin shows is a view of its gate's present tenant, which its thread has put there while it was inside of
        // that (`introduce`), and the callers of `pass_at` and `pass_by` say whose tenants those of the gate are. Whoever takes
        // a tenant out of a gate has all pins show nothing first, and then waits for the marks of those who may have seen it
        // before (protocols 1 and 4).
        unsafe { pin.views.shown().cast::<T::View>().as_ref() }
    }

    /// The tenant whose view a pin shows to a call.
    #[inline(always)]
    pub(super) fn reach_here<'pass, T: Tenant>(here: &Here<'pass, T>) -> &'pass T {
        // SAFETY: It was stored with the view that the call has seen, by this thread, and is there as long as that view. It is not
        // stored anew meanwhile: a thread that is inside introduces nobody, since nested leases do not.
        unsafe { &*here.pin().views.tenant().cast() }
    }
}
