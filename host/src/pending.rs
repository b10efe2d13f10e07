//! A pending call: an `async` method that has begun, in the hands of the host.
//!
//! Its caller polls it, on whatever thread the caller's executor has; but it is the host that owns it. So an unload can
//! take it out and drop it, though its caller may never come back, and a caller who leaves takes it along.
//!
//! # States
//! *Waiting*: nobody is inside, it is there to be polled or cancelled. *Polled*: a thread is inside. *To be cancelled*:
//! the same, and that thread drops it when it comes out. *Ended*, *cancelled*: it is gone, and so is its lease.
//!
//! # Who may touch what
//! The state changes under its lock, which is never held while the plugin's code runs: whoever takes the call out of
//! *waiting* has it alone, and polls it or drops it, inside its lease.

use crate::{
    clock::Clock,
    data::Scope,
    desk::Switchboard,
    error::CallError,
    foreign::{
        instance::{PendingCall, PluginFault},
        interpose,
        lock::Share,
    },
    gate::{Failure, Owned},
    generation::Generation,
    hand::{CallsOut, Hand},
    host::Reply,
    task::Task,
};
use parking_lot::Mutex;
use plugin_api::FaultKind;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

/// How often a call is polled in a row because what it has just asked for is there at once.
const MOST_ROUNDS: usize = 32;

/// An `async` method that has begun.
pub(crate) struct Pending {
    state: Mutex<State>,
    task: Arc<Task>,
    plugin: Arc<str>,
    method: String,
}

enum State {
    Waiting(Box<Inside>),
    Polled,
    ToBeCancelled,
    Ended,
    Cancelled,
}

/// What is inside of a plugin, and its right to be there.
struct Inside {
    // In this order: the lease is the last.
    call: PendingCall,
    lease: Owned<Generation>,
    scope: Scope,
}

impl Inside {
    /// Lets it go on as far as it can.
    fn go_on(&mut self, task: &Arc<Task>) -> Option<Result<Vec<u8>, PluginFault>> {
        interpose::visit();
        let _began = self.lease.within().begin();
        let _sees = self.scope.begin();
        task.drive();
        for _ in 0..MOST_ROUNDS {
            let answered = self.call.poll();
            if answered.is_some() || !task.drive() {
                return answered;
            }
        }
        task.wake();
        None
    }

    /// Drops it, with what it has under way.
    fn leave(self, task: &Task) {
        let Inside { call, lease, scope } = self;
        let began = lease.within().begin();
        let sees = scope.begin();
        drop(call);
        task.end();
        drop((sees, began));
        lease.tenant().pending.remove(lease.number());
        drop(lease);
    }
}

impl Pending {
    /// Begins the method with this number. Arguments are JSON text.
    pub(crate) fn begin(
        mut lease: Owned<Generation>,
        share: Share,
        method: u32,
        arguments: &[u8],
        host: &Weak<dyn Switchboard>,
        clock: Clock,
        scope: Scope,
    ) -> Result<Awaited, CallError> {
        lease.is_a_call();
        lease.note_method(method);
        let within = lease.within().clone();
        let task = Task::new(Weak::clone(host), clock, within, scope.clone());
        let generation = Arc::clone(lease.tenant());
        let begun = {
            let _began = lease.within().begin();
            let _sees = scope.begin();
            generation
                .instance
                .begin(share, method, arguments, task.object())
        };
        let call = begun.map_err(|fault| {
            lease.count_failure(Failure::new(fault.0.kind == FaultKind::PANICKED));
            CallError::from_fault(&fault.0)
        })?;
        let number = lease.number();
        let pending = Arc::new(Pending {
            state: Mutex::new(State::Waiting(Box::new(Inside { call, lease, scope }))),
            task,
            plugin: Arc::clone(&generation.life.plugin),
            method: generation.method_name(method),
        });
        generation.pending.add(number, &pending);
        Ok(Awaited(pending))
    }

    /// Takes it out of the plugin, and tells its caller.
    pub(crate) fn cancel(&self) {
        let caller = self.task.poller();
        self.take_out();
        if let Some(caller) = caller {
            caller.wake();
        }
    }

    /// Takes it out of the plugin, at once or when the thread that is inside comes out.
    fn take_out(&self) {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Cancelled) {
            State::Waiting(inside) => {
                drop(state);
                inside.leave(&self.task);
            }
            State::Polled | State::ToBeCancelled => *state = State::ToBeCancelled,
            State::Ended => *state = State::Ended,
            State::Cancelled => {}
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Reply, CallError>> {
        self.task.set_poller(context.waker());
        let mut inside = {
            let mut state = self.state.lock();
            match std::mem::replace(&mut *state, State::Polled) {
                State::Waiting(inside) => inside,
                other => {
                    *state = other;
                    return Poll::Ready(Err(self.cancelled()));
                }
            }
        };
        let answered = inside.go_on(&self.task);
        let mut state = self.state.lock();
        let answer = match (answered, &*state) {
            (Some(answered), _) => {
                *state = State::Ended;
                let generation = inside.lease.tenant();
                match answered {
                    Ok(result) => Ok(Reply {
                        result,
                        version: generation.version.clone(),
                        generation: generation.life.number,
                    }),
                    Err(fault) => {
                        let panicked = fault.0.kind == FaultKind::PANICKED;
                        inside.lease.count_failure(Failure::new(panicked));
                        Err(CallError::from_fault(&fault.0))
                    }
                }
            }
            (None, State::ToBeCancelled) => {
                *state = State::Cancelled;
                Err(self.cancelled())
            }
            (None, _) => {
                *state = State::Waiting(inside);
                return Poll::Pending;
            }
        };
        drop(state);
        inside.leave(&self.task);
        Poll::Ready(answer)
    }

    fn cancelled(&self) -> CallError {
        CallError::Cancelled(format!(
            "cancelled: plugin \"{}\" went out of service while `{}` was pending; its outcome is unknown",
            self.plugin, self.method
        ))
    }
}

/// A pending call, in the hands of its caller. Dropping it cancels the call.
pub(crate) struct Awaited(Arc<Pending>);

impl Future for Awaited {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.take_out();
    }
}

/// The calls that are pending in one generation, by the numbers of their leases.
#[derive(Default)]
pub(crate) struct PendingCalls(Mutex<BTreeMap<u64, Weak<Pending>>>);

impl PendingCalls {
    fn add(&self, lease: u64, pending: &Arc<Pending>) {
        self.0.lock().insert(lease, Arc::downgrade(pending));
    }

    fn remove(&self, lease: u64) {
        self.0.lock().remove(&lease);
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    fn all(&self) -> Vec<Arc<Pending>> {
        let all: Vec<Weak<Pending>> = self.0.lock().values().cloned().collect();
        all.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Cancels all calls that are pending in a generation, if that can be done within `limit`: what they drop is their
/// author's code, which may never return.
pub(crate) fn cancel_all(generation: Arc<Generation>, limit: Duration) {
    if generation.pending.is_empty() {
        return;
    }
    let plugin = Arc::clone(&generation.life.plugin);
    let cancel = move || {
        let all = generation.pending.all();
        all.iter().for_each(|pending| pending.cancel());
    };
    let stays = match Hand::new(&plugin) {
        Err(error) => error.to_string(),
        Ok(hand) => match hand.run(limit, CallsOut::Refused, cancel, |()| {}) {
            Ok(()) => return,
            Err(_stuck) => "dropping one has not returned".to_owned(),
        },
    };
    tracing::warn!(
        plugin = &*plugin,
        "pending calls are not cancelled: {stays}"
    );
}
