//! A task: what the host does for one pending call, and how it knows that the call can go on.
//!
//! The plugin's side begins operations under numbers of its own: sleeps, which are timers of the host's clock, and calls
//! of plugins, which are polled here, before the call itself is. What has ended goes to an inbox, and whoever polls the
//! call is woken. The plugin's code may keep a hold of the task for as long as it likes: once the call has ended, nothing
//! is left in it.
//!
//! # Invariants
//! 1. An operation that is under way, and one in the inbox, was begun and neither cancelled nor taken.
//! 2. Nothing is woken, polled or dropped while the book is locked, but for timers, which run nothing when they are
//!    removed.

use crate::{clock::Clock, data::Scope, desk::Switchboard, error::CallError, gate::Within, hand};
use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RSlice, RStr, RVec},
};
use parking_lot::Mutex;
use plugin_api::contract::{
    Answer, Done, FORMAT_JSON, Fault, FaultKind, TaskBox, TaskObject, TaskObject_TO,
};
use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// Operations that a pending call may have at once.
const MOST_OPERATIONS: usize = 1024;

/// A call that a pending call has made.
pub(crate) type Calling = Pin<Box<dyn Future<Output = Result<Vec<u8>, CallError>> + Send>>;

/// What the host does for one pending call.
pub(crate) struct Task {
    host: Weak<dyn Switchboard>,
    clock: Clock,
    within: Within,
    /// What the call sees of hot data.
    scope: Scope,
    /// Whoever polls the call.
    poller: Mutex<Option<Waker>>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    ended: bool,
    under_way: HashMap<u64, UnderWay>,
    /// Calls that can go on.
    ready: VecDeque<u64>,
    inbox: VecDeque<Done>,
}

enum UnderWay {
    /// The timer's number.
    Sleep(u64),
    /// Absent while it is polled.
    Call(Option<Calling>),
}

impl Task {
    /// For a call that is the innermost of `within`, and sees `scope`.
    pub(crate) fn new(
        host: Weak<dyn Switchboard>,
        clock: Clock,
        within: Within,
        scope: Scope,
    ) -> Arc<Task> {
        Arc::new(Task {
            host,
            clock,
            within,
            scope,
            poller: Mutex::new(None),
            book: Mutex::default(),
        })
    }

    /// It as the plugin sees it.
    pub(crate) fn object(self: &Arc<Self>) -> TaskBox {
        TaskObject_TO::from_value(Served(Arc::clone(self)), TD_Opaque)
    }

    /// This is woken from now on.
    pub(crate) fn set_poller(&self, waker: &Waker) {
        let mut poller = self.poller.lock();
        if !poller.as_ref().is_some_and(|known| known.will_wake(waker)) {
            let before = poller.replace(waker.clone());
            drop(poller);
            drop(before);
        }
    }

    /// Whoever polls the call.
    pub(crate) fn poller(&self) -> Option<Waker> {
        self.poller.lock().clone()
    }

    /// Has the call polled again.
    pub(crate) fn wake(&self) {
        if let Some(poller) = self.poller() {
            poller.wake();
        }
    }

    /// Goes on with the calls that can go on now; those that are woken meanwhile have their turn at the next poll. Says
    /// whether anything has ended that the plugin's side has not taken.
    pub(crate) fn drive(self: &Arc<Self>) -> bool {
        let turns = self.book.lock().ready.len();
        for _ in 0..turns {
            if let Some((operation, calling)) = self.next_ready() {
                self.go_on(operation, calling);
            }
        }
        !self.book.lock().inbox.is_empty()
    }

    fn next_ready(&self) -> Option<(u64, Calling)> {
        let mut book = self.book.lock();
        let operation = book.ready.pop_front()?;
        match book.under_way.get_mut(&operation) {
            Some(UnderWay::Call(calling)) => calling.take().map(|calling| (operation, calling)),
            _ => None,
        }
    }

    fn go_on(self: &Arc<Self>, operation: u64, mut calling: Calling) {
        let waker = Waker::from(Arc::new(Errand {
            task: Arc::downgrade(self),
            operation,
        }));
        let polled = calling.as_mut().poll(&mut Context::from_waker(&waker));
        let outcome = match polled {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => {
                let mut book = self.book.lock();
                match book.under_way.get_mut(&operation) {
                    Some(UnderWay::Call(place)) => *place = Some(calling),
                    // It was cancelled meanwhile.
                    _ => {
                        drop(book);
                        drop(calling);
                    }
                }
                return;
            }
        };
        let outcome = match outcome {
            Ok(result) => RResult::ROk(result.into()),
            Err(error) => RResult::RErr(error.to_fault()),
        };
        self.done(operation, outcome);
    }

