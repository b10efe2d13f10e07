//! Drain: a swap waits for the calls inside, and callers wait for the swap, never too long.

use host::{
    Host, Step, SwapError,
    config::OnDrainDeadline,
    event::Happening,
    report::{Departure, SwapReport},
};
use std::{path::PathBuf, thread::JoinHandle, time::Duration};
use tests::{Artifact, Hold, Scene, number};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

fn call(
    host: &Host,
    plugin: &'static str,
    method: &'static str,
    arguments: Vec<u8>,
) -> JoinHandle<Vec<u8>> {
    let host = host.clone();
    std::thread::spawn(move || match host.call(plugin, method, &arguments) {
        Ok(reply) => reply.result,
        Err(error) => panic!("{plugin}.{method}: {error}"),
    })
}

fn load(host: &Host, file: PathBuf) -> JoinHandle<Result<SwapReport, SwapError>> {
    let host = host.clone();
    std::thread::spawn(move || host.load(&file))
}

#[test]
fn a_swap_waits_for_the_call_inside() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let first = scene.load(&host, &Artifact::of("slow"));
    let hold = Hold::new();
    let caller = call(&host, "slow", "hold_alone", hold.arguments());
    let inside = hold.wait();
    let events = host.follow();
    let swap = load(&host, scene.put(&Artifact::of("slow").version("1.0.1")));
    tests::event(&events, "the candidate", |what| {
        matches!(
            what,
            Happening::StepDone {
                step: Step::Load,
                ..
            }
        )
    });
    let serving = host
        .plugin("slow")
        .and_then(|plugin| plugin.serving)
        .expect("it serves");
    assert_eq!(serving.generation, first.generation);
    drop(inside);
    let report = swap.join().expect("no panic").expect("the swap");
    assert_eq!(report.replaced, Some(first.generation));
    assert_eq!(caller.join().expect("an answer"), b"1");
    assert_eq!(
        number(&host, "slow", "held", ""),
        1,
        "the call's effect has come along"
    );
}

#[test]
fn callers_are_let_in_while_a_swap_waits() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("slow"));
    let hold = Hold::new();
    let caller = call(&host, "slow", "hold", hold.arguments());
    let inside = hold.wait();
    let events = host.follow();
    let swap = load(&host, scene.put(&Artifact::of("slow").version("1.0.1")));
    tests::event(&events, "the candidate", |what| {
        matches!(
            what,
            Happening::StepDone {
                step: Step::Load,
                ..
            }
        )
    });
    for _ in 0..100 {
        assert_eq!(number(&host, "slow", "held", ""), 0);
    }
    drop(inside);
    swap.join().expect("no panic").expect("the swap");
    caller.join().expect("an answer");
}

#[test]
fn who_is_inside_can_be_seen() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let report = scene.load(&host, &Artifact::of("slow"));
    let hold = Hold::new();
    let caller = call(&host, "slow", "hold", hold.arguments());
    let inside = hold.wait();
    let blockers = host.plugin("slow").expect("it is known").inside;
    assert_eq!(blockers.len(), 1, "{blockers:?}");
    assert_eq!(
        (blockers[0].method.as_str(), blockers[0].generation),
        ("hold", report.generation)
    );
    drop(inside);
    caller.join().expect("an answer");
    assert_eq!(host.plugin("slow").expect("it is known").inside, []);
}

#[test]
fn a_deadline_that_passes_changes_nothing_and_names_who_is_inside() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(200);
    let host = scene.start();
    let first = scene.load(&host, &Artifact::of("slow"));
    let hold = Hold::new();
    let caller = call(&host, "slow", "hold", hold.arguments());
    let inside = hold.wait();
    let file = scene.put(&Artifact::of("slow").version("1.0.1"));
    let error = host.load(&file).expect_err("the deadline passes");
    assert_eq!(error.step, Step::Drain, "{error}");
    assert!(error.is_out_of_time());
    assert!(error.to_string().contains("hold"), "{error}");
    let reply = host.call("slow", "held", b"").expect("it serves on");
    assert_eq!(reply.generation, first.generation);
    drop(inside);
    caller.join().expect("an answer");
    let second = host.load(&file).expect("nobody is inside now");
    assert_eq!(second.replaced, Some(first.generation));
}

#[test]
fn a_swap_that_keeps_trying_gets_there() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(20);
    scene.config.plugins.each.on_drain_deadline = OnDrainDeadline::KeepTrying;
    let host = scene.start();
    scene.load(&host, &Artifact::of("slow"));
    let hold = Hold::new();
    let caller = call(&host, "slow", "hold", hold.arguments());
    let inside = hold.wait();
    let events = host.follow();
    let swap = load(&host, scene.put(&Artifact::of("slow").version("1.0.1")));
    tests::event(&events, "the candidate", |what| {
        matches!(
            what,
            Happening::StepDone {
                step: Step::Load,
                ..
            }
        )
    });
    assert_eq!(number(&host, "slow", "held", ""), 0);
    drop(inside);
    swap.join().expect("no panic").expect("the swap");
    caller.join().expect("an answer");
}

