//! A handle: how a service, or a plugin by its port, calls a plugin through an interface that both know.
//!
//! A call passes the gate, finds the table at its interface's place, calls the function, copies what that gives, and
//! leaves. What happens when nothing is wrong is inlined into the caller; the rest is cold and stands aside. That includes
//! the thread's visit to what retired libraries have left on it: the [tick](crate::tick) sends a call that way.

use crate::{
    announce::Announcer,
    error::{CallError, HandleError},
    event::Happening,
    foreign::{
        interpose,
        tables::{PlaceOf, reach},
    },
    gate::{Approach, Call, Failure, Notes, Refusal, Within},
    generation::Generation,
    host::Host,
    interfaces::{Line, User},
    slot::Slot,
    turned_away,
};
use plugin_api::{
    __private::{Answered, Called, Entrance},
    Crossing, FaultKind, Interface,
    contract::Object,
};
use std::{fmt, hint::cold_path, ops::Deref, sync::Arc, time::Duration};

impl Host {
    /// A handle on a plugin through an interface that it offers: a trait with `#[plugin_api::interface]` from a crate that
    /// both depend on. Its calls take plain types, and are neither serialised nor looked up by name; like those of
    /// [`Host::call`] they run on the calling thread, and wait at most `call.timeout` to be let in.
    ///
    /// ```no_run
    /// #[plugin_api::interface]
    /// pub trait Arithmetic {
    ///     fn add(&self, a: u64, b: u64) -> u64;
    ///     fn divide(&self, a: u64, b: u64) -> Result<u64, String>;
    /// }
    ///
    /// # fn main() -> anyhow::Result<()> {
    /// # let host = host::Host::builder().start()?;
    /// let calc: host::Handle<dyn Arithmetic> = host.handle("calc")?;
    /// let sum = calc.add(2, 3)?;
    /// match calc.divide(sum, 0)? {
    ///     Ok(quotient) => println!("{quotient}"),
    ///     Err(reason) => println!("the plugin says no: {reason}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`HandleError`].
    pub fn handle<I: Interface + ?Sized>(&self, plugin: &str) -> Result<Handle<I>, HandleError> {
        let passage = self.core().passage(plugin, I::DESCRIPTION, User::Service)?;
        Ok(Handle::new(passage))
    }
}

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
                way: Way::through(Arc::new(passage)),
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
        let Door { way, place } = I::entrance(&self.client);
        Handle {
            client: I::client(Door {
                way: way.clone(),
                place: place.clone(),
            }),
        }
    }
}

impl<I: Interface + ?Sized> fmt::Debug for Handle<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let door = I::entrance(&self.client);
        f.debug_struct("Handle")
            .field("plugin", &door.way.approach.holder().name)
            .field("interface", &I::NAME)
            .finish()
    }
}

/// The way into a plugin by an interface.
#[doc(hidden)]
pub struct Door<I: ?Sized> {
    way: Way,
    place: PlaceOf<I>,
}

impl<I: Interface + ?Sized> Entrance<I> for Door<I> {
    type Error = CallError;

    #[inline]
    fn enter<R: Crossing>(
        &self,
        method: Called,
        call: impl FnOnce(Object, &I::Table) -> Answered<R::Wire>,
    ) -> Result<R, CallError> {
        let place = &self.place;
        self.way.enter(
            method.number,
            method.exclusive,
            #[inline(always)]
            move |object, table| {
                call(object, reach(place, table))
                    .into_result()
                    .map(R::from_wire)
            },
            R::is_refusal,
        )
    }
}

/// The way into a plugin by an interface: what every call asks of its passage, to be had without asking that.
#[derive(Clone)]
pub(crate) struct Way {
    approach: Approach<Slot>,
    /// The interface's place there, and what calls of its methods note.
    place: u8,
    notes: Notes,
    passage: Arc<Passage>,
}

impl Way {
    /// The way through this passage.
    pub(crate) fn through(passage: Arc<Passage>) -> Way {
        Way {
            approach: Approach::to(Arc::clone(&passage.line.slot)),
            place: passage.line.place,
            notes: passage.line.notes,
            passage,
        }
    }

    /// What it leads through.
    pub(crate) fn passage(&self) -> &Passage {
        &self.passage
    }

    /// Enters the plugin, does something with its object and the interface's table, and leaves. `refused` says of what
    /// that gives whether the plugin has refused.
    ///
    /// # Errors
    /// It was not let in, or what `inside` came to.
    #[inline(always)]
    pub(crate) fn enter<R, I>(
        &self,
        method: u32,
        exclusive: bool,
        inside: I,
        refused: fn(&R) -> bool,
    ) -> Result<R, CallError>
    where
        I: FnOnce(Object, *const ()) -> Result<R, Box<plugin_api::CallError>>,
    {
        // One way out to the slow call, so that the quick one keeps its arguments in registers.
        let inside = if !exclusive {
            let call = Call {
                note: self.notes.of(method),
                exclusive,
            };
            let passed = self.approach.pass_quickly(
                call,
                #[inline(always)]
                |here| here.view().find(self.place),
                #[inline(always)]
                |here, (object, table), inside: I| {
                    let done = inside(object, table);
                    self.passage
                        .settled(done, || here.tenant(), method, exclusive, refused)
                },
                inside,
            );
            match passed {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => return Err(*error),
                Err(inside) => inside,
            }
        } else {
            inside
        };
        self.passage
            .enter_slowly(method, exclusive, inside, refused)
    }
}

