//! Async methods and async callers: what waits, waits without a thread, and stands in nobody's way for ever.

use host::{
    CallError, Host, Reply, Step,
    event::Happening,
    report::{Departure, SwapReport},
};
use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use tests::{Artifact, Hold, LIMIT, Program, Scene, number, until};
use tokio::{runtime::Runtime, task::JoinSet};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// An executor with one thread: the test's own.
fn executor() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("an executor")
}

fn answer(reply: Result<Reply, CallError>) -> u64 {
    let reply = reply.unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_slice(&reply.result).expect("the result is a number")
}

type Call = Pin<Box<dyn Future<Output = Result<Reply, CallError>> + Send>>;

fn begin(host: &Host, plugin: &str, method: &str, arguments: &str) -> Call {
    let mut call: Call = Box::pin(host.call_async(plugin, method, arguments.as_bytes()));
    assert!(poll(&mut call).is_pending());
    call
}

fn poll(call: &mut Call) -> Poll<Result<Reply, CallError>> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn load_beside(
    host: &Host,
    file: std::path::PathBuf,
) -> std::thread::JoinHandle<Result<SwapReport, host::SwapError>> {
    let host = host.clone();
    std::thread::spawn(move || host.load(&file))
}

#[test]
fn thousands_of_pending_calls_of_one_thread_live_through_swaps() {
    const CALLERS: u64 = 2000;
    const SWAPS: u64 = 4;
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    let builds: Vec<_> = (1..=SWAPS)
        .map(|build| {
            let name = format!("libwaits_{build}.so");
            scene.put(&Artifact::of("waits").build(build).named(&name))
        })
        .collect();
    let swapped = Arc::new(AtomicBool::new(false));
    let (swapping, is_swapped) = (host.clone(), Arc::clone(&swapped));
    let swaps = std::thread::spawn(move || {
        for file in builds {
            swapping.load(&file).expect("the swap");
        }
        is_swapped.store(true, Ordering::Relaxed);
    });
    let answered = executor().block_on(async {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (host, swapped) = (host.clone(), Arc::clone(&swapped));
            callers.spawn(async move {
                let arguments = format!("[{}]", caller % 20);
                let mut answered = 0;
                while answered == 0 || !swapped.load(Ordering::Relaxed) {
                    let call = host.call_async("waits", "nap", arguments.as_bytes());
                    call.await.expect("no call fails");
                    answered += 1;
                }
                answered
            });
        }
        let mut answered = 0;
        while let Some(theirs) = callers.join_next().await {
            answered += theirs.expect("no panic");
        }
        answered
    });
    swaps.join().expect("every swap is done");
    let executed = number(&host, "waits", "naps", "");
    assert_eq!(executed, answered, "each once, and none is forgotten");
    assert_eq!(host.shutdown(LIMIT).out_of_time, [""; 0]);
    scene.wait_until_unmapped();
}

#[test]
fn an_executor_goes_on_while_a_gate_is_closed() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    let hold = Hold::new();
    host.call("waits", "hold_snapshot", &hold.arguments())
        .expect("an answer");
    let swap = load_beside(&host, scene.put(&Artifact::of("waits").build(1)));
    // The gate is closed until this is dropped.
    let snapshot = hold.wait();
    executor().block_on(async {
        let mut callers = JoinSet::new();
        for (plugin, method, arguments) in [
            ("waits", "nap", "[0]"),
            ("waits", "naps", ""),
            ("waits", "count", ""),
        ] {
            callers.spawn(host.call_async(plugin, method, arguments.as_bytes()));
        }
        // Runs on the same thread, after each of them has been polled.
        tokio::task::yield_now().await;
        assert!(callers.try_join_next().is_none(), "the gate is closed");
        drop(snapshot);
        while let Some(answered) = callers.join_next().await {
            answer(answered.expect("no panic"));
        }
    });
    swap.join().expect("no panic").expect("the swap");
    assert_eq!(number(&host, "waits", "naps", ""), 2);
}

