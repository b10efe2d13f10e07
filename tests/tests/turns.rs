//! Turns: shared, exclusive and pending calls of one plugin, and of plugins that call each other, get on with one another.

use host::{CallError, Host};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tests::{Artifact, Hold, LIMIT, Scene, number, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// A host with a plugin whose calls wait no longer than this to be let in.
fn host_with(scene: &mut Scene, plugins: &[&str]) -> Host {
    scene.config.call.timeout = Duration::from_secs(5);
    let host = scene.start();
    for plugin in plugins {
        scene.load(&host, &Artifact::of(plugin));
    }
    host
}

type Answered = Result<(), CallError>;

fn beside(
    host: &Host,
    plugin: &'static str,
    method: &'static str,
    arguments: String,
) -> JoinHandle<Answered> {
    let host = host.clone();
    thread::spawn(move || {
        let answered = host.call(plugin, method, arguments.as_bytes());
        answered.map(drop)
    })
}

fn inside(host: &Host, plugin: &str) -> usize {
    host.plugin(plugin).expect("it is known").inside.len()
}

#[test]
fn a_shared_method_reaches_an_async_one_of_its_own_while_an_exclusive_one_waits_for_it() {
    let mut scene = Scene::new(EXAMINER);
    let host = host_with(&mut scene, &["waits"]);
    let hold = Hold::new();
    let arguments = serde_json::json!([hold.path(), "seven"]).to_string();
    let shared = beside(&host, "waits", "hold_and_call_own", arguments);
    let held = hold.wait();
    let exclusive = beside(&host, "waits", "count", String::new());
    until("the exclusive call is there", || {
        (inside(&host, "waits") == 2).then_some(())
    });
    drop(held);
    assert_eq!(shared.join().expect("no panic"), Ok(()));
    assert_eq!(exclusive.join().expect("no panic"), Ok(()));
}

#[test]
fn an_exclusive_method_that_reaches_an_async_one_of_its_own_is_told_that_it_would_wait_for_ever() {
    let mut scene = Scene::new(EXAMINER);
    let host = host_with(&mut scene, &["waits", "relays"]);
    let answered = beside(&host, "waits", "call_own_by_another", String::new());
    let error = answered.join().expect("no panic").expect_err("a knot");
    assert!(error.to_string().contains("would wait for ever"), "{error}");
}

#[test]
fn an_exclusive_method_gets_its_turn_among_shared_ones() {
    let mut scene = Scene::new(EXAMINER);
    let host = host_with(&mut scene, &["waits"]);
    let enough = Arc::new(AtomicBool::new(false));
    let (called, has_called) = mpsc::channel();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (host, enough, called) = (host.clone(), Arc::clone(&enough), called.clone());
            thread::spawn(move || {
                while !enough.load(Ordering::Relaxed) {
                    number(&host, "waits", "doze", "[5]");
                    // After the first nobody listens.
                    let _ = called.send(());
                }
            })
        })
        .collect();
    for _ in &callers {
        has_called.recv_timeout(LIMIT).expect("they call");
    }
    assert_eq!(number(&host, "waits", "count", ""), 1);
    enough.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().expect("no panic");
    }
}

#[test]
fn a_call_is_counted_once_and_only_if_it_is_executed() {
    let mut scene = Scene::new(EXAMINER);
    let host = host_with(&mut scene, &["waits"]);
    let executor = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("an executor");
    let call = |method: &str, arguments: &str| {
        let call = host.call_async("waits", method, arguments.as_bytes());
        executor.block_on(call).map(drop)
    };
    for _ in 0..10 {
        assert_eq!(call("naps", ""), Ok(()));
        assert!(call("nothing_such", "").is_err());
    }
    for _ in 0..10 {
        assert!(call("nap", r#"["soon"]"#).is_err());
    }
    let serving = host.plugin("waits").and_then(|plugin| plugin.serving);
    let numbers = serving.expect("it serves").numbers;
    assert_eq!((numbers.calls, numbers.errors), (20, 10));
    assert_eq!(numbers.in_flight, 0);
}

#[test]
fn what_is_pending_in_a_generation_of_before_ends_after_a_shutdown() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(50);
    let host = host_with(&mut scene, &["relays"]);
    let nap = beside(&host, "relays", "nap", "[500]".to_owned());
    until("the nap has begun", || {
        (inside(&host, "relays") == 1).then_some(())
    });
    scene.load(&host, &Artifact::of("relays").build(1));
    host.shutdown(Duration::from_millis(50));
    let (ended, has_ended) = mpsc::channel();
    thread::spawn(move || ended.send(nap.join().expect("no panic")));
    let answered = has_ended.recv_timeout(LIMIT).expect("it ends");
    assert_eq!(answered, Ok(()));
}
