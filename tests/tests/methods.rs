//! Methods: looked up once, good for every generation, short or not, and counted.

use host::{CallError, Host, Method, report::Numbers};
use std::time::Duration;
use tests::{Artifact, Hold, LIMIT, Scene, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

fn method(host: &Host, plugin: &str, name: &str) -> Method {
    host.method(plugin, name).expect("it is there")
}

fn queued(method: &Method, arguments: &'static [u8]) -> Result<host::Reply, CallError> {
    let (give, take) = crossbeam_channel::bounded(1);
    method
        .call_queued(arguments, move |answer| {
            give.send(answer).expect("the test waits");
        })
        .expect("there is room");
    take.recv_timeout(LIMIT).expect("an answer")
}

fn numbers(host: &Host, plugin: &str) -> Numbers {
    let status = host.plugin(plugin).expect("it is known");
    status.serving.expect("it serves").numbers
}

#[test]
fn a_method_goes_on_through_swap_unload_and_load() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let first = scene.load(&host, &Artifact::of("steady").version("1.0.1"));
    let total = method(&host, "steady", "total");
    assert_eq!((total.plugin(), total.name()), ("steady", "total"));
    let reply = total.call(b"").expect("an answer");
    assert_eq!(
        (&*reply.version, reply.generation),
        ("1.0.1", first.generation)
    );
    let second = scene.load(&host, &Artifact::of("steady").version("1.0.2"));
    let reply = total.call(b"").expect("an answer");
    assert_eq!(
        (&*reply.version, reply.generation),
        ("1.0.2", second.generation)
    );
    host.unload("steady").expect("the unload");
    let error = total.call(b"").expect_err("nothing serves");
    assert_eq!(error.kind(), "not_serving");
    scene.load(&host, &Artifact::of("steady").version("1.0.3"));
    assert_eq!(&*total.call(b"").expect("an answer").version, "1.0.3");
}

#[test]
fn what_is_not_there_is_told_when_it_is_looked_up() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let error = host.method("steady", "total").expect_err("no such plugin");
    assert_eq!(error.kind(), "unknown_plugin");
    scene.load(&host, &Artifact::of("steady"));
    let error = host.method("steady", "totl").expect_err("no such method");
    assert_eq!(error.kind(), "unknown_method");
    assert!(error.to_string().contains("total() -> u64"), "{error}");
}

#[test]
fn a_method_is_called_in_place_once_it_is_known_to_be_short() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    let total = method(&host, "steady", "total");
    assert!(total.call_if_short(b"").is_none(), "nothing is known of it");
    let in_place = || {
        until("it is known to be short", || {
            queued(&total, b"").expect("an answer");
            total.call_if_short(b"")
        })
    };
    assert_eq!(in_place().expect("an answer").result, b"0");
    // What was known is not known of a new generation.
    scene.load(&host, &Artifact::of("steady").version("1.0.1"));
    assert!(total.call_if_short(b"").is_none());
    assert_eq!(&*in_place().expect("an answer").version, "1.0.1");
}

#[test]
fn a_method_that_calls_out_is_never_called_in_place() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    scene.load(&host, &Artifact::of("nested"));
    let relay = method(&host, "nested", "relay");
    for _ in 0..100 {
        queued(&relay, br#"["steady", "total", []]"#).expect("an answer");
        assert!(relay.call_if_short(br#"["steady", "total", []]"#).is_none());
    }
}

#[test]
fn a_method_is_not_waited_for_in_place() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("slow"));
    let (held, hold) = (method(&host, "slow", "held"), Hold::new());
    until("it is known to be short", || {
        queued(&held, b"").expect("an answer");
        held.call_if_short(b"")
    })
    .expect("an answer");
    let alone = method(&host, "slow", "hold_alone");
    let (give, take) = crossbeam_channel::bounded(1);
    alone
        .call_queued(hold.arguments(), move |answer| {
            give.send(answer).expect("the test waits");
        })
        .expect("there is room");
    let inside = hold.wait();
    assert!(held.call_if_short(b"").is_none(), "another is alone inside");
    drop(inside);
    let answer = take.recv_timeout(LIMIT).expect("in time");
    assert_eq!(answer.expect("an answer").result, b"1");
    until("nobody is alone inside", || held.call_if_short(b"")).expect("an answer");
}

