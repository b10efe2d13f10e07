//! What a task promises to the plugin's side of a call.

use super::*;
use crate::{
    desk::Turn,
    error::HandleError,
    handle::Passage,
    promise::{Promise, Promised, promise},
};
use std::{sync::mpsc, thread::JoinHandle};

type Answered = Result<Vec<u8>, CallError>;

/// A host whose calls are answered by the test.
struct Host {
    clock: Clock,
    calls: Mutex<VecDeque<Promised<Answered>>>,
}

impl Switchboard for Host {
    fn call(&self, _: &str, _: &str, _: &[u8]) -> Answered {
        unreachable!("a pending call waits without a thread")
    }

    fn call_later(self: Arc<Self>, _: Arc<str>, _: Arc<str>, _: Arc<[u8]>, _: Turn) {}

    fn passage(&self, _: &str, _: &str, _: Arc<str>) -> Result<Passage, HandleError> {
        unreachable!("a pending call calls by name")
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn call_async(
        self: Arc<Self>,
        _: String,
        _: String,
        _: Vec<u8>,
        _: Within,
        _: Scope,
    ) -> Calling {
        let promised = self.calls.lock().pop_front().expect("a call is expected");
        Box::pin(async { promised.await.expect("the promise is kept") })
    }
}

/// Tells when it is woken.
struct Bell(mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _nobody_listens = self.0.send(());
    }
}

struct Scene {
    host: Arc<Host>,
    task: Arc<Task>,
    object: TaskBox,
    rung: mpsc::Receiver<()>,
    clock: Option<JoinHandle<()>>,
}

impl Scene {
    fn new() -> Self {
        let (clock, thread) = Clock::start().expect("threads can be started");
        let host = Arc::new(Host {
            clock: clock.clone(),
            calls: Mutex::default(),
        });
        let shared: Arc<dyn Switchboard> = Arc::clone(&host) as Arc<dyn Switchboard>;
        let task = Task::new(
            Arc::downgrade(&shared),
            clock,
            Within::default(),
            Scope::default(),
        );
        let (ring, rung) = mpsc::channel();
        task.set_poller(&Waker::from(Arc::new(Bell(ring))));
        Scene {
            object: task.object(),
            host,
            task,
            rung,
            clock: Some(thread),
        }
    }

    /// Expects a call; the test answers it.
    fn call(&self, operation: u64) -> Promise<Answered> {
        let (answer, promised) = promise();
        self.host.calls.lock().push_back(promised);
        let name = RStr::from_str("other");
        let begun = self
            .object
            .call(operation, name, name, FORMAT_JSON, RSlice::from_slice(b""));
        assert!(begun.is_ok());
        answer
    }

    fn done(&self) -> Option<(u64, Result<Vec<u8>, FaultKind>)> {
        let done = self.object.next_done().into_option()?;
        let outcome = done.outcome.into_result();
        let outcome = outcome.map(|bytes| bytes.to_vec());
        Some((done.operation, outcome.map_err(|fault| fault.kind)))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.host.clock.end();
        let ended = self.clock.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))));
    }
}

#[test]
fn a_sleep_that_has_ended_wakes_the_call_and_is_told_once() {
    let scene = Scene::new();
    assert!(scene.object.sleep(7, 1).is_ok());
    scene.rung.recv().expect("the call is woken");
    assert!(scene.task.drive(), "there is something to be taken");
    assert_eq!(scene.done(), Some((7, Ok(Vec::new()))));
    assert_eq!(scene.done(), None);
    assert!(!scene.task.drive());
}

#[test]
fn calls_are_polled_when_they_can_go_on() {
    let scene = Scene::new();
    let answers = [1, 2].map(|operation| scene.call(operation));
    assert!(!scene.task.drive(), "neither has an answer");
    let [first, second] = answers;
    second.keep(Ok(b"2".to_vec()));
    scene.rung.recv().expect("the call is woken");
    assert!(scene.task.drive());
    assert_eq!(scene.done(), Some((2, Ok(b"2".to_vec()))));
    first.keep(Err(CallError::NotServing("away".to_owned())));
    assert!(scene.task.drive());
    assert_eq!(scene.done(), Some((1, Err(FaultKind::NOT_SERVING))));
}

#[test]
fn what_was_cancelled_is_not_told() {
    let scene = Scene::new();
    let answer = scene.call(1);
    assert!(!scene.task.drive());
    scene.object.cancel(1);
    scene.object.cancel(1);
    answer.keep(Ok(Vec::new()));
    assert!(!scene.task.drive());
    assert!(scene.object.sleep(2, 1).is_ok());
    scene.rung.recv().expect("the call is woken");
    scene.object.cancel(2);
    assert_eq!(scene.done(), None);
}

#[test]
fn a_call_has_so_many_operations_and_no_more() {
    let scene = Scene::new();
    for operation in 1..=MOST_OPERATIONS as u64 {
        assert!(scene.object.sleep(operation, u64::MAX).is_ok());
    }
    let number = MOST_OPERATIONS as u64 + 1;
    assert!(scene.object.sleep(number, 1).is_err());
    scene.object.cancel(1);
    assert!(scene.object.sleep(number, 1).is_ok());
    assert!(
        scene.object.sleep(number, 1).is_err(),
        "the number is taken, or the place"
    );
}

#[test]
fn nothing_is_left_of_a_call_that_has_ended() {
    let scene = Scene::new();
    let answer = scene.call(1);
    assert!(!scene.task.drive());
    assert!(scene.object.sleep(2, u64::MAX).is_ok());
    scene.task.end();
    answer.keep(Ok(Vec::new()));
    scene.object.wake();
    assert!(scene.rung.recv().is_err(), "its poller is let go of");
    assert!(scene.object.sleep(3, 1).is_err());
    assert_eq!(scene.done(), None);
}
