//! The body: an author's value at a place of its own, where an interface's functions reach it without the adapter.
//!
//! # Invariants
//! 1. An [`Object`] is the address of the body of the same plugin whose tables it is offered with.
//! 2. `&mut` to the value and the services is made by the contract's `&mut self` entries only, which are called alone; so
//!    are the functions of a table that stand for `&mut self` methods.
//! 3. The body is freed with its [`Housed`], after which nobody calls. Pending calls have shares in the value of their own.
//! 4. There is a value from when the plugin was made until it is retired, or a restore has failed: only in between does
//!    anybody call a table's functions.

use crate::{
    answered::{Answered, OnHeap},
    context::Context,
    contract::{FaultKind, HostServicesBox},
    face::Object,
    guard::account,
};
use std::{
    any::Any,
    cell::UnsafeCell,
    panic::{self, AssertUnwindSafe},
    ptr::NonNull,
    sync::Arc,
};

#[repr(C)]
struct Body<P> {
    /// First, where a function comes to it by the shortest instructions.
    value: UnsafeCell<Option<Arc<P>>>,
    /// The context's services, to be had without its lock; let go of with the value.
    host: UnsafeCell<Option<Arc<HostServicesBox>>>,
    context: Context,
}

/// A pending call has a share in the value.
pub(crate) struct Shared;

/// What is said of that.
pub(crate) const SHARED: &str = "a pending call has a share in the plugin; it was not executed";

/// Owns a body.
pub(crate) struct Housed<P>(NonNull<Body<P>>);

// SAFETY: It owns a `P`, a `Context` and the services in that, which are `Send`, and shares nothing else.
unsafe impl<P: Send> Send for Housed<P> {}
// SAFETY: Through `&` only `&` to these is given, which are `Sync`.
unsafe impl<P: Sync> Sync for Housed<P> {}

impl<P> Housed<P> {
    /// A body without a value.
    pub(crate) fn new(context: Context) -> Self {
        let body = Body {
            value: UnsafeCell::new(None),
            host: UnsafeCell::new(context.services()),
            context,
        };
        Housed(NonNull::from(Box::leak(Box::new(body))))
    }

    /// Where it lies.
    pub(crate) fn object(&self) -> Object {
        Object(self.0.as_ptr().cast_const().cast())
    }

    fn body(&self) -> &Body<P> {
        // SAFETY: It is there until `drop`, and only `&` to the body as a whole is ever made.
        unsafe { self.0.as_ref() }
    }

    /// The context.
    pub(crate) fn context(&self) -> &Context {
        &self.body().context
    }

    /// The value.
    pub(crate) fn value(&self) -> Option<&Arc<P>> {
        // SAFETY: No `&mut` to it exists: the entries that make one are called alone.
        let value = unsafe { &*self.body().value.get() };
        value.as_ref()
    }

    /// The place of the value, for an entry that is called alone.
    fn place(&mut self) -> &mut Option<Arc<P>> {
        // SAFETY: This is reached through `&mut` to the adapter, whose entries are called alone.
        unsafe { &mut *self.body().value.get() }
    }

    /// Puts a value there, and gives the one of before.
    pub(crate) fn put(&mut self, value: P) -> Option<Arc<P>> {
        self.place().replace(Arc::new(value))
    }

    /// Takes the value out.
    pub(crate) fn take(&mut self) -> Option<Arc<P>> {
        self.place().take()
    }

    /// Lets go of the services.
    pub(crate) fn let_go(&mut self) {
        // SAFETY: This is reached through `&mut` to the adapter, whose entries are called alone.
        let host = unsafe { &mut *self.body().host.get() };
        drop(host.take());
        self.context().close();
    }

    /// The value, if there is one, for an entry that is called alone, with the context.
    pub(crate) fn alone(&mut self) -> (Option<Result<&mut P, Shared>>, &Context) {
        // SAFETY: This is reached through `&mut` to the adapter, whose entries are called alone.
        let value = unsafe { &mut *self.body().value.get() };
        let alone = value
            .as_mut()
            .map(|value| Arc::get_mut(value).ok_or(Shared));
        (alone, self.context())
    }
}

impl<P> Drop for Housed<P> {
    fn drop(&mut self) {
        // SAFETY: It came out of a `Box` in `new`, and nobody calls any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// What a table's function for a `&self` method does, which tells the host of it where it is `TIMED`. `object` is the one
/// offered with that table, of the plugin `P`.
#[inline(always)]
pub fn shared<const TIMED: bool, P, W>(
    object: Object,
    call: impl FnOnce(&P, &Context) -> W,
) -> Answered<W> {
    // SAFETY: An object is the address of a body of the plugin whose table this function stands in; it is there until
    // the plugin is retired.
    let body = unsafe { &*object.0.cast::<Body<P>>() };
    // SAFETY: No `&mut` to it exists: the entries that make one are called alone.
    let value = unsafe { &*body.value.get() };
    // SAFETY: There is one: this is called only from when the plugin was made until it is retired, and not after a restore
    // that has failed (invariant 4), by the same rule that keeps the body there.
    let value = unsafe { value.as_ref().unwrap_unchecked() };
    let _until_it_has_ended = TIMED.then(|| {
        // SAFETY: No `&mut` to it exists: the entries that make one are called alone.
        let host = unsafe { &*body.host.get() };
        Timed::begin(host.as_deref())
    });
    guarded(|| call(&**value, &body.context))
}

/// A call that the host takes the time of, until this is dropped.
struct Timed<'body>(Option<&'body HostServicesBox>);

impl<'body> Timed<'body> {
    fn begin(host: Option<&'body HostServicesBox>) -> Self {
        if let Some(host) = host {
            host.timed_call_begins();
        }
        Timed(host)
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        if let Some(host) = self.0 {
            host.timed_call_ends();
        }
    }
}

/// What a table's function for a `&mut self` method does. `object` is the one offered with that table, of the plugin `P`.
#[inline(always)]
pub fn exclusive<P, W>(object: Object, call: impl FnOnce(&mut P, &Context) -> W) -> Answered<W> {
    // SAFETY: An object is the address of a body of the plugin whose table this function stands in; it is there until
    // the plugin is retired.
    let body = unsafe { &*object.0.cast::<Body<P>>() };
    // SAFETY: By the contract this is called alone: no other reference to the value exists.
    let value = unsafe { &mut *body.value.get() };
    match value.as_mut().map(Arc::get_mut) {
        Some(Some(value)) => guarded(|| call(value, &body.context)),
        Some(None) => Answered::fault(shared_out()),
        None => Answered::fault(retired()),
    }
}

/// Runs author's code. Where it panics, the hook asks the host whether this thread is inside a call, and so guarded: a
/// count of our own would cost more than all the rest.
#[inline(always)]
fn guarded<W>(work: impl FnOnce() -> W) -> Answered<W> {
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Answered::good(value),
        Err(payload) => Answered::fault(panicked(payload)),
    }
}

#[cold]
#[inline(never)]
fn panicked(payload: Box<dyn Any + Send>) -> OnHeap {
    OnHeap::new(FaultKind::PANICKED, account(payload))
}

#[cold]
#[inline(never)]
fn shared_out() -> OnHeap {
    OnHeap::new(FaultKind::BUSY, SHARED.to_owned())
}

#[cold]
#[inline(never)]
fn retired() -> OnHeap {
    OnHeap::new(FaultKind::NOT_SERVING, "this plugin is retired".to_owned())
}
