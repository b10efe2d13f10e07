//! A hand: a thread that asks a plugin's code for something, while its owner waits no longer than a limit.
//!
//! Creating, snapshotting, migrating, restoring, attaching and dropping run an author's code outside of any call. Should
//! that never return, the host lets go of the hand: the thread stays behind with whatever it was given, and gives it to
//! `late` if it comes back after all. So nothing is ever shared with code that is stuck.

use crate::deadline;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::{
    cell::Cell,
    io,
    time::{Duration, Instant},
};

type Task = Box<dyn FnOnce() + Send>;

/// What may wait for a hand: something that it was asked for, behind something that nobody waits for.
const MOST: usize = 2;

/// A thread for an author's code. Dropping it lets the thread end once it is free.
pub(crate) struct Hand {
    tasks: Sender<Task>,
}

/// The code did not return in time, or its thread is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stuck;

thread_local! {
    static CALLS_OUT: Cell<bool> = const { Cell::new(true) };
}

/// Whether plugin code on this thread may call plugins now: not during a handover, when a gate is closed.
pub(crate) fn may_call_out() -> bool {
    CALLS_OUT.get()
}

/// Whether a hand's code may call plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallsOut {
    /// No gate is closed for it.
    Allowed,
    /// A gate is closed, or the plugin is on its way out.
    Refused,
}

impl Hand {
    /// Starts the thread.
    pub(crate) fn new(plugin: &str) -> io::Result<Hand> {
        let (tasks, queue) = bounded::<Task>(MOST);
        std::thread::Builder::new()
            .name(format!("hand:{plugin}"))
            .spawn(move || {
                for task in queue {
                    task();
                }
            })?;
        Ok(Hand { tasks })
    }

    /// Has the thread do something that nobody waits for, once it is free; where something waits for it already, it is left
    /// out.
    pub(crate) fn give(&self, work: impl FnOnce() + Send + 'static) {
        if !self.tasks.is_empty() {
            return;
        }
        let _left_out = self.tasks.try_send(Box::new(move || {
            let before = CALLS_OUT.replace(false);
            work();
            CALLS_OUT.set(before);
        }));
    }

    /// Runs `work` on the thread, and gives its result if that comes within `limit`; a result that comes after is
    /// passed to `late` on the hand's thread.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        calls_out: CallsOut,
        work: impl FnOnce() -> T + Send + 'static,
        late: impl FnOnce(T) + Send + 'static,
    ) -> Result<T, Stuck> {
        let until = deadline::after(limit);
        self.begin(calls_out, work, late)?.until(until)
    }

    /// Has the thread begin `work`, and does not wait. A result that nobody waits for any more is passed to `late` on the
    /// hand's thread.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        calls_out: CallsOut,
        work: impl FnOnce() -> T + Send + 'static,
        late: impl FnOnce(T) + Send + 'static,
    ) -> Result<Awaited<T>, Stuck> {
        // Without a buffer the result is either taken by us or given back to the thread: never lost in between.
        let (give, take) = bounded::<T>(0);
        let task: Task = Box::new(move || {
            CALLS_OUT.set(calls_out == CallsOut::Allowed);
            let result = work();
            CALLS_OUT.set(true);
            if let Err(unwanted) = give.send(result) {
                late(unwanted.into_inner());
            }
        });
        self.tasks.try_send(task).map_err(|_full| Stuck)?;
        Ok(Awaited(take))
    }
}

/// What a hand was asked for.
pub(crate) struct Awaited<T>(Receiver<T>);

impl<T> Awaited<T> {
    /// The result, if it comes until then.
    pub(crate) fn until(self, deadline: Instant) -> Result<T, Stuck> {
        self.0
            .recv_deadline(deadline)
            .map_err(|(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)| Stuck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_result_comes_back_from_the_hand() {
        let hand = Hand::new("test").expect("threads can be started");
        let result = hand.run(
            Duration::from_secs(20),
            CallsOut::Refused,
            may_call_out,
            |_| {},
        );
        assert_eq!(result, Ok(false));
    }

    #[test]
    fn what_comes_too_late_is_given_to_late_and_nothing_is_lost() {
        let hand = Hand::new("test").expect("threads can be started");
        let (go, wait) = mpsc::channel::<()>();
        let (late, came_late) = mpsc::channel();
        let result = hand.run(
            Duration::from_millis(5),
            CallsOut::Allowed,
            move || wait.recv().map(|()| 7),
            move |value| late.send(value).expect("the test waits"),
        );
        assert_eq!(result, Err(Stuck));
        go.send(()).expect("the hand waits");
        assert_eq!(came_late.recv().expect("it comes"), Ok(7));
    }
}
