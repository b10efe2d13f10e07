//! Typed interfaces: services and plugins call each other with plain types, through every swap, and what does not fit is
//! told before it does harm.

use host::{CallError, Handle, HandleError, Host, Step, event::Happening, report::Departure};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tests::{Artifact, Hold, LIMIT, Scene, number};

#[path = "../guests/interfaces/arithmetic.rs"]
mod arithmetic;
#[path = "../guests/interfaces/sums.rs"]
mod sums;
use arithmetic::{Arithmetic, Line, Order, Point};
use sums::Sums;

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// A host with these guests.
fn run(guests: &[&str]) -> (Scene, Host) {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    for guest in guests {
        scene.load(&host, &Artifact::of(guest));
    }
    (scene, host)
}

fn calc(host: &Host) -> Handle<dyn Arithmetic> {
    host.handle("calc").expect("a handle")
}

fn order() -> Order {
    Order {
        id: u64::MAX,
        lines: vec![
            Line::Pieces {
                item: "ä".repeat(1000),
                count: 3,
            },
            Line::Place(point(1.5), Some('ß')),
            Line::Nothing,
        ],
        prices: BTreeMap::from([("a".to_owned(), (-1, 0.5)), (String::new(), (1, -0.0))]),
        within: Some(Duration::new(5, 7)),
        sealed: Err("not yet".to_owned()),
    }
}

fn point(x: f64) -> Point {
    Point {
        x,
        y: -x,
        tags: [1, 2, 3],
    }
}

/// The text of a method's result by name.
fn text(host: &Host, plugin: &str, method: &str, arguments: &str) -> String {
    let reply = host.call(plugin, method, arguments.as_bytes());
    let reply = reply.unwrap_or_else(|error| panic!("{plugin}.{method}{arguments}: {error}"));
    serde_json::from_slice(&reply.result).expect("a text")
}

#[test]
fn what_crosses_comes_back_as_it_was() {
    let (_scene, host) = run(&["calc"]);
    let calc = calc(&host);
    assert_eq!(calc.add(2, 3), Ok(5));
    assert_eq!(calc.echo(order()), Ok(order()));
    assert_eq!(calc.check(order()), Ok(Ok(3)));
    let points = [point(1.0), point(2.0)];
    assert_eq!(calc.middle(&points, &2.0), Ok(Some(point(3.0))));
    assert_eq!(calc.middle(&[], &2.0), Ok(None));
    let words = vec!["a".to_owned(), "abc".to_owned()];
    assert_eq!(calc.longest(words, "ab"), Ok(Some("abc".to_owned())));
    assert_eq!(calc.count(5), Ok(5));
    // By name it is the same plugin.
    assert_eq!(number(&host, "calc", "counted", ""), 5);
}

#[test]
fn a_refusal_comes_as_the_methods_own_error() {
    let (_scene, host) = run(&["calc"]);
    let empty = Order {
        id: 7,
        lines: Vec::new(),
        ..order()
    };
    assert_eq!(
        calc(&host).check(empty),
        Ok(Err("order 7 is empty".to_owned()))
    );
}

#[test]
fn a_handle_is_refused_with_what_there_is() {
    let (_scene, host) = run(&["calc", "steady"]);
    let error = |plugin: &str| host.handle::<dyn Arithmetic>(plugin).err();
    assert!(matches!(
        error("nobody"),
        Some(HandleError::UnknownPlugin { .. })
    ));
    assert_eq!(
        error("steady").map(|error| error.to_string()).as_deref(),
        Some(
            "plugin \"steady\" does not offer interface `Arithmetic`; it offers none: write `offers(...)` into its \
             #[plugin_api::plugin]"
        )
    );
    let error = host.handle::<dyn Sums>("calc").err();
    assert_eq!(
        error.map(|error| error.to_string()).as_deref(),
        Some("plugin \"calc\" does not offer interface `Sums`; it offers `Arithmetic`")
    );
    host.unload("calc").expect("it is unloaded");
    let error = host.handle::<dyn Arithmetic>("calc").err();
    assert!(matches!(error, Some(HandleError::NotServing { .. })));
}