/// What a call through an interface needs of the host.
pub(crate) struct Passage {
    /// To the interface's place.
    pub(crate) line: Line,
    /// Tells of a panic that leaves the state half changed.
    pub(crate) announcer: Arc<Announcer>,
    /// How long a call waits to be let in.
    pub(crate) limit: Duration,
}

impl Passage {
    /// Enters by the way, where a lock is to be taken, or anything else is not as it mostly is.
    #[cold]
    #[inline(never)]
    fn enter_slowly<R, I>(
        &self,
        method: u32,
        exclusive: bool,
        inside: I,
        refused: fn(&R) -> bool,
    ) -> Result<R, CallError>
    where
        I: FnOnce(Object, *const ()) -> Result<R, Box<plugin_api::CallError>>,
    {
        interpose::visit();
        let call = Call {
            note: self.line.notes.of(method),
            exclusive,
        };
        let gate = &self.line.slot.gate;
        let was_inside = gate.is_inside_here();
        let passed = gate.pass(self.limit, call, |generation| {
            let instance = &generation.instance;
            let Some(table) = instance.tables().find(self.line.place) else {
                return Err(self.offered_no_more());
            };
            let is_waited_for = Within::current().holds(gate, generation);
            if exclusive && is_waited_for {
                return Err(self.waited_for(method));
            }
            if exclusive && generation.snapshot_is_stuck() {
                return Err(self.stuck(method));
            }
            let inside = |object| inside(object, table);
            let from_inside = was_inside || is_waited_for;
            if let Some(openness) = instance.openness().filter(|_| !exclusive && !was_inside) {
                openness.note_beside();
            }
            let guard = |deadline| gate.guard(generation, deadline);
            match instance.enter(exclusive, self.limit, from_inside, guard, inside) {
                Some(done) => self.settled(done, || generation, method, exclusive, refused),
                None => Err(self.waited(method)),
            }
        });
        match passed {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(*error),
            Err(refusal) => Err(self.refused(refusal, method)),
        }
    }

    /// What a call came to, with its failure counted.
    #[inline(always)]
    fn settled<'lease, R>(
        &self,
        done: Result<R, Box<plugin_api::CallError>>,
        generation: impl FnOnce() -> &'lease Generation,
        method: u32,
        exclusive: bool,
        refused: fn(&R) -> bool,
    ) -> Result<R, Box<CallError>> {
        match done {
            Ok(value) => {
                if refused(&value) {
                    let gate = &self.line.slot.gate;
                    gate.count_failure(generation(), Failure::Error);
                }
                Ok(value)
            }
            Err(fault) => {
                cold_path();
                Err(self.failed(*fault, generation(), method, exclusive))
            }
        }
    }

    fn name(&self, method: u32) -> String {
        let method = self.line.wanted.methods.get(method as usize);
        let method = method.map_or("?", |method| &method.name);
        format!("{}.{method}", self.line.wanted.name)
    }

    #[cold]
    fn refused(&self, refusal: Refusal, method: u32) -> CallError {
        turned_away::at_the_gate(&self.line.slot, &self.name(method), refusal, self.limit)
    }

    #[cold]
    fn waited_for(&self, method: u32) -> Box<CallError> {
        let plugin = &self.line.slot.name;
        Box::new(turned_away::waited_for(plugin, &self.name(method)))
    }

    #[cold]
    fn stuck(&self, method: u32) -> Box<CallError> {
        Box::new(turned_away::stuck(&self.line.slot.name, &self.name(method)))
    }

    #[cold]
    fn waited(&self, method: u32) -> Box<CallError> {
        Box::new(turned_away::occupied(&self.name(method), self.limit))
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
        fault: plugin_api::CallError,
        generation: &Generation,
        method: u32,
        exclusive: bool,
    ) -> Box<CallError> {
        let panicked = fault.kind == FaultKind::PANICKED;
        let gate = &self.line.slot.gate;
        gate.count_failure(generation, Failure::new(panicked));
        if exclusive && panicked && generation.taint() {
            self.announcer.announce(Happening::Tainted {
                plugin: self.line.slot.name.to_string(),
                generation: generation.life.number,
                method: self.name(method),
                reason: fault.message.clone(),
            });
        }
        Box::new(CallError::from_copy(fault.kind, fault.message))
    }
}
