//! A handle: how a service, or a plugin by its port, calls a plugin through an interface that both know.
//!
//! A call takes a lease like any other, finds the table at its interface's place, calls the function, copies what that
//! gives, and leaves. What happens when nothing is wrong is inlined into the caller; the rest is cold and stands aside.
//! What the gate is told of a call is told in [`Passage::enter`] and `enter_heavily`, and nowhere else: the method's
//! number, which comes after those of the methods by name.

use crate::{
    announce::Announcer,
    core,
    error::CallError,
    event::Happening,
    foreign::{
        interpose,
        tables::{PlaceOf, reach},
    },
    gate::{self, Knot, Refusal},
    generation::Generation,
    interfaces::Line,
};
use plugin_api::{
    __private::{Answered, Called, Entrance},
    FaultKind, Interface,
    contract::Object,
};
use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A plugin, seen through an interface that it offers: see [`Host::handle`](crate::Host::handle).
///
/// Its methods are those of the interface, with a [`CallError`] around what they return: a method's own `Result` comes
/// inside. Clones are cheap, and go to other threads. It holds through swaps, an unload and a load again; as long as it is
/// there, no build of the plugin is taken that lacks the interface. When the host has ended, calls are
/// [`CallError::NotServing`].
pub struct Handle<I: Interface + ?Sized> {
    client: I::Client<Door<I>>,
}

impl<I: Interface + ?Sized> Handle<I> {
    /// A handle through a passage that was claimed by `I::DESCRIPTION`.
    pub(crate) fn new(passage: Passage) -> Self {
        let place = PlaceOf::claimed(passage.line.place);
        Handle {
            client: I::client(Door {
                passage: Arc::new(passage),
                place,
            }),
        }
    }
}

impl<I: Interface + ?Sized> Deref for Handle<I> {
    type Target = I::Client<Door<I>>;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl<I: Interface + ?Sized> Clone for Handle<I> {
    fn clone(&self) -> Self {
        let Door { passage, place } = I::entrance(&self.client);
        Handle {
            client: I::client(Door {
                passage: Arc::clone(passage),
                place: place.clone(),
            }),
        }
    }
}

impl<I: Interface + ?Sized> fmt::Debug for Handle<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let door = I::entrance(&self.client);
        f.debug_struct("Handle")
            .field("plugin", &door.passage.line.slot.name)
            .field("interface", &I::NAME)
            .finish()
    }
}

/// The way into a plugin by an interface.
#[doc(hidden)]
pub struct Door<I: ?Sized> {
    passage: Arc<Passage>,
    place: PlaceOf<I>,
}

impl<I: Interface + ?Sized> Entrance<I> for Door<I> {
    type Error = CallError;

    #[inline]
    fn enter<W, R>(
        &self,
        method: Called,
        call: impl FnOnce(Object, &I::Table) -> Answered<W>,
        keep: impl FnOnce(W) -> R,
    ) -> Result<R, CallError> {
        let entered = self.passage.enter(
            method.number,
            method.exclusive,
            #[inline(always)]
            |object, table| {
                call(object, reach(&self.place, table))
                    .into_result()
                    .map(keep)
            },
        );
        entered.map_err(|error| *error)
    }
}

/// What a call through an interface needs of the host.
pub(crate) struct Passage {
    /// To the interface's place.
    pub(crate) line: Line,
    /// Whether new calls are refused.
    pub(crate) shutting_down: Arc<AtomicBool>,
    /// Tells of a panic that leaves the state half changed.
    pub(crate) announcer: Arc<Announcer>,
    /// How long a call waits to be let in.
    pub(crate) limit: Duration,
}

impl Passage {
    /// Enters the plugin, does something with its object and the interface's table, and leaves. Errors are boxed all the
    /// way, so that a result of one word stays in registers.
    ///
    /// # Errors
    /// It was not let in, or what `inside` came to.
    #[inline(always)]
    pub(crate) fn enter<R>(
        &self,
        method: u32,
        exclusive: bool,
        inside: impl FnOnce(Object, *const ()) -> Result<R, Box<plugin_api::CallError>>,
    ) -> Result<R, Box<CallError>> {
        interpose::visit();
        if self.shutting_down.load(Ordering::Acquire) {
            self.may_enter_at_the_end()?;
        }
        match self.line.slot.gate.enter_lightly() {
            Some(lease) => {
                let generation = lease.tenant();
                let (table, first) = self.find(generation)?;
                lease.note_briefly(first + method, exclusive);
                self.run(generation, table, method, exclusive, inside)
            }
            None => self.enter_heavily(method, exclusive, inside),
        }
    }