#[test]
fn a_closed_gate_is_not_waited_for_in_place_and_keeps_no_other_plugin_from_being_answered() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.call.threads = 3;
    scene.config.call.per_plugin = Some(2);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    scene.load(&host, &Artifact::of("closing"));
    let pass = method(&host, "closing", "pass");
    until("it is known to be short", || {
        queued(&pass, b"").expect("an answer");
        pass.call_if_short(b"")
    })
    .expect("an answer");
    let hold = Hold::new();
    host.call("closing", "hold_snapshot", &hold.arguments())
        .expect("an answer");
    let (beside, newer) = (
        host.clone(),
        scene.put(&Artifact::of("closing").version("1.0.1")),
    );
    let swap = std::thread::spawn(move || beside.load(&newer));
    // The gate is closed for as long as this lives.
    let snapshot = hold.wait();
    assert!(pass.call_if_short(b"").is_none());
    let (give, take) = crossbeam_channel::unbounded();
    for _ in 0..4 {
        let give = give.clone();
        pass.call_queued(b"", move |answer| {
            give.send(answer).expect("the test waits");
        })
        .expect("there is room");
    }
    let total = method(&host, "steady", "total");
    for _ in 0..20 {
        queued(&total, b"").expect("an answer");
    }
    assert!(take.is_empty(), "the gate was open");
    drop(snapshot);
    swap.join().expect("it ends").expect("a swap");
    for _ in 0..4 {
        let answer = take.recv_timeout(LIMIT).expect("in time");
        assert_eq!(&*answer.expect("an answer").version, "1.0.1");
    }
}

#[test]
fn calls_are_counted_for_each_generation_by_how_they_ended() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    assert_eq!(numbers(&host, "steady"), Numbers::default());
    let increment = method(&host, "steady", "increment");
    for number in 1..=3 {
        let arguments = format!("[1, {number}]");
        increment.call(arguments.as_bytes()).expect("an answer");
    }
    increment.call(b"[1, 1]").expect_err("it refuses");
    let first = numbers(&host, "steady");
    assert_eq!((first.calls, first.errors, first.panics), (4, 1, 0));
    assert_eq!(first.in_flight, 0);
    let latency = first.latency.expect("there were calls");
    assert!(latency.p50_nanos <= latency.p99_nanos);
    assert!(latency.p999_nanos <= latency.max_nanos);
    scene.load(&host, &Artifact::of("steady").version("1.0.1"));
    assert_eq!(numbers(&host, "steady"), Numbers::default());
}

#[test]
fn a_panic_is_counted_as_an_error_and_as_a_panic() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let report = scene.load(&host, &Artifact::of("panics_in_shared_method"));
    let status = host.plugin(&report.plugin).expect("it is known");
    let methods = status.serving.expect("it serves").manifest.methods;
    let panics = methods
        .iter()
        .find(|method| method.arguments.is_empty())
        .expect("a method without arguments");
    let error = host
        .call(&report.plugin, &panics.name, b"")
        .expect_err("it panics");
    assert_eq!(error.kind(), "panicked", "{error}");
    let numbers = numbers(&host, &report.plugin);
    assert_eq!((numbers.calls, numbers.errors, numbers.panics), (1, 1, 1));
}

#[test]
fn a_generation_that_lingers_shows_its_numbers_too() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(10);
    let host = scene.start();
    scene.load(&host, &Artifact::of("passing"));
    let hold = Hold::new();
    let (arguments, beside) = (hold.arguments(), host.clone());
    let held = std::thread::spawn(move || beside.call("passing", "hold", &arguments));
    let inside = hold.wait();
    assert_eq!(numbers(&host, "passing").in_flight, 1);
    scene.load(&host, &Artifact::of("passing").version("1.0.1"));
    let lingering = host.plugin("passing").expect("it is known").lingering;
    let [old] = &*lingering else {
        panic!("one lingers: {lingering:?}");
    };
    assert_eq!((old.numbers.calls, old.numbers.in_flight), (0, 1));
    assert_eq!(numbers(&host, "passing").in_flight, 0);
    drop(inside);
    held.join().expect("it ends").expect("it was let go of");
}
