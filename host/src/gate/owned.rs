//! An owned lease: the right to be inside of a call that is pending, on no thread in particular.
//!
//! Between two polls, the future of an async method lives in its plugin while no thread is inside. So its lease is not a
//! note on a pin, but an entry in the gate's *register*: taken on one thread, given back on another, held in between for
//! as long as the call is pending. Whoever closes the gate first *holds back* new ones, and waits until those that there
//! are have ended; callers with leases of their threads come and go meanwhile. Who is held back leaves a waker, and
//! keeps no thread waiting.
//!
//! # Invariants
//! 1. An entry is made, and its tenant looked up, under the register's lock. So whoever puts another tenant behind the
//!    gate finds all entries on the one before.
//! 2. While new leases are held back, only a call from inside has one: one that a pending call makes whose own lease is in the
//!    register, or a thread that is inside by its pin and stays there for the length of the call. Closing waits for
//!    those further out, and they wait for this one.
//! 3. A lease lets go of the tenant first, and of its entry then.

use super::{
    Failure, Gate, GateId, Inside, Refusal, Tenant, pin,
    sync::{Condvar, Instant, Mutex, thread_local},
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Pending calls that may be inside one another.
const DEEPEST: u32 = super::DEEPEST;

/// The owned leases on one gate, and who waits for one.
#[derive(Default)]
pub(super) struct Register {
    book: Mutex<Book>,
    ended: Condvar,
}

#[derive(Default)]
struct Book {
    /// Of entries and of those who wait.
    last_number: u64,
    /// By how many new leases are held back.
    held_back: u32,
    inside: BTreeMap<u64, Entry>,
    /// How many are inside of each tenant.
    counts: BTreeMap<u64, usize>,
    /// In the order of their coming.
    waiting: BTreeMap<u64, Waker>,
}

struct Entry {
    tenant: u64,
    method: Option<u32>,
    since: Instant,
}

impl Book {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn enter(&mut self, tenant: u64) -> u64 {
        let number = self.number();
        let entry = Entry {
            tenant,
            method: None,
            since: Instant::now(),
        };
        self.inside.insert(number, entry);
        *self.counts.entry(tenant).or_default() += 1;
        number
    }

    /// Whether one of these is inside of this tenant of this gate, and has not ended.
    fn has(&self, within: &Within, gate: GateId, tenant: u64) -> bool {
        within.links().any(|link| {
            link.gate == gate && link.tenant == tenant && self.inside.contains_key(&link.lease)
        })
    }

    /// Says whether it was the last inside of its tenant.
    fn leave(&mut self, number: u64) -> bool {
        let Some(entry) = self.inside.remove(&number) else {
            return false;
        };
        match self.counts.get_mut(&entry.tenant) {
            Some(count) if *count > 1 => {
                *count -= 1;
                false
            }
            _ => {
                self.counts.remove(&entry.tenant);
                true
            }
        }
    }
}

impl Register {
    /// Waits until there is no lease on this tenant, at most until `deadline`. Says whether there is none.
    pub(super) fn wait_until_empty(&self, tenant: Option<u64>, deadline: Instant) -> bool {
        let Some(tenant) = tenant else { return true };
        let mut book = self.book.lock();
        while book.counts.contains_key(&tenant) {
            if self.ended.wait_until(&mut book, deadline).timed_out() {
                return !book.counts.contains_key(&tenant);
            }
        }
        true
    }

    /// Whether there is no lease on this tenant.
    pub(super) fn is_empty(&self, tenant: Option<u64>) -> bool {
        tenant.is_none_or(|tenant| !self.book.lock().counts.contains_key(&tenant))
    }

    /// The calls that are pending, oldest first: all, or those inside one tenant.
    pub(super) fn inside(&self, tenant: Option<u64>) -> Vec<Inside> {
        let book = self.book.lock();
        book.inside
            .values()
            .filter(|entry| tenant.is_none_or(|tenant| entry.tenant == tenant))
            .map(|entry| Inside {
                tenant: entry.tenant,
                method: entry.method,
                since: Some(entry.since),
                thread: Arc::from(""),
            })
            .collect()
    }
}

/// Holds new owned leases back. When the last of these is dropped, whoever waits is woken.
pub(crate) struct HeldBack(Arc<Register>);

impl Drop for HeldBack {
    fn drop(&mut self) {
        let mut book = self.0.book.lock();
        book.held_back -= 1;
        if book.held_back > 0 {
            return;
        }
        let waiting = std::mem::take(&mut book.waiting);
        // Whoever is woken may come here at once.
        drop(book);
        waiting.into_values().for_each(Waker::wake);
    }
}

impl<T: Tenant> Gate<T> {
    /// Holds new owned leases back for as long as the result lives.
    pub(crate) fn hold_back(&self) -> HeldBack {
        self.register.book.lock().held_back += 1;
        HeldBack(Arc::clone(&self.register))
    }

    /// An owned lease, once new ones are not held back, for a call `within` others. It waits for ever: the caller sets a limit.
    pub(crate) fn enter_owned(&self, within: Within) -> Enter<'_, T> {
        Enter {
            gate: self,
            within,
            number: None,
        }
    }

    /// Whether the calling thread is inside.
    pub(crate) fn is_inside_here(&self) -> bool {
        pin::is_inside(self.id)
    }

    /// Whether the call further out on this thread, if there is one, is called alone on this tenant.
    pub(crate) fn further_out(&self, tenant: &T) -> Option<bool> {
        pin::further_out(self.id, tenant.number())
    }

    /// Whether a call within these is inside of this tenant further out: it must not wait for itself. One that is inside
    /// of a tenant of before is not waited for.
    fn lets_in(&self, book: &Book, within: &Within, tenant: u64) -> bool {
        book.has(within, self.id, tenant) || pin::is_inside(self.id)
    }
}