    /// The same where a swap is near, the thread is new to the gate, or inside it already.
    #[cold]
    #[inline(never)]
    fn enter_heavily<R>(
        &self,
        method: u32,
        exclusive: bool,
        inside: impl FnOnce(Object, *const ()) -> Result<R, Box<plugin_api::CallError>>,
    ) -> Result<R, Box<CallError>> {
        let gate = &self.line.slot.gate;
        let lease = gate
            .enter(self.limit)
            .map_err(|refusal| self.refused(refusal, method))?;
        let generation = lease.tenant();
        let (table, first) = self.find(generation)?;
        lease
            .note_briefly(first + method, exclusive)
            .map_err(|knot| self.knotted(knot, method))?;
        self.run(generation, table, method, exclusive, inside)
    }

    /// The table, and the number that the gate knows its first method by.
    #[inline(always)]
    fn find(&self, generation: &Generation) -> Result<(*const (), u32), Box<CallError>> {
        match generation.instance.tables().find(self.line.place) {
            Some(found) => Ok(found),
            None => Err(self.offered_no_more()),
        }
    }

    /// Inside: calls, under the locks that the method needs.
    #[inline(always)]
    fn run<R>(
        &self,
        generation: &Generation,
        table: *const (),
        method: u32,
        exclusive: bool,
        inside: impl FnOnce(Object, *const ()) -> Result<R, Box<plugin_api::CallError>>,
    ) -> Result<R, Box<CallError>> {
        if exclusive && generation.snapshot_is_stuck() {
            return Err(self.stuck(method));
        }
        let done = generation
            .instance
            .enter(exclusive, self.limit, |object| inside(object, table));
        match done {
            Some(Ok(value)) => Ok(value),
            Some(Err(fault)) => Err(self.failed(&fault, generation, method, exclusive)),
            None => Err(self.waited(method)),
        }
    }

    fn name(&self, method: u32) -> String {
        let method = self.line.wanted.methods.get(method as usize);
        let method = method.map_or("?", |method| &method.name);
        format!("{}.{method}", self.line.wanted.name)
    }

    /// Calls that running calls make are part of those, which a shutdown waits for.
    #[cold]
    fn may_enter_at_the_end(&self) -> Result<(), Box<CallError>> {
        if gate::is_inside_any() {
            return Ok(());
        }
        Err(Box::new(CallError::NotServing(
            "the host is shutting down".to_owned(),
        )))
    }

    #[cold]
    fn refused(&self, refusal: Refusal, method: u32) -> Box<CallError> {
        Box::new(core::refused(
            &self.line.slot,
            refusal,
            &self.name(method),
            self.limit,
        ))
    }

    #[cold]
    fn knotted(&self, knot: Knot, method: u32) -> Box<CallError> {
        Box::new(core::knotted(
            knot,
            &self.line.slot.name,
            &self.name(method),
        ))
    }

    #[cold]
    fn stuck(&self, method: u32) -> Box<CallError> {
        Box::new(core::stuck(&self.line.slot.name, &self.name(method)))
    }

    #[cold]
    fn waited(&self, method: u32) -> Box<CallError> {
        Box::new(core::waited(&self.name(method), self.limit))
    }

    #[cold]
    fn offered_no_more(&self) -> Box<CallError> {
        Box::new(CallError::NotServing(format!(
            "plugin \"{}\" offers `{}` no more; the call was not executed",
            self.line.slot.name, self.line.wanted.name
        )))
    }

    #[cold]
    fn failed(
        &self,
        fault: &plugin_api::CallError,
        generation: &Generation,
        method: u32,
        exclusive: bool,
    ) -> Box<CallError> {
        if exclusive && fault.kind == FaultKind::PANICKED && generation.taint() {
            self.announcer.announce(Happening::Tainted {
                plugin: self.line.slot.name.to_string(),
                generation: generation.life.number,
                method: self.name(method),
                reason: fault.message.clone(),
            });
        }
        Box::new(CallError::from_copy(fault.kind, fault.message.clone()))
    }
}
