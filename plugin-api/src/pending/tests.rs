//! Async methods as their host sees them: it polls, and the test says what has ended.

use crate::{
    CallError, Context, FaultKind,
    contract::{
        Answer, Done, FORMAT_JSON, Fault, PendingBox, PluginObjectBox, TaskBox, TaskObject,
        TaskObject_TO,
    },
    testing::{Host, alone},
};
use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RSlice, RStr, RVec},
};
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, PoisonError, mpsc},
    task::{Poll, Waker},
    time::Duration,
};

/// Where a method leaves its waker for the test.
static LEFT: Mutex<Option<Waker>> = Mutex::new(None);

/// Waits in all the ways there are.
#[derive(Default)]
struct Waiter;

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("dropped badly");
    }
}

#[crate::plugin(name = "waiter", stateless, unexported)]
impl Waiter {
    async fn twice(&self, ctx: &Context, name: &str) -> Result<String, CallError> {
        let (mut first, mut second) = (
            pin!(ctx.sleep(Duration::from_nanos(1))),
            pin!(ctx.sleep(Duration::from_nanos(2))),
        );
        let (mut is_first, mut is_second) = (false, false);
        poll_fn(|context| {
            is_first = is_first || first.as_mut().poll(context).is_ready();
            is_second = is_second || second.as_mut().poll(context).is_ready();
            if is_first && is_second {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        Ok(format!("{name} has slept twice"))
    }

    /// The first of a sleep and a call; the other one is cancelled.
    async fn first(&self, ctx: &Context) -> Result<u64, CallError> {
        let mut call = pin!(ctx.call_async::<u64>("other", "number", (1,)));
        let mut sleep = pin!(ctx.sleep(Duration::MAX));
        poll_fn(|context| {
            if let Poll::Ready(number) = call.as_mut().poll(context) {
                return Poll::Ready(number);
            }
            sleep.as_mut().poll(context).map(|slept| slept.map(|()| 0))
        })
        .await
    }

    async fn at_once(&self) -> u64 {
        7
    }

    async fn refuses(&self) -> Result<(), String> {
        Err("not today".to_owned())
    }

    async fn breaks(&self, ctx: &Context) -> Result<(), CallError> {
        ctx.sleep(Duration::ZERO).await?;
        panic!("broken");
    }

    async fn breaks_in_drop(&self, ctx: &Context) -> Result<(), CallError> {
        let _breaks = PanicsInDrop;
        ctx.sleep(Duration::MAX).await
    }

    async fn leaves_its_waker(&self) -> u64 {
        poll_fn(|context| {
            let left = LEFT.lock().unwrap().replace(context.waker().clone());
            if left.is_some() {
                Poll::Ready(8)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    fn waits_in_vain(&self, ctx: &Context) -> Result<(), CallError> {
        let mut sleep = pin!(ctx.sleep(Duration::ZERO));
        let mut context = std::task::Context::from_waker(Waker::noop());
        match sleep.as_mut().poll(&mut context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => Ok(()),
        }
    }
}

/// What the host is asked for by one pending call, and what has ended.
#[derive(Clone)]
struct Task {
    asked: Arc<Mutex<Vec<String>>>,
    done: Arc<Mutex<VecDeque<Done>>>,
    woken: mpsc::Sender<()>,
}

impl Task {
    fn see(&self, what: String) -> Answer<()> {
        self.asked.lock().unwrap().push(what);
        RResult::ROk(())
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn ends(&self, operation: u64, outcome: Result<&str, Fault>) {
        let outcome = match outcome {
            Ok(text) => RResult::ROk(RVec::from(text.as_bytes())),
            Err(fault) => RResult::RErr(fault),
        };
        let mut done = self.done.lock().unwrap();
        done.push_back(Done { operation, outcome });
    }
}

impl TaskObject for Task {
    fn wake(&self) {
        let _nobody_listens = self.woken.send(());
    }

    fn sleep(&self, operation: u64, nanoseconds: u64) -> Answer<()> {
        self.see(format!("{operation}: sleep {nanoseconds}"))
    }

    fn call(
        &self,
        operation: u64,
        plugin: RStr<'_>,
        method: RStr<'_>,
        _format: u32,
        arguments: RSlice<'_, u8>,
    ) -> Answer<()> {
        let arguments = String::from_utf8_lossy(arguments.as_slice());
        self.see(format!("{operation}: {plugin}.{method}({arguments})"))
    }

    fn cancel(&self, operation: u64) {
        let _always = self.see(format!("{operation}: cancelled"));
    }

    fn next_done(&self) -> ROption<Done> {
        self.done.lock().unwrap().pop_front().into()
    }
}

/// A plugin, and the methods it begins.
struct Scene {
    object: PluginObjectBox,
    host: Host,
    task: Task,
    woken: mpsc::Receiver<()>,
}

impl Scene {
    fn new() -> Self {
        let host = Host::default();
        let (ring, woken) = mpsc::channel();
        Scene {
            object: host.create::<Waiter>().unwrap(),
            host,
            task: Task {
                asked: Arc::default(),
                done: Arc::default(),
                woken: ring,
            },
            woken,
        }
    }

    fn number(name: &str) -> u32 {
        use crate::__private::Plugin;
        let methods: Vec<crate::manifest::Method> = serde_json::from_str(Waiter::METHODS).unwrap();
        let place = methods.iter().position(|method| method.name == name);
        u32::try_from(place.unwrap()).unwrap()
    }

    fn begin(&self, method: &str, arguments: &str) -> Result<PendingBox, Fault> {
        let task: TaskBox = TaskObject_TO::from_value(self.task.clone(), TD_Opaque);
        let arguments = RSlice::from_slice(arguments.as_bytes());
        self.object
            .begin(Self::number(method), FORMAT_JSON, arguments, task)
            .into_result()
    }
}

fn poll(pending: &mut PendingBox) -> Option<Result<String, Fault>> {
    pending.poll().into_option().map(|answer| {
        let answer = answer.into_result();
        answer.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    })
}

fn answered(pending: &mut PendingBox) -> Result<String, Fault> {
    poll(pending).expect("it has what it waited for")
}

#[test]
fn a_method_waits_for_two_sleeps_at_once() {
    let _alone = alone();
    let scene = Scene::new();
    let mut pending = scene.begin("twice", r#"["Ann"]"#).unwrap();
    assert!(
        scene.task.asked().is_empty(),
        "nothing before the first poll"
    );
    assert!(poll(&mut pending).is_none());
    assert_eq!(scene.task.asked(), ["1: sleep 1", "2: sleep 2"]);
    scene.task.ends(2, Ok(""));
    assert!(poll(&mut pending).is_none());
    scene
        .woken
        .try_recv()
        .expect("whoever waited for it is woken");
    scene.task.ends(1, Ok(""));
    assert_eq!(answered(&mut pending).unwrap(), r#""Ann has slept twice""#);
    assert!(scene.task.asked().is_empty());
    assert_eq!(
        answered(&mut pending).unwrap_err().kind,
        FaultKind::UNAVAILABLE
    );
}

#[test]
fn the_one_that_is_not_waited_for_any_more_is_cancelled() {
    let _alone = alone();
    let scene = Scene::new();
    let mut pending = scene.begin("first", "").unwrap();
    assert!(poll(&mut pending).is_none());
    let begun = ["1: other.number([1])", "2: sleep 18446744073709551615"];
    assert_eq!(scene.task.asked(), begun);
    scene.task.ends(1, Ok("42"));
    assert_eq!(answered(&mut pending).unwrap(), "42");
    assert_eq!(scene.task.asked(), ["2: cancelled"]);
}

#[test]
fn what_a_call_fails_with_is_what_the_method_sees() {
    let _alone = alone();
    let scene = Scene::new();
    let mut pending = scene.begin("first", "").unwrap();
    assert!(poll(&mut pending).is_none());
    let fault = Fault::new(FaultKind::NOT_SERVING, "it is away");
    scene.task.ends(1, Err(fault));
    let fault = answered(&mut pending).unwrap_err();
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::REFUSED, "it is away")
    );
}

#[test]
fn a_method_that_waits_for_nothing_answers_at_once() {
    let _alone = alone();
    let scene = Scene::new();
    assert_eq!(
        answered(&mut scene.begin("at_once", "").unwrap()).unwrap(),
        "7"
    );
    let refusal = answered(&mut scene.begin("refuses", "").unwrap()).unwrap_err();
    assert_eq!(
        (refusal.kind, refusal.message.as_str()),
        (FaultKind::REFUSED, "not today")
    );
}

#[test]
fn arguments_are_read_before_it_begins() {
    let _alone = alone();
    let scene = Scene::new();
    let fault = scene.begin("twice", "[1]").map(drop).unwrap_err();
    assert_eq!(fault.kind, FaultKind::BAD_ARGUMENTS);
    let fault = scene.begin("waits_in_vain", "").map(drop).unwrap_err();
    assert_eq!(fault.kind, FaultKind::UNKNOWN_METHOD);
}

#[test]
fn a_panic_ends_the_call_and_says_where() {
    let _alone = alone();
    let scene = Scene::new();
    let mut pending = scene.begin("breaks", "").unwrap();
    assert!(poll(&mut pending).is_none());
    scene.task.ends(1, Ok(""));
    let fault = answered(&mut pending).unwrap_err();
    assert_eq!(fault.kind, FaultKind::PANICKED);
    assert!(
        fault.message.starts_with("broken at ") && fault.message.contains("tests.rs"),
        "{}",
        fault.message
    );
}

#[test]
fn dropping_a_pending_call_cancels_what_it_waits_for_and_a_panic_on_the_way_is_logged() {
    let _alone = alone();
    let scene = Scene::new();
    let mut pending = scene.begin("breaks_in_drop", "").unwrap();
    assert!(poll(&mut pending).is_none());
    scene.task.asked();
    drop(pending);
    assert_eq!(scene.task.asked(), ["1: cancelled"]);
    let log = scene.host.seen().join("\n");
    assert!(log.contains("dropped badly"), "{log}");
}

#[test]
fn a_waker_that_outlives_its_call_wakes_nothing_and_breaks_nothing() {
    let _alone = alone();
    let scene = Scene::new();
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let mut pending = scene.begin("leaves_its_waker", "").unwrap();
    assert!(poll(&mut pending).is_none());
    let waker = LEFT.lock().unwrap().clone().expect("it has left one");
    waker.wake_by_ref();
    scene.woken.try_recv().expect("the call is woken");
    assert_eq!(answered(&mut pending).unwrap(), "8");
    drop(pending);
    *LEFT.lock().unwrap() = None;
    std::thread::spawn(move || waker.wake()).join().unwrap();
}

#[test]
fn a_pending_call_keeps_others_from_having_the_plugin_alone() {
    let _alone = alone();
    let mut scene = Scene::new();
    let pending = scene.begin("at_once", "").unwrap();
    let fault = scene.object.attach().into_result().unwrap_err();
    assert_eq!(fault.kind, FaultKind::BUSY);
    drop(pending);
    assert!(scene.object.attach().into_result().is_ok());
}

#[test]
fn a_plain_method_cannot_wait_so() {
    let _alone = alone();
    let scene = Scene::new();
    let number = Scene::number("waits_in_vain");
    let answer = scene
        .object
        .call(number, FORMAT_JSON, RSlice::from_slice(b""));
    let fault = answer.into_result().unwrap_err();
    assert!(
        fault.message.contains("not that of an `async` method"),
        "{}",
        fault.message
    );
}
