//! A handle: how one plugin calls another through an interface that both know.
//!
//! The host keeps the door; this side only brings along what is to be done inside. [`Port`] runs it through the
//! contract, in a function that the host calls back between entering and leaving.

use crate::{
    answered::Answered,
    context::CallError,
    contract::{Entry, FaultKind, PortBox, Visit},
    face::{Object, Table},
    interface::{Called, Entrance, Interface},
};
use abi_stable::std_types::RResult;
use std::{
    fmt,
    marker::PhantomData,
    ops::Deref,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

/// Another plugin, seen through an interface that it offers: see [`Context::handle`](crate::Context::handle).
///
/// Its methods are those of the interface, with a [`CallError`] around what they return. It holds through swaps of the
/// other plugin; as long as it is there, no build of the other plugin is taken that lacks the interface.
pub struct Handle<I: Interface + ?Sized> {
    client: I::Client<Port<I>>,
}

impl<I: Interface + ?Sized> Handle<I> {
    pub(crate) fn new(port: PortBox) -> Self {
        Handle {
            client: I::client(Port {
                port: Arc::new(port),
                through: PhantomData,
            }),
        }
    }
}

impl<I: Interface + ?Sized> Deref for Handle<I> {
    type Target = I::Client<Port<I>>;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl<I: Interface + ?Sized> Clone for Handle<I> {
    fn clone(&self) -> Self {
        let Port { port, through } = I::entrance(&self.client);
        Handle {
            client: I::client(Port {
                port: Arc::clone(port),
                through: *through,
            }),
        }
    }
}

impl<I: Interface + ?Sized> fmt::Debug for Handle<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("interface", &I::NAME)
            .finish_non_exhaustive()
    }
}

/// The way into another plugin.
#[doc(hidden)]
pub struct Port<I: ?Sized> {
    port: Arc<PortBox>,
    through: PhantomData<fn(&I)>,
}

impl<I: Interface + ?Sized> Entrance<I> for Port<I> {
    type Error = CallError;

    fn enter<W, R>(
        &self,
        method: Called,
        call: impl FnOnce(Object, &I::Table) -> Answered<W>,
        keep: impl FnOnce(W) -> R,
    ) -> Result<R, CallError> {
        let mut outcome = None;
        let mut inside = Errand {
            work: Some(|object, table: *const ()| {
                // SAFETY: The host calls back with a table that fits this interface, whose library stays mapped
                // meanwhile: it has compared the descriptions when it gave this port.
                let table = unsafe { Table::reach::<I>(table) };
                let done = panic::catch_unwind(AssertUnwindSafe(|| {
                    call(object, table).into_result().map(keep)
                }));
                let entry = match &done {
                    Ok(Err(fault)) if fault.kind == FaultKind::PANICKED => Entry::PANICKED,
                    _ => Entry::DONE,
                };
                outcome = Some(done);
                entry
            }),
        };
        let visit = inside.visit();
        let entered = self.port.with(method.number, method.exclusive, visit);
        drop(inside);
        match (outcome, entered) {
            (Some(Ok(done)), _) => done.map_err(|fault| *fault),
            // A panic of this side's own goes on here.
            (Some(Err(payload)), _) => panic::resume_unwind(payload),
            (None, RResult::RErr(fault)) => Err(CallError::from(fault)),
            (None, RResult::ROk(())) => Err(not_entered(method)),
        }
    }
}

fn not_entered(method: Called) -> CallError {
    CallError {
        kind: FaultKind::UNAVAILABLE,
        message: format!("`{}` was not executed: the host did not enter", method.name),
    }
}

/// What is to be done inside.
struct Errand<F> {
    work: Option<F>,
}

impl<F: FnOnce(Object, *const ()) -> Entry> Errand<F> {
    /// It, as the host calls it back. It must not be called once `self` is gone.
    fn visit(&mut self) -> Visit {
        Visit {
            run: run::<F>,
            errand: (&raw mut *self).cast(),
        }
    }
}

extern "C" fn run<F: FnOnce(Object, *const ()) -> Entry>(
    object: Object,
    table: Table,
    errand: *mut (),
) -> Entry {
    // SAFETY: It is the errand that `visit` was made of, which is borrowed for the length of the host's `with`.
    let errand = unsafe { &mut *errand.cast::<Errand<F>>() };
    match errand.work.take() {
        Some(work) => work(object, table.address()),
        None => Entry::DONE,
    }
}
