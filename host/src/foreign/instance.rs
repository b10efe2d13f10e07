//! An instance: the object that a library made, and every way the host may ask it something.
//!
//! Ownership says what may be asked. A [`Candidate`] belongs to one owner, who may restore and attach it. An
//! [`Instance`] is shared by callers: `&self` methods run at once, `&mut self` methods alone, behind its lock. What is
//! [retired](Instance::retire) is a [`Remains`]: a library with no object in it. So none of these can overlap.
//!
//! Everything an object returns lives in its library; here it is copied and dropped before a function returns.

use super::{
    interpose::Hold,
    library::{Closing, Library, Pinned},
    lock::{Lock, Share},
    tables::Tables,
};
use crate::gate::Openness;
use abi_stable::std_types::{ROption, RResult, RSlice, RVec};
use anyhow::{Result, anyhow};
use plugin_api::contract::{
    Answer, FORMAT_JSON, Fault, HostServicesBox, Object, PendingBox, PluginObjectBox, TaskBox,
};
use std::{
    cell::UnsafeCell,
    fmt,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

/// A fault as the host keeps it: copied out of the plugin's library.
#[derive(Debug, Clone)]
pub(crate) struct PluginFault(pub(crate) Fault);

impl fmt::Display for PluginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for PluginFault {}

/// Copies an answer out of the library it lives in.
fn copy<T, U>(answer: Answer<T>, value: impl FnOnce(&T) -> U) -> Result<U, PluginFault> {
    match &answer {
        RResult::ROk(answered) => Ok(value(answered)),
        RResult::RErr(fault) => Err(PluginFault(Fault::new(fault.kind, fault.message.as_str()))),
    }
}

fn bytes(answer: Answer<RVec<u8>>) -> Result<Vec<u8>, PluginFault> {
    copy(answer, |bytes| bytes.to_vec())
}

/// An object that one owner prepares to serve.
pub(crate) struct Candidate {
    // Declared before the library: what is made of it is gone first, should both be dropped.
    object: PluginObjectBox,
    library: Library,
}

impl Candidate {
    /// Lets the library make its object.
    ///
    /// # Errors
    /// The plugin's fault, with the library.
    pub(crate) fn create(
        library: Library,
        services: HostServicesBox,
    ) -> Result<Candidate, (PluginFault, Remains)> {
        match (library.module().create())(services) {
            RResult::ROk(object) => Ok(Candidate { object, library }),
            RResult::RErr(fault) => {
                let copied = PluginFault(Fault::new(fault.kind, fault.message.as_str()));
                drop(fault);
                Err((copied, Remains::Library(library)))
            }
        }
    }

    /// Replaces its state.
    pub(crate) fn restore(&mut self, schema: u32, snapshot: &[u8]) -> Result<(), PluginFault> {
        copy(
            self.object.restore(schema, RSlice::from_slice(snapshot)),
            |()| (),
        )
    }

    /// Its state as a successor would get it.
    pub(crate) fn snapshot(&self, schema: u32) -> Result<Vec<u8>, PluginFault> {
        bytes(self.object.snapshot(schema))
    }

    /// Lets it get hold of what is not state.
    pub(crate) fn attach(&mut self) -> Result<(), PluginFault> {
        copy(self.object.attach(), |()| ())
    }

    /// The tables of the interfaces it offers.
    ///
    /// # Errors
    /// What they look like cannot be read.
    pub(crate) fn tables(&self) -> Result<Tables> {
        Tables::of(&self.object.face())
    }

    /// Opens it to callers, who find its own `tables`.
    pub(crate) fn into_instance(self, lock: Locking, tables: Arc<Tables>) -> Instance {
        Instance {
            object: UnsafeCell::new(self.object),
            lock: match lock {
                Locking::None => None,
                Locking::ForExclusive => Some(Lock::default()),
            },
            closed: Box::new(tables.without_places()),
            tables,
            library: self.library,
        }
    }

    /// Drops the object.
    pub(crate) fn retire(self) -> (Remains, Result<(), PluginFault>) {
        retire(self.object, self.library)
    }
}

/// Whether an instance needs a lock between its methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locking {
    /// It has no `&mut self` method.
    None,
    /// It has some.
    ForExclusive,
}

/// An object that callers share.
pub(crate) struct Instance {
    object: UnsafeCell<PluginObjectBox>,
    tables: Arc<Tables>,
    /// The same with nothing at any place: what callers find while they may not go without the lock.
    closed: Box<Tables>,
    /// Between `&mut self` methods and all others; absent where there are none of the former.
    lock: Option<Lock>,
    library: Library,
}

/// A call that is pending in an instance. Dropping it cancels it.
pub(crate) struct PendingCall {
    // In this order: it may run author's code to its end.
    object: PendingBox,
    _share: Share,
}

