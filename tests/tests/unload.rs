//! Unload: what is retired is out of memory, or named with the reason.

use host::{
    event::Happening,
    journal::Outcome,
    report::{Departure, Standing},
};
use tests::{Artifact, Hold, Scene, number, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// The guests that have a method `work`, which returns 42.
const WORKERS: &[&str] = &[
    "catches",
    "channels",
    "hashes",
    "prints",
    "scoped_lock",
    "thread_locals",
    "threads",
    "tokio_runtime",
    "traces",
];

fn name(example: &str) -> String {
    example.replace('_', "-")
}

#[test]
fn whatever_a_guest_does_it_is_unmapped_afterwards() {
    for guest in WORKERS {
        let scene = Scene::new(EXAMINER);
        let host = scene.start();
        scene.load(&host, &Artifact::of(guest));
        for _ in 0..3 {
            assert_eq!(number(&host, &name(guest), "work", ""), 42, "{guest}");
        }
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert_eq!(number(&host, &name(guest), "work", ""), 42, "{guest}"));
            }
        });
        let report = host.unload(&name(guest)).expect("the unload");
        assert_eq!(report.departure, Departure::Unmapped, "{guest}");
        assert_eq!(scene.mapped(), [""; 0], "{guest}");
    }
}

#[test]
fn a_thread_that_lives_on_finds_nothing_of_what_was_unloaded() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let (ask, asked) = crossbeam_channel::bounded::<()>(0);
    let (tell, told) = crossbeam_channel::bounded::<u64>(0);
    let calling = host.clone();
    let caller = std::thread::spawn(move || {
        while asked.recv().is_ok() {
            tell.send(number(&calling, "thread-locals", "work", ""))
                .expect("the test listens");
        }
    });
    for build in 0..5 {
        scene.load(&host, &Artifact::of("thread_locals").build(build));
        ask.send(()).expect("the caller listens");
        assert_eq!(told.recv().expect("the caller tells"), 42);
    }
    drop(ask);
    caller
        .join()
        .expect("the caller ends well, with all its destructors");
    host.unload("thread-locals").expect("the unload");
    scene.wait_until_unmapped();
}

#[test]
fn a_generation_lingers_while_its_thread_lives_and_says_so() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("leaves_a_thread"));
    let report = host.unload("leaves-a-thread").expect("the unload");
    let Departure::Lingering { cause } = report.departure else {
        panic!("its thread is still there");
    };
    assert!(cause.contains("thread"), "{cause}");
    let plugin = host.plugin("leaves-a-thread").expect("it is known");
    assert_eq!(plugin.standing, Standing::Unloaded);
    assert_eq!(plugin.lingering.len(), 1, "{plugin:?}");
}

#[test]
fn a_generation_departs_when_its_thread_has_ended() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let generation = scene
        .load(&host, &Artifact::of("leaves_a_thread_for_a_while"))
        .generation;
    let name = "leaves-a-thread-for-a-while";
    let hold = Hold::new();
    host.call(name, "leave", &hold.arguments())
        .expect("a thread is left");
    let inside = hold.wait();
    let report = host.unload(name).expect("the unload");
    assert!(
        matches!(report.departure, Departure::Lingering { .. }),
        "{report:?}"
    );
    let events = host.follow();
    drop(inside);
    tests::event(
        &events,
        "the departure",
        |what| matches!(what, Happening::Departed { generation: gone, departure: Departure::Unmapped, .. } if *gone == generation),
    );
    scene.wait_until_unmapped();
}

#[test]
fn a_job_that_does_not_listen_makes_its_generation_linger_until_it_ends() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("stubborn"));
    let hold = Hold::new();
    host.call("stubborn", "begin", &hold.arguments())
        .expect("a job");
    let inside = hold.wait();
    let report = host.unload("stubborn").expect("the unload");
    assert!(
        matches!(report.departure, Departure::Lingering { .. }),
        "{report:?}"
    );
    drop(inside);
    scene.wait_until_unmapped();
    until("nothing lingers", || {
        host.plugin("stubborn")
            .filter(|plugin| plugin.lingering.is_empty())
    });
}

#[test]
fn a_job_that_sleeps_holds_nothing_of_what_it_called() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("thread_locals"));
    scene.load(&host, &Artifact::of("sleeper"));
    host.call("sleeper", "begin", br#"["thread-locals","work"]"#)
        .expect("a job");
    until("the job has called", || {
        (number(&host, "sleeper", "called", "") == 1).then_some(())
    });
    host.unload("thread-locals").expect("the unload");
    until("nothing lingers", || {
        host.plugin("thread-locals")
            .filter(|plugin| plugin.lingering.is_empty())
    });
    assert_eq!(
        number(&host, "sleeper", "called", ""),
        1,
        "the job sleeps on"
    );
}

#[test]
fn an_unload_is_a_matter_of_record_before_anything_is_dropped() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("stubborn"));
    let hold = Hold::new();
    host.call("stubborn", "begin", &hold.arguments())
        .expect("a job");
    let inside = hold.wait();
    let events = host.follow();
    let unloading = {
        let host = host.clone();
        std::thread::spawn(move || host.unload("stubborn").expect("the unload"))
    };
    tests::event(&events, "the unload", |what| {
        matches!(what, Happening::Unloaded { .. })
    });
    let history = host.history("stubborn", 1).expect("the history");
    assert!(
        matches!(history[0].outcome, Outcome::Unloaded { .. }),
        "{history:?}"
    );
    unloading.join().expect("no panic");
    let history = host.history("stubborn", 2).expect("the history");
    assert!(
        matches!(history[0].outcome, Outcome::Unloaded { departure: Some(_) }),
        "{history:?}"
    );
    assert!(
        matches!(history[1].outcome, Outcome::Swapped { .. }),
        "an unload is one record: {history:?}"
    );
    drop(inside);
    scene.wait_until_unmapped();
}

#[test]
fn living_generations_are_bounded() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.max_generations = 2;
    let host = scene.start();
    scene.load(&host, &Artifact::of("leaves_a_thread"));
    scene.load(&host, &Artifact::of("leaves_a_thread").build(1));
    let error = host
        .load(&scene.put(&Artifact::of("leaves_a_thread").build(2)))
        .expect_err("one serves and one lingers already");
    assert!(error.to_string().contains("max_generations"), "{error}");
    assert_eq!(number(&host, "leaves-a-thread", "touch", ""), 1);
}

#[test]
fn a_panic_that_was_caught_leaves_no_mapping() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("panics_in_shared_method"));
    for _ in 0..3 {
        host.call("panics-in-shared-method", "fail", b"")
            .expect_err("it panics");
    }
    let report = host.unload("panics-in-shared-method").expect("the unload");
    assert_eq!(report.departure, Departure::Unmapped);
    assert_eq!(scene.mapped(), [""; 0]);
}

#[test]
fn a_plugin_that_is_not_there_cannot_be_unloaded() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    host.unload("nobody").expect_err("there is no such plugin");
    scene.load(&host, &Artifact::of("steady"));
    host.unload("steady").expect("the unload");
    host.unload("steady").expect_err("it is unloaded already");
}