#[test]
fn a_changed_interface_is_told_by_method_argument_and_type() {
    let (_scene, host) = run(&["calc_changed"]);
    let error = host
        .handle::<dyn Arithmetic>("calc")
        .expect_err("it differs");
    assert_eq!(
        error.to_string(),
        "plugin \"calc\" and this caller differ in interface `Arithmetic`: argument `b` of `add` is u32 there, u64 here; \
         build both against the same"
    );
}

#[test]
fn a_build_without_what_a_handle_uses_is_refused_until_the_handle_is_dropped() {
    let (scene, host) = run(&["calc"]);
    let handle = calc(&host);
    let second = handle.clone();
    for (guest, words) in [
        (
            "calc_changed",
            "argument `b` of `add` is u32 there, u64 here",
        ),
        ("calc_without", "it does not offer interface `Arithmetic`"),
    ] {
        let refused = host.load(&scene.put(&Artifact::of(guest)));
        let error = refused.expect_err("somebody uses the interface");
        assert_eq!(error.step, Step::Load);
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        assert!(text.contains("the service around this host"), "{text}");
    }
    drop(handle);
    assert_eq!(second.count(2), Ok(2));
    assert!(
        host.load(&scene.put(&Artifact::of("calc_changed")))
            .is_err()
    );
    drop(second);
    let report = scene.load(&host, &Artifact::of("calc_changed"));
    assert_eq!(report.version, "2.0.0");
    assert_eq!(number(&host, "calc", "counted", ""), 2);
    scene.load(&host, &Artifact::of("calc_without"));
}

#[test]
fn methods_appended_to_an_interface_are_no_difference() {
    let (scene, host) = run(&["adder"]);
    let adder: Handle<dyn Sums> = host.handle("adder").expect("a handle");
    assert_eq!(adder.add(1, 2), Ok(3));
    // There it is the second of two interfaces.
    scene.load(&host, &Artifact::of("calc_more"));
    assert_eq!(adder.add(1, 2), Ok(1003));
    assert_eq!(adder.left(3, 4), Ok(None));
    let again: Handle<dyn Sums> = host.handle("adder").expect("a handle");
    assert_eq!(again.sum(&[0.5, 1.0]), Ok(1.5));
    assert_eq!(again.length("four"), Ok(4));
    scene.load(&host, &Artifact::of("adder").build(1));
    assert_eq!(adder.add(1, 2), Ok(3));
}