#[test]
fn a_drain_names_what_is_pending_and_lets_it_go_on() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(100);
    let host = scene.start();
    let first = scene.load(&host, &Artifact::of("waits"));
    let mut call = begin(&host, "waits", "wait", "");
    let file = scene.put(&Artifact::of("waits").build(1));
    let error = host.load(&file).expect_err("the deadline passes");
    assert_eq!(error.step, Step::Drain, "{error}");
    assert!(error.to_string().contains("`wait` pending for"), "{error}");
    let inside = host.plugin("waits").expect("it is known").inside;
    assert_eq!(
        (inside[0].method.as_str(), inside[0].thread.as_str()),
        ("wait", "")
    );
    assert_eq!(number(&host, "waits", "release", ""), 1);
    let Poll::Ready(Ok(reply)) = poll(&mut call) else {
        panic!("it is released");
    };
    assert_eq!(reply.generation, first.generation);
    let second = host.load(&file).expect("nothing is pending now");
    assert_eq!(second.replaced, Some(first.generation));
    assert_eq!(second.departure, Some(Departure::Unmapped));
}

/// A waker that tells when it wakes.
struct Bell(mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _nobody_listens = self.0.send(());
    }
}

#[test]
fn an_unload_cancels_what_is_pending_though_nobody_polls_it() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(50);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    let (ring, rung) = mpsc::channel();
    let waker = Waker::from(Arc::new(Bell(ring)));
    let mut call = begin(&host, "waits", "wait", "");
    let polled = call.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    let report = host.unload("waits").expect("it is unloaded");
    assert!(report.state_saved);
    scene.wait_until_unmapped();
    rung.recv_timeout(LIMIT).expect("its caller is told");
    let Poll::Ready(Err(error)) = poll(&mut call) else {
        panic!("it is over");
    };
    assert!(matches!(error, CallError::Cancelled(_)), "{error:?}");
    assert!(error.to_string().starts_with("cancelled: "), "{error}");
    assert!(error.to_string().contains("outcome is unknown"), "{error}");
}

#[test]
fn a_shutdown_cancels_what_is_still_pending_at_its_deadline() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    let mut call = begin(&host, "waits", "wait", "");
    let mut nap = begin(&host, "waits", "nap", "[3600000]");
    let report = host.shutdown(Duration::from_millis(50));
    assert_eq!(report.saved, ["waits"], "{report:?}");
    for call in [&mut call, &mut nap] {
        assert!(matches!(
            poll(call),
            Poll::Ready(Err(CallError::Cancelled(_)))
        ));
    }
    let refused = executor().block_on(host.call_async("waits", "naps", b""));
    assert!(matches!(refused, Err(CallError::NotServing(_))));
    scene.wait_until_unmapped();
}

#[test]
fn a_shutdown_waits_for_what_ends_before_its_deadline() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    let begun = begin(&host, "waits", "nap", "[50]");
    let ending = host.clone();
    let shutdown = std::thread::spawn(move || ending.shutdown(LIMIT));
    assert_eq!(answer(executor().block_on(begun)), 1);
    assert_eq!(shutdown.join().expect("no panic").saved, ["waits"]);
}

#[test]
fn a_caller_who_leaves_takes_the_pending_call_along() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    drop(begin(&host, "waits", "wait", ""));
    assert_eq!(host.plugin("waits").expect("it is known").inside, []);
    scene.load(&host, &Artifact::of("waits").build(1));
}

#[test]
fn a_replaced_generation_lingers_until_its_pending_calls_have_ended() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(50);
    let host = scene.start();
    scene.load(&host, &Artifact::of("relays"));
    let call = begin(&host, "relays", "wait", "");
    let report = scene.load(&host, &Artifact::of("relays").build(1));
    let Some(Departure::Lingering { cause }) = report.departure else {
        panic!("{report:?}");
    };
    assert!(cause.contains("`wait` pending"), "{cause}");
    let events = host.follow();
    drop(call);
    tests::event(&events, "the departure", |what| {
        matches!(
            what,
            Happening::Departed {
                departure: Departure::Unmapped,
                ..
            }
        )
    });
}

#[test]
fn a_host_that_ends_cancels_what_is_pending_in_generations_that_linger() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(50);
    let host = scene.start();
    scene.load(&host, &Artifact::of("relays"));
    let mut call = begin(&host, "relays", "wait", "");
    scene.load(&host, &Artifact::of("relays").build(1));
    drop(host);
    assert!(matches!(
        poll(&mut call),
        Poll::Ready(Err(CallError::Cancelled(_)))
    ));
    scene.wait_until_unmapped();
}

