//! A task: what the host does for one pending call, as the plugin's side of that call sees it.
//!
//! The author's future waits for *operations*: sleeps, and calls of other plugins. The host runs them, and wakes the call
//! when one has ended; the call's next poll takes what is done and wakes whoever waits for it inside the future. So
//! wakers of the author's making stay on this side, and those that leave it lead to the task, which outlives the call.
//!
//! # Invariants
//! 1. An operation that the host has under way is in the book until it is done, cancelled, or the call has ended.
//! 2. Nothing of the author's is woken or dropped while the book is locked.

use crate::{
    context::{CallError, result},
    contract::{FORMAT_JSON, FaultKind, TaskBox},
};
use abi_stable::std_types::{ROption, RSlice, RStr};
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

/// What the host does for one pending call.
pub(crate) struct Task {
    host: TaskBox,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    last_number: u64,
    ended: bool,
    operations: BTreeMap<u64, State>,
}

enum State {
    /// The host has it; whoever waits for it here.
    UnderWay(Option<Waker>),
    Done(Result<Vec<u8>, CallError>),
}

impl Task {
    pub(crate) fn new(host: TaskBox) -> Arc<Self> {
        Arc::new(Task {
            host,
            book: Mutex::default(),
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is done, and wakes whoever waits for it.
    pub(crate) fn take_done(&self) {
        while let ROption::RSome(done) = self.host.next_done() {
            // A copy: what the host gives is the host's to free.
            let outcome = result(done.outcome).map(|answer| answer.to_vec());
            let waiting = match self.book().operations.get_mut(&done.operation) {
                Some(state) => match std::mem::replace(state, State::Done(outcome)) {
                    State::UnderWay(waker) => waker,
                    State::Done(_) => None,
                },
                None => None,
            };
            if let Some(waker) = waiting {
                waker.wake();
            }
        }
    }

    /// The call has ended: nothing is asked of the host any more.
    pub(crate) fn end(&self) {
        let operations = {
            let mut book = self.book();
            book.ended = true;
            std::mem::take(&mut book.operations)
        };
        drop(operations);
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.host.wake();
    }
}

/// Something that the host does for the call. Dropping it cancels it.
pub(crate) struct Operation {
    task: Arc<Task>,
    number: u64,
}

impl Operation {
    /// Begins to wait for so many nanoseconds.
    pub(crate) fn sleep(task: &Arc<Task>, nanoseconds: u64) -> Result<Self, CallError> {
        let operation = Operation::new(task)?;
        result(task.host.sleep(operation.number, nanoseconds))?;
        Ok(operation)
    }

    /// Begins to call a plugin's method; the arguments are JSON text.
    pub(crate) fn call(
        task: &Arc<Task>,
        plugin: &str,
        method: &str,
        arguments: &[u8],
    ) -> Result<Self, CallError> {
        let operation = Operation::new(task)?;
        result(task.host.call(
            operation.number,
            RStr::from_str(plugin),
            RStr::from_str(method),
            FORMAT_JSON,
            RSlice::from_slice(arguments),
        ))?;
        Ok(operation)
    }

    fn new(task: &Arc<Task>) -> Result<Self, CallError> {
        let mut book = task.book();
        if book.ended {
            return Err(ended());
        }
        book.last_number += 1;
        let number = book.last_number;
        book.operations.insert(number, State::UnderWay(None));
        Ok(Operation {
            task: Arc::clone(task),
            number,
        })
    }
}

fn ended() -> CallError {
    CallError {
        kind: FaultKind::UNAVAILABLE,
        message: "the call that this context was given to has ended".to_owned(),
    }
}

impl Future for Operation {
    type Output = Result<Vec<u8>, CallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut book = self.task.book();
        let before = match book.operations.get_mut(&self.number) {
            Some(State::UnderWay(waker)) => waker.replace(context.waker().clone()),
            Some(State::Done(_)) => match book.operations.remove(&self.number) {
                Some(State::Done(outcome)) => return Poll::Ready(outcome),
                _ => return Poll::Ready(Err(ended())),
            },
            None => return Poll::Ready(Err(ended())),
        };
        drop(book);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let state = self.task.book().operations.remove(&self.number);
        if let Some(State::UnderWay(_)) = &state {
            self.task.host.cancel(self.number);
        }
    }
}