#[test]
fn nobody_waits_for_ever_for_a_swap_that_keeps_trying() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.vet_timeout = Duration::from_secs(5);
    scene.config.plugins.each.handover_timeout = Duration::from_secs(1);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(20);
    scene.config.plugins.each.on_drain_deadline = OnDrainDeadline::KeepTrying;
    let host = scene.start();
    scene.load(&host, &Artifact::of("slow"));
    let hold = Hold::new();
    let caller = call(&host, "slow", "hold", hold.arguments());
    let inside = hold.wait();
    let events = host.follow();
    let swap = load(&host, scene.put(&Artifact::of("slow").version("1.0.1")));
    tests::event(&events, "the candidate", |what| {
        matches!(
            what,
            Happening::StepDone {
                step: Step::Load,
                ..
            }
        )
    });
    let error = host.unload("slow").expect_err("the swap is under way");
    assert!(error.is_out_of_time(), "{error}");
    assert!(error.to_string().contains("under way"), "{error}");
    drop(inside);
    swap.join().expect("no panic").expect("the swap");
    caller.join().expect("an answer");
}

#[test]
fn a_shutdown_ends_in_time_though_swaps_keep_trying() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(20);
    scene.config.plugins.each.on_drain_deadline = OnDrainDeadline::KeepTrying;
    let host = scene.start();
    scene.load(&host, &Artifact::of("slow"));
    let hold = Hold::new();
    let caller = call(&host, "slow", "hold", hold.arguments());
    let inside = hold.wait();
    let events = host.follow();
    let file = scene.put(&Artifact::of("slow").version("1.0.1"));
    let swap = load(&host, file.clone());
    tests::event(&events, "the candidate", |what| {
        matches!(
            what,
            Happening::StepDone {
                step: Step::Load,
                ..
            }
        )
    });
    let report = host.shutdown(Duration::from_millis(200));
    assert_eq!(report.out_of_time.len(), 1, "{report:?}");
    let error = swap
        .join()
        .expect("no panic")
        .expect_err("no swap any more");
    assert_eq!(error.step, Step::Drain, "{error}");
    let error = host.load(&file).expect_err("it has ended");
    assert!(error.to_string().contains("shutting down"), "{error}");
    drop(inside);
    caller.join().expect("an answer");
}

#[test]
fn a_stateless_plugin_is_replaced_while_a_call_is_inside() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let first = scene.load(&host, &Artifact::of("passing"));
    let hold = Hold::new();
    let caller = call(&host, "passing", "hold", hold.arguments());
    let inside = hold.wait();
    let events = host.follow();
    let swap = load(&host, scene.put(&Artifact::of("passing").version("1.0.1")));
    tests::event(&events, "the swap", |what| {
        matches!(what, Happening::Swapped { .. })
    });
    let reply = host.call("passing", "pass", b"").expect("an answer");
    assert!(reply.generation > first.generation);
    assert_eq!(&*reply.version, "1.0.1");
    drop(inside);
    assert_eq!(
        caller.join().expect("an answer"),
        b"null",
        "the old call has ended well"
    );
    swap.join().expect("no panic").expect("the swap");
    tests::until("the old generation is gone", || {
        host.plugin("passing")
            .filter(|plugin| plugin.lingering.is_empty())
    });
}

#[test]
fn a_call_that_never_returns_makes_its_generation_linger_and_say_so() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = Duration::from_millis(200);
    let host = scene.start();
    let first = scene.load(&host, &Artifact::of("hangs_in_method"));
    let hung = host.clone();
    std::thread::spawn(move || hung.call("hangs-in-method", "hang", b""));
    tests::until("the call is inside", || {
        host.plugin("hangs-in-method")
            .filter(|plugin| !plugin.inside.is_empty())
    });
    let second = scene.load(&host, &Artifact::of("hangs_in_method").version("1.0.1"));
    assert!(
        matches!(second.departure, Some(Departure::Lingering { .. })),
        "{second:?}"
    );
    let plugin = host.plugin("hangs-in-method").expect("it is known");
    assert_eq!(plugin.lingering.len(), 1);
    assert_eq!(plugin.lingering[0].generation, first.generation);
    assert!(!plugin.lingering[0].cause.is_empty());
    assert_eq!(number(&host, "hangs-in-method", "touch", ""), 1);
}

#[test]
fn an_unload_waits_for_the_call_inside() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("slow"));
    let hold = Hold::new();
    let caller = call(&host, "slow", "hold_alone", hold.arguments());
    let inside = hold.wait();
    let unloading = host.clone();
    let unload = std::thread::spawn(move || unloading.unload("slow"));
    drop(inside);
    assert_eq!(caller.join().expect("an answer"), b"1");
    assert!(
        unload
            .join()
            .expect("no panic")
            .expect("the unload")
            .state_saved
    );
    scene.wait_until_unmapped();
}