impl PendingCall {
    /// Lets it go on as far as it can; gives its answer once, when it has one.
    pub(crate) fn poll(&mut self) -> Option<Result<Vec<u8>, PluginFault>> {
        match self.object.poll() {
            ROption::RSome(answer) => Some(bytes(answer)),
            ROption::RNone => None,
        }
    }
}

// SAFETY: The object is `Send + Sync` by its contract. The cell gives `&mut` to it in `call_exclusive` only, under the
// lock's write side, while every `&` is under its read side; without a lock no `&mut` is given at all. Functions of tables
// are called under the same sides; or, where they take `&self`, without one while `Openness` says that it is open, which
// `Lock::alone` ends, and waits for those inside, before it gives the write side.
unsafe impl Sync for Instance {}

/// Why a call was not answered by a value.
pub(crate) enum Unanswered {
    /// The plugin's fault.
    Fault(PluginFault),
    /// The lock was not to be had in time; the call was not executed.
    OutOfTime,
}

impl Instance {
    /// Calls a `&self` method, waiting at most `limit` for a `&mut self` method to end. Says when it `enters`.
    pub(crate) fn call(
        &self,
        method: u32,
        arguments: &[u8],
        limit: Duration,
        from_inside: bool,
        enters: impl FnOnce(),
    ) -> Result<Vec<u8>, Unanswered> {
        let _shared = match &self.lock {
            None => None,
            Some(lock) => {
                let shared = lock.shared(limit, from_inside);
                Some(shared.ok_or(Unanswered::OutOfTime)?)
            }
        };
        enters();
        // SAFETY: No `&mut` to the object exists: it is only made under the write side of the lock, whose read side is
        // held here, or there is no lock and it is never made.
        let object = unsafe { &*self.object.get() };
        bytes(object.call(method, FORMAT_JSON, RSlice::from_slice(arguments)))
            .map_err(Unanswered::Fault)
    }

    /// Calls a `&mut self` method, waiting at most `limit` for the others to end; `guard` as for [`Lock::alone`]. Says when it
    /// `enters`.
    pub(crate) fn call_exclusive(
        &self,
        method: u32,
        arguments: &[u8],
        limit: Duration,
        guard: impl Fn(Instant) -> bool,
        enters: impl FnOnce(),
    ) -> Result<Vec<u8>, Unanswered> {
        let Some(lock) = &self.lock else {
            let fault = Fault::new(
                plugin_api::contract::FaultKind::UNKNOWN_METHOD,
                "it has no `&mut self` methods",
            );
            return Err(Unanswered::Fault(PluginFault(fault)));
        };
        let _alone = lock.alone(limit, guard).ok_or(Unanswered::OutOfTime)?;
        enters();
        // SAFETY: `Alone` is held, with which nobody is inside of the object: no other reference to it exists, since each is
        // made by somebody inside, under a side of the lock, or without one as `Openness` has it.
        let object = unsafe { &mut *self.object.get() };
        bytes(object.call_exclusive(method, FORMAT_JSON, RSlice::from_slice(arguments)))
            .map_err(Unanswered::Fault)
    }

    /// The tables of the interfaces it offers.
    #[inline(always)]
    pub(crate) fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// The tables, while no `&mut self` method is to be minded; else some with nothing at any place.
    pub(crate) fn open_to_callers(&self) -> &Tables {
        match self.openness() {
            Some(openness) if !openness.is_open() => &self.closed,
            _ => &self.tables,
        }
    }

    /// Whether `&self` methods of interfaces go without the lock, where there is one.
    pub(crate) fn openness(&self) -> Option<&Openness> {
        self.lock.as_ref().map(Lock::openness)
    }

    /// Has the tables be open to callers, if calls by the lock would gain by it and none minds. Says whether that is news.
    pub(crate) fn tick(&self) -> bool {
        self.lock.as_ref().is_some_and(Lock::tick)
    }

    /// Lets `inside` call a function of a table, waiting at most `limit` for the calls that it cannot run beside; `None`
    /// when that is over, with nothing called. `guard` as for [`Instance::call_exclusive`].
    pub(crate) fn enter<R>(
        &self,
        exclusive: bool,
        limit: Duration,
        from_inside: bool,
        guard: impl Fn(Instant) -> bool,
        inside: impl FnOnce(Object) -> R,
    ) -> Option<R> {
        let object = self.tables.object();
        match &self.lock {
            None if !exclusive => Some(inside(object)),
            // There are no such methods, and so no lock.
            None => None,
            Some(lock) if exclusive => {
                let _alone = lock.alone(limit, guard)?;
                Some(inside(object))
            }
            Some(lock) => {
                let _shared = lock.shared(limit, from_inside)?;
                Some(inside(object))
            }
        }
    }