#[test]
fn calls_go_on_through_swaps_and_nothing_stays_behind() {
    for (guest, plugin) in [("adder", "adder"), ("calc", "calc")] {
        let (scene, host) = run(&[guest]);
        let ended = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (host, ended) = (host.clone(), Arc::clone(&ended));
                thread::spawn(move || {
                    let (adder, calc) = (
                        host.handle::<dyn Sums>("adder").ok(),
                        host.handle::<dyn Arithmetic>("calc").ok(),
                    );
                    let mut calls = 0_u64;
                    while !ended.load(Ordering::Relaxed) {
                        if let Some(adder) = &adder {
                            assert_eq!(adder.add(calls, 1), Ok(calls + 1));
                            // It leaves something on the thread.
                            assert_eq!(adder.length("text"), Ok(4));
                        }
                        if let Some(calc) = &calc {
                            assert_eq!(calc.add(calls, 1), Ok(calls + 1));
                            assert_eq!(calc.echo(order()), Ok(order()));
                            calc.count(1).expect("it is counted");
                        }
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for build in 0..5 {
            let report = scene.load(&host, &Artifact::of(guest).build(build));
            assert_eq!(
                report.departure,
                Some(Departure::Unmapped),
                "{plugin} {build}"
            );
        }
        ended.store(true, Ordering::Relaxed);
        let calls: u64 = callers
            .into_iter()
            .map(|caller| caller.join().expect("no call has failed"))
            .sum();
        assert!(calls > 0);
        if guest == "calc" {
            assert_eq!(number(&host, "calc", "counted", ""), calls);
        }
    }
}

#[test]
fn what_is_long_among_many_short_calls_is_timed_and_all_are_counted() {
    let (_scene, host) = run(&["adder"]);
    let adder: Handle<dyn Sums> = host.handle("adder").expect("a handle");
    let numbers = || {
        let status = host.plugin("adder").expect("it is known");
        status.serving.expect("it serves").numbers
    };
    // To sum these up takes some milliseconds.
    let (many, long) = (vec![0.0; 1_000_000], Duration::from_millis(1));
    let until = Instant::now() + LIMIT;
    let mut calls = 0;
    loop {
        for _ in 0..20 {
            assert_eq!(adder.add(1, 2), Ok(3));
        }
        assert_eq!(adder.sum(&many), Ok(0.0));
        calls += 21;
        let latency = numbers().latency.expect("the first one was timed");
        if latency.max_nanos >= long.as_nanos() as u64 {
            break;
        }
        assert!(Instant::now() < until, "no call is timed any more");
    }
    assert_eq!(numbers().calls, calls);
}

#[test]
fn a_handle_holds_through_an_unload_and_a_load() {
    let (scene, host) = run(&["calc"]);
    let calc = calc(&host);
    assert_eq!(calc.count(3), Ok(3));
    let report = host.unload("calc").expect("it is unloaded");
    assert_eq!(report.departure, Departure::Unmapped);
    assert!(matches!(calc.count(1), Err(CallError::NotServing(_))));
    scene.load(&host, &Artifact::of("calc"));
    assert_eq!(calc.count(1), Ok(4));
    host.shutdown(LIMIT);
    assert!(matches!(calc.count(1), Err(CallError::NotServing(_))));
    drop(host);
    assert!(matches!(calc.add(1, 1), Err(CallError::NotServing(_))));
}

#[test]
fn a_panic_is_told_with_its_place_and_taints_only_what_was_being_changed() {
    let (_scene, host) = run(&["calc"]);
    let calc = calc(&host);
    let events = host.follow();
    let Err(CallError::Panicked(reason)) = calc.fail("no reason".to_owned()) else {
        panic!("it panics");
    };
    assert!(
        reason.starts_with("no reason at tests/guests/calc.rs:"),
        "{reason}"
    );
    let is_tainted = || {
        let status = host.plugin("calc").expect("it is known");
        status.serving.expect("it serves").tainted
    };
    assert!(!is_tainted());
    assert!(matches!(calc.fail_half_way(), Err(CallError::Panicked(_))));
    assert!(is_tainted());
    tests::event(
        &events,
        "the taint",
        |what| matches!(what, Happening::Tainted { method, .. } if method == "Arithmetic.fail_half_way"),
    );
    assert_eq!(calc.count(1), Ok(2));
}

#[test]
fn a_drain_names_the_method_of_the_interface_that_it_waits_for() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(100);
    let host = scene.start();
    scene.load(&host, &Artifact::of("calc"));
    let hold = Hold::new();
    let (calc, at) = (calc(&host), hold.path().display().to_string());
    let held = thread::spawn(move || calc.hold(&at));
    let inside = hold.wait();
    let error = host
        .load(&scene.put(&Artifact::of("calc").build(1)))
        .expect_err("a call is inside");
    assert_eq!(error.step, Step::Drain);
    assert!(error.to_string().contains("`Arithmetic.hold`"), "{error}");
    drop(inside);
    assert_eq!(held.join().expect("it returns"), Ok(Ok(())));
}

#[test]
fn plugins_call_each_other_through_an_interface() {
    let (_scene, host) = run(&["calc", "clerk"]);
    assert_eq!(number(&host, "clerk", "add", "[2,3]"), 5);
    assert_eq!(number(&host, "clerk", "count", "[4]"), 4);
    assert_eq!(
        text(&host, "clerk", "order", r#"["pear",2]"#),
        "true Err(\"order 1 is empty\")"
    );
    let failed = text(&host, "clerk", "fail", r#"["no reason"]"#);
    assert!(
        failed.starts_with("panicked: no reason at tests/guests/calc.rs:"),
        "{failed}"
    );
    let serving = || host.plugin("calc").and_then(|status| status.serving);
    assert!(!serving().expect("it serves").tainted);
    let failed = text(&host, "clerk", "fail_half_way", "");
    assert!(failed.starts_with("panicked: half way at"), "{failed}");
    assert!(serving().expect("it serves").tainted);
    assert_eq!(
        text(&host, "clerk", "try_handle", r#"["nobody"]"#),
        "unknown_plugin: no plugin \"nobody\" is known here"
    );
    let not_offered = text(&host, "clerk", "try_handle", r#"["clerk"]"#);
    assert!(not_offered.starts_with("not_offered: "), "{not_offered}");
}

#[test]
fn a_build_without_what_a_plugin_uses_is_refused_until_that_lets_go_or_is_gone() {
    let (scene, host) = run(&["calc", "clerk"]);
    // The clerk's second generation has a handle of its own; the first one's has gone with it.
    scene.load(&host, &Artifact::of("clerk").build(1));
    scene.load(&host, &Artifact::of("calc").build(1));
    assert_eq!(number(&host, "clerk", "add", "[2,3]"), 5);
    let changed = scene.put(&Artifact::of("calc_changed"));
    let error = host.load(&changed).expect_err("the clerk uses it");
    assert!(error.to_string().contains("plugin \"clerk\""), "{error}");
    host.unload("clerk").expect("it is unloaded");
    host.load(&changed).expect("nobody uses it");
    let error = host
        .load(&scene.put(&Artifact::of("clerk")))
        .expect_err("it does not find what it knows");
    assert_eq!(error.step, Step::HandOver);
    assert!(
        error
            .to_string()
            .contains("argument `b` of `add` is u32 there, u64 here"),
        "{error}"
    );
    scene.load(&host, &Artifact::of("calc"));
    scene.load(&host, &Artifact::of("clerk"));
    host.call("clerk", "let_go", b"").expect("it lets go");
    host.load(&changed).expect("nobody uses it");
}

#[test]
fn plugins_that_call_each_other_are_swapped_and_unmapped() {
    let (scene, host) = run(&["calc", "clerk"]);
    let ended = Arc::new(AtomicBool::new(false));
    let caller = {
        let (host, ended) = (host.clone(), Arc::clone(&ended));
        thread::spawn(move || {
            let mut calls = 0_u64;
            while !ended.load(Ordering::Relaxed) {
                calls += 1;
                assert_eq!(number(&host, "clerk", "count", "[1]"), calls);
            }
            calls
        })
    };
    for build in 0..4 {
        for guest in ["calc", "clerk"] {
            let report = scene.load(&host, &Artifact::of(guest).build(build));
            assert_eq!(report.departure, Some(Departure::Unmapped), "{guest}");
        }
    }
    ended.store(true, Ordering::Relaxed);
    let calls = caller.join().expect("no call has failed");
    assert_eq!(number(&host, "calc", "counted", ""), calls);
    for plugin in ["clerk", "calc"] {
        let report = host.unload(plugin).expect("it is unloaded");
        assert_eq!(report.departure, Departure::Unmapped);
    }
    scene.wait_until_unmapped();
}

#[test]
fn any_number_of_handles_share_the_place_of_their_interface() {
    let (_scene, host) = run(&["calc"]);
    let handles: Vec<_> = (0..100).map(|_| calc(&host)).collect();
    assert!(handles.iter().all(|calc| calc.add(1, 1) == Ok(2)));
    let text = format!("{:?}", handles[0]);
    assert_eq!(
        text,
        "Handle { plugin: \"calc\", interface: \"Arithmetic\" }"
    );
}

#[test]
fn a_library_whose_interfaces_are_not_those_of_its_note_is_refused() {
    let (scene, host) = run(&[]);
    // Only the note is written over: it comes first in the file.
    let forged = Artifact::of("calc").with("\"name\":\"longest\"", "\"name\":\"longish\"");
    let verdict = host.vet(&scene.put(&forged));
    let reason = verdict.reason().unwrap_or_default();
    assert!(
        reason.contains("the interfaces in its library (Arithmetic) are not those in its note"),
        "{verdict:?}"
    );
}