    fn done(&self, operation: u64, outcome: Answer<RVec<u8>>) {
        let mut book = self.book.lock();
        let was = book.under_way.remove(&operation);
        if was.is_some() {
            book.inbox.push_back(Done { operation, outcome });
        }
        drop(book);
        drop(was);
    }

    /// The call has ended: cancels what is under way.
    pub(crate) fn end(&self) {
        let left = {
            let mut book = self.book.lock();
            book.ended = true;
            std::mem::take(&mut book.under_way)
        };
        for (_, operation) in left {
            self.cancel(operation);
        }
        let poller = self.poller.lock().take();
        drop(poller);
    }

    fn cancel(&self, operation: UnderWay) {
        match operation {
            UnderWay::Sleep(timer) => self.clock.remove(timer),
            UnderWay::Call(calling) => drop(calling),
        }
    }

    /// Notes an operation that `begin` begins, if there may be another.
    fn begin(&self, operation: u64, begin: impl FnOnce() -> UnderWay) -> Answer<()> {
        let mut book = self.book.lock();
        if book.ended {
            return unavailable("the call has ended");
        }
        if book.under_way.len() + book.inbox.len() >= MOST_OPERATIONS {
            return unavailable("the call has 1024 operations under way already");
        }
        if book.under_way.contains_key(&operation) {
            return unavailable("there is an operation with this number already");
        }
        let begun = begin();
        if matches!(begun, UnderWay::Call(_)) {
            book.ready.push_back(operation);
        }
        book.under_way.insert(operation, begun);
        RResult::ROk(())
    }
}

fn unavailable(message: &str) -> Answer<()> {
    RResult::RErr(Fault::new(FaultKind::UNAVAILABLE, message))
}

/// Wakes a task for one of its calls.
struct Errand {
    task: Weak<Task>,
    operation: u64,
}

impl Wake for Errand {
    fn wake(self: Arc<Self>) {
        if let Some(task) = self.task.upgrade() {
            let mut book = task.book.lock();
            if !book.ready.contains(&self.operation) {
                book.ready.push_back(self.operation);
            }
            drop(book);
            task.wake();
        }
    }
}

/// The task as the plugin sees it.
struct Served(Arc<Task>);

impl TaskObject for Served {
    fn wake(&self) {
        self.0.wake();
    }

    fn sleep(&self, operation: u64, nanoseconds: u64) -> Answer<()> {
        let task = Arc::downgrade(&self.0);
        let delay = Duration::from_nanos(nanoseconds);
        self.0.begin(operation, || {
            let fire = move || {
                if let Some(task) = task.upgrade() {
                    task.done(operation, RResult::ROk(Vec::new().into()));
                    task.wake();
                }
            };
            UnderWay::Sleep(self.0.clock.add(delay, None, Arc::new(fire)))
        })
    }

    fn call(
        &self,
        operation: u64,
        plugin: RStr<'_>,
        method: RStr<'_>,
        format: u32,
        arguments: RSlice<'_, u8>,
    ) -> Answer<()> {
        if format != FORMAT_JSON {
            return RResult::RErr(Fault::new(
                FaultKind::BAD_ARGUMENTS,
                format!("arguments in format {format} are not known to this host"),
            ));
        }
        if !hand::may_call_out() {
            return unavailable("plugins cannot be called during a handover");
        }
        let Some(host) = self.0.host.upgrade() else {
            return unavailable("the host has stopped");
        };
        let calling = host.call_async(
            plugin.as_str().to_owned(),
            method.as_str().to_owned(),
            arguments.as_slice().to_vec(),
            self.0.within.clone(),
            self.0.scope.clone(),
        );
        self.0
            .begin(operation, move || UnderWay::Call(Some(calling)))
    }

    fn cancel(&self, operation: u64) {
        let mut book = self.0.book.lock();
        let was = book.under_way.remove(&operation);
        book.inbox.retain(|done| done.operation != operation);
        drop(book);
        if let Some(was) = was {
            self.0.cancel(was);
        }
    }

    fn next_done(&self) -> ROption<Done> {
        self.0.book.lock().inbox.pop_front().into()
    }
}

#[cfg(test)]
mod tests;