    /// A share for a pending call, once no `&mut self` method runs or waits; a call from inside does not wait for those
    /// that wait for it.
    pub(crate) fn poll_share(&self, from_inside: bool, waker: &Waker) -> Poll<Share> {
        match &self.lock {
            None => Poll::Ready(Share::of_no_lock()),
            Some(lock) => lock.poll_share(from_inside, waker),
        }
    }

    /// Begins an `async` method.
    pub(crate) fn begin(
        &self,
        share: Share,
        method: u32,
        arguments: &[u8],
        task: TaskBox,
    ) -> Result<PendingCall, PluginFault> {
        // SAFETY: No `&mut` to the object exists: it is only made under the write side of the lock, whose read side the
        // share holds, or there is no lock and it is never made.
        let object = unsafe { &*self.object.get() };
        let arguments = RSlice::from_slice(arguments);
        match object.begin(method, FORMAT_JSON, arguments, task) {
            RResult::ROk(object) => Ok(PendingCall {
                object,
                _share: share,
            }),
            RResult::RErr(fault) => {
                Err(PluginFault(Fault::new(fault.kind, fault.message.as_str())))
            }
        }
    }

    /// Its state in the format of `schema`, with no `&mut self` method inside.
    pub(crate) fn snapshot(&self, schema: u32) -> Result<Vec<u8>, PluginFault> {
        let _shared = self.lock.as_ref().map(Lock::look);
        // SAFETY: No `&mut` to the object exists: it is only made under the write side of the lock, whose read side is
        // held here, or there is no lock and it is never made.
        let object = unsafe { &*self.object.get() };
        bytes(object.snapshot(schema))
    }

    /// Drops the object. The owner is the last: no call is inside.
    pub(crate) fn retire(self) -> (Remains, Result<(), PluginFault>) {
        retire(self.object.into_inner(), self.library)
    }

    /// The threads its library started that are alive.
    pub(crate) fn living_threads(&self) -> usize {
        self.library.living_threads()
    }
}

fn retire(mut object: PluginObjectBox, library: Library) -> (Remains, Result<(), PluginFault>) {
    let outcome = copy(object.retire(), |()| ());
    drop(object);
    (Remains::Library(library), outcome)
}

/// What is left of a plugin once its object is dropped.
pub(crate) enum Remains {
    /// Its library.
    Library(Library),
    /// Its library, closed and mapped all the same.
    Pinned(Pinned),
}

impl Remains {
    /// Says that nothing of it runs any more but destructors of thread-locals.
    pub(crate) fn vacate(&self) {
        if let Remains::Library(library) = self {
            library.vacate();
        }
    }

    /// What holds it but for data that it has parsed, in words.
    pub(crate) fn held_by(&self) -> Option<String> {
        match self {
            Remains::Library(library) => library.held_by().as_ref().map(in_words),
            Remains::Pinned(_) => None,
        }
    }

    /// Tries to take it out of memory.
    ///
    /// # Errors
    /// What is left, with what holds it in words.
    pub(crate) fn close(self) -> Result<(), (Option<Remains>, String)> {
        let closing = match self {
            Remains::Library(library) => {
                // SAFETY: A `Remains` is made only of a library whose object is retired and dropped, or never was made.
                // Jobs and calls are leases on the generation, whose last owner made this. Threads and thread-locals
                // are what `close` itself waits for.
                unsafe { library.close() }
            }
            Remains::Pinned(pinned) => Ok(pinned
                .look_again()
                .map_or(Closing::Unmapped, Closing::Pinned)),
        };
        match closing {
            Ok(Closing::Unmapped) => Ok(()),
            Ok(Closing::Held(library, hold)) => {
                Err((Some(Remains::Library(library)), in_words(&hold)))
            }
            Ok(Closing::Used(library)) => Err((
                Some(Remains::Library(library)),
                "data that it has parsed is still held".to_owned(),
            )),
            Ok(Closing::Pinned(pinned)) => Err((
                Some(Remains::Pinned(pinned)),
                "closed, and mapped all the same: something in the process pins it (a thread pool it left behind, \
                 or unique symbols)"
                    .to_owned(),
            )),
            Err(error) => Err((None, format!("{:#}", anyhow!(error)))),
        }
    }
}

fn in_words(hold: &Hold) -> String {
    match hold {
        Hold::Threads(1) => "1 thread that it started is alive".to_owned(),
        Hold::Threads(count) => format!("{count} threads that it started are alive"),
        Hold::Entries(1) => {
            "1 value of a thread-local of its waits on a thread that has not called since"
                .to_owned()
        }
        Hold::Entries(count) => format!(
            "{count} values of thread-locals of its wait on threads that have not called since"
        ),
    }
}