/// A caller on its way to an owned lease.
pub(crate) struct Enter<'gate, T: Tenant> {
    gate: &'gate Gate<T>,
    within: Within,
    /// Its number among those who wait.
    number: Option<u64>,
}

impl<T: Tenant> Future for Enter<'_, T> {
    type Output = Result<Owned<T>, Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let gate = self.gate;
        if self.within.depth() >= DEEPEST {
            return Poll::Ready(Err(Refusal::TooDeep));
        }
        let mut book = gate.register.book.lock();
        let tenant = gate.tenant();
        let is_from_inside = |tenant: &Arc<T>| gate.lets_in(&book, &self.within, tenant.number());
        if book.held_back > 0 && !tenant.as_ref().is_some_and(is_from_inside) {
            let number = self.number.unwrap_or_else(|| book.number());
            let before = book.waiting.insert(number, context.waker().clone());
            // The first invariant: whoever has no entry does not keep a tenant.
            drop(tenant);
            drop(book);
            drop(before);
            self.number = Some(number);
            return Poll::Pending;
        }
        let Some(tenant) = tenant else {
            return Poll::Ready(Err(Refusal::Vacant));
        };
        let number = book.enter(tenant.number());
        drop(book);
        tenant.tally().pends();
        let link = Link {
            gate: gate.id,
            lease: number,
            tenant: tenant.number(),
            depth: self.within.depth() + 1,
            outer: self.within.clone(),
        };
        Poll::Ready(Ok(Owned {
            tenant: Kept {
                tenant,
                since: Instant::now(),
                is_a_call: false,
            },
            place: Place {
                register: Arc::clone(&gate.register),
                number,
            },
            within: Within(Some(Arc::new(link))),
        }))
    }
}

impl<T: Tenant> Drop for Enter<'_, T> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waker = self.gate.register.book.lock().waiting.remove(&number);
            drop(waker);
        }
    }
}

/// A pending call's right to be inside.
pub(crate) struct Owned<T: Tenant> {
    // In this order: see the third invariant.
    tenant: Kept<T>,
    place: Place,
    within: Within,
}

/// The tenant of a pending call, which counts it at its end.
struct Kept<T: Tenant> {
    tenant: Arc<T>,
    since: Instant,
    is_a_call: bool,
}

impl<T: Tenant> Drop for Kept<T> {
    fn drop(&mut self) {
        let took = self.is_a_call.then(|| self.since.elapsed());
        self.tenant.tally().ended(took);
    }
}

impl<T: Tenant> Owned<T> {
    /// What it leads to.
    pub(crate) fn tenant(&self) -> &Arc<T> {
        &self.tenant.tenant
    }

    /// The call itself, and those it is within: what calls that it makes are within.
    pub(crate) fn within(&self) -> &Within {
        &self.within
    }

    /// Its number: no two leases on a gate have the same.
    pub(crate) fn number(&self) -> u64 {
        self.place.number
    }

    /// Says that the call is executed, and to be counted.
    pub(crate) fn is_a_call(&mut self) {
        self.tenant.is_a_call = true;
    }

    /// Counts that the call failed.
    pub(crate) fn count_failure(&self, failure: Failure) {
        self.tenant.tenant.tally().fail(failure);
    }

    /// Notes which method is called, for those who ask who is inside.
    pub(crate) fn note_method(&self, method: u32) {
        let mut book = self.place.register.book.lock();
        if let Some(entry) = book.inside.get_mut(&self.place.number) {
            entry.method = Some(method);
        }
    }
}

/// An entry in a register.
struct Place {
    register: Arc<Register>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.register.book.lock();
        if book.leave(self.number) {
            self.register.ended.notify_all();
        }
    }
}

/// The pending calls that something is done within, from the inside out: they wait for it.
#[derive(Clone, Default)]
pub(crate) struct Within(Option<Arc<Link>>);

struct Link {
    gate: GateId,
    lease: u64,
    tenant: u64,
    depth: u32,
    outer: Within,
}

thread_local! {
    static WITHIN: RefCell<Within> = const { RefCell::new(Within(None)) };
}

/// Whether the calling thread holds any lease, on any gate, or runs something within a pending call.
pub(crate) fn is_inside_any() -> bool {
    pin::is_inside_any() || Within::current().is_some()
}

impl Within {
    /// What the calling thread runs now is within these.
    pub(crate) fn current() -> Within {
        let current = WITHIN.try_with(|within| within.borrow().clone());
        current.unwrap_or_default()
    }

    /// What the calling thread runs is within these, until the result is dropped.
    pub(crate) fn begin(&self) -> Began {
        let before = WITHIN.try_with(|within| within.replace(self.clone()));
        Began {
            before: before.unwrap_or_default(),
            _on_this_thread: PhantomData,
        }
    }

    /// Whether there are any.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Whether one of these is inside of this tenant, and has not ended.
    pub(crate) fn holds<T: Tenant>(&self, gate: &Gate<T>, tenant: &T) -> bool {
        self.is_some()
            && gate
                .register
                .book
                .lock()
                .has(self, gate.id, tenant.number())
    }

    fn depth(&self) -> u32 {
        self.0.as_ref().map_or(0, |link| link.depth)
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        std::iter::successors(self.0.as_deref(), |link| link.outer.0.as_deref())
    }
}

/// A thread runs something within pending calls.
pub(crate) struct Began {
    before: Within,
    _on_this_thread: PhantomData<*const ()>,
}

impl Drop for Began {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.before);
        // A thread past its thread-locals keeps none.
        let _nowhere = WITHIN.try_with(|within| within.replace(before));
    }
}

#[cfg(all(test, not(modelled)))]
mod tests;