#[test]
fn an_async_method_is_called_by_everyone() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    scene.load(&host, &Artifact::of("relays"));
    assert_eq!(number(&host, "waits", "nap", "[1]"), 1);
    let nap = r#"["waits", "nap", [1]]"#;
    assert_eq!(number(&host, "relays", "relay", nap), 2);
    assert_eq!(number(&host, "relays", "relay_and_wait", nap), 3);
    for (method, count) in [("relay", 4), ("relay_and_wait", 5)] {
        let call = host.call_async("relays", method, nap.as_bytes());
        assert_eq!(answer(executor().block_on(call)), count);
    }
    let (give, given) = mpsc::channel();
    let nap = host.method("waits", "nap").expect("it serves");
    nap.call_queued(b"[1]", move |reply| {
        give.send(reply).expect("the test waits");
    })
    .expect("there is room");
    assert_eq!(answer(given.recv_timeout(LIMIT).expect("an answer")), 6);
}

#[test]
fn a_plain_method_is_called_without_a_thread_too() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    scene.load(&host, &Artifact::of("relays"));
    executor().block_on(async {
        assert_eq!(answer(host.call_async("waits", "count", b"").await), 1);
        let relayed = host.call_async("relays", "relay", br#"["waits", "count", []]"#);
        assert_eq!(answer(relayed.await), 2);
        let unknown = host.call_async("relays", "relay", br#"["nobody", "count", []]"#);
        assert!(matches!(unknown.await, Err(CallError::Refused(_))));
    });
}

#[test]
fn a_pending_call_that_would_wait_for_itself_is_an_error() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    for method in ["call_own", "call_own_and_wait"] {
        let call = host.call_async("waits", method, br#"["count"]"#);
        let error = executor().block_on(call).expect_err("it would wait");
        assert!(error.to_string().contains("wait for ever"), "{error}");
        let call = host.call_async("waits", method, br#"["naps"]"#);
        assert_eq!(answer(executor().block_on(call)), 0);
    }
}

#[test]
fn an_exclusive_method_waits_for_pending_calls_and_they_for_it() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    let mut pending = begin(&host, "waits", "wait", "");
    let counting = host.clone();
    let count = std::thread::spawn(move || number(&counting, "waits", "count", ""));
    until("the method is inside", || {
        let inside = host.plugin("waits").expect("it is known").inside;
        inside.iter().find(|call| call.method == "count").cloned()
    });
    number(&host, "waits", "release", "");
    assert_eq!(poll(&mut pending).map(answer), Poll::Ready(0));
    assert_eq!(count.join().expect("no panic"), 1);
    let nap = host.call_async("waits", "nap", b"[0]");
    assert_eq!(answer(executor().block_on(nap)), 2);
}

#[test]
fn a_panic_of_an_async_method_ends_its_call_alone() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("waits"));
    let failed = executor().block_on(host.call_async("waits", "fail", b""));
    let Err(CallError::Panicked(message)) = failed else {
        panic!("{failed:?}");
    };
    assert!(message.contains("on purpose at "), "{message}");
    let mut wrong = pin!(host.call_async("waits", "nap", b"[\"long\"]"));
    let polled = wrong.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(
        polled,
        Poll::Ready(Err(CallError::BadArguments(_)))
    ));
    assert_eq!(number(&host, "waits", "nap", "[0]"), 1);
    let report = host.unload("waits").expect("it is unloaded");
    assert_eq!(report.departure, Departure::Unmapped);
}

#[test]
fn http_holds_no_worker_for_a_pending_call_and_bounds_their_number() {
    let plugins = tempfile::tempdir().expect("a temporary folder");
    Artifact::of("waits").place(plugins.path());
    let file = plugins.path().join("host.toml");
    std::fs::write(&file, "[call]\nthreads = 1\nqueue = 3\n").expect("a configuration");
    let [plugins, file] =
        [plugins.path(), &file].map(|path| path.to_str().expect("a path in UTF-8").to_owned());
    let host = Program::start(&["run", &plugins, "--config", &file]);
    assert_eq!(host.post("waits", "nap", "[1]").body, "1");
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let address = host.call.clone();
            std::thread::spawn(move || tests::request(&address, "POST", "/call/waits/wait", ""))
        })
        .collect();
    until("all are pending", || {
        (host.post("waits", "waiting", "").body == "3").then_some(())
    });
    let answer = host.post("waits", "nap", "[1]");
    assert_eq!(
        (answer.status, answer.error_kind().as_str()),
        (429, "busy"),
        "{answer:?}"
    );
    assert_eq!(host.post("waits", "release", "").body, "3");
    for caller in waiting {
        let answer = caller.join().expect("no panic").expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "1"));
    }
}
