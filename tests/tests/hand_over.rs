//! Hand over: the state arrives whole in the new generation, or the old one goes on with it.

use host::{Host, Step};
use std::time::Duration;
use tests::{Artifact, Callers, LIMIT, Scene, number, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// A host on which the steady counter has counted five calls of caller 1.
fn counted(scene: &Scene) -> Host {
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    for number in 1..=5 {
        host.call("steady", "increment", format!("[1,{number}]").as_bytes())
            .expect("counted");
    }
    host
}

/// The artifact is turned away at the hand over, and the counter counts on.
fn turned_away(scene: &Scene, host: &Host, artifact: &Artifact, words: &str) {
    let before = host
        .plugin("steady")
        .and_then(|plugin| plugin.serving)
        .expect("it serves");
    let error = host
        .load(&scene.put(artifact))
        .expect_err("it is turned away");
    assert_eq!(error.step, Step::HandOver, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    let plugin = host.plugin("steady").expect("it is known");
    assert_eq!(
        plugin.serving.expect("it serves").generation,
        before.generation
    );
    assert_eq!(
        plugin.last_failure.expect("it is told").step,
        Step::HandOver
    );
    assert_eq!(number(host, "steady", "increment", "[1,6]"), 6);
}

#[test]
fn the_state_arrives_whole() {
    let scene = Scene::new(EXAMINER);
    let host = counted(&scene);
    let report = scene.load(&host, &Artifact::of("steady").version("1.0.1"));
    assert!(
        report.state_bytes.is_some_and(|bytes| bytes > 0),
        "{report:?}"
    );
    assert_eq!(number(&host, "steady", "total", ""), 5);
    assert_eq!(number(&host, "steady", "increment", "[1,6]"), 6);
}

#[test]
fn an_older_state_is_migrated() {
    let scene = Scene::new(EXAMINER);
    let host = counted(&scene);
    let report = scene.load(&host, &Artifact::of("steady_2"));
    assert_eq!(report.version, "2.0.0");
    assert_eq!(number(&host, "steady", "total", ""), 5);
    let migrated = host.call("steady", "migrated", b"").expect("an answer");
    assert_eq!(migrated.result, b"true");
}

#[test]
fn a_rollback_takes_the_state_back_where_a_downgrade_is_written() {
    let scene = Scene::new(EXAMINER);
    let host = counted(&scene);
    scene.load(&host, &Artifact::of("steady_2"));
    assert_eq!(number(&host, "steady", "increment", "[1,6]"), 6);
    let report = host.rollback("steady", None).expect("the rollback");
    assert_eq!(report.version, "1.0.0");
    assert_eq!(
        number(&host, "steady", "total", ""),
        6,
        "nothing is lost on the way back"
    );
}

#[test]
fn a_newer_schema_without_a_migration_is_turned_away() {
    let scene = Scene::new(EXAMINER);
    let host = counted(&scene);
    turned_away(&scene, &host, &Artifact::of("lacks_a_migration"), "migrate");
}

#[test]
fn a_state_that_does_not_fit_its_schema_is_turned_away() {
    let scene = Scene::new(EXAMINER);
    let host = counted(&scene);
    turned_away(&scene, &host, &Artifact::of("lies_about_its_schema"), "sum");
}

#[test]
fn a_state_that_is_lost_on_the_way_is_noticed() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("loses_its_state"));
    assert_eq!(number(&host, "loses-its-state", "add", ""), 1);
    let error = host
        .load(&scene.put(&Artifact::of("loses_its_state").version("1.0.1")))
        .expect_err("the total does not arrive");
    assert_eq!(error.step, Step::HandOver, "{error}");
    assert_eq!(
        number(&host, "loses-its-state", "add", ""),
        2,
        "the old one goes on with it"
    );
}

#[test]
fn a_restore_that_hangs_is_abandoned() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.handover_timeout = Duration::from_millis(300);
    let host = scene.start();
    let name = "hangs-in-used-restore";
    scene.load(&host, &Artifact::of("hangs_in_used_restore"));
    assert_eq!(number(&host, name, "add", ""), 1);
    let error = host
        .load(&scene.put(&Artifact::of("hangs_in_used_restore").version("1.0.1")))
        .expect_err("it hangs");
    assert_eq!(error.step, Step::HandOver, "{error}");
    assert_eq!(number(&host, name, "add", ""), 2, "the incumbent serves on");
    let plugin = host.plugin(name).expect("it is known");
    assert_eq!(
        plugin.lingering.len(),
        1,
        "the candidate is named: {plugin:?}"
    );
}

#[test]
fn a_snapshot_that_hangs_stops_only_what_would_change_the_state() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.handover_timeout = Duration::from_millis(300);
    let host = scene.start();
    let name = "hangs-in-used-snapshot";
    scene.load(&host, &Artifact::of("hangs_in_used_snapshot"));
    assert_eq!(number(&host, name, "add", ""), 1);
    let error = host
        .load(&scene.put(&Artifact::of("hangs_in_used_snapshot").version("1.0.1")))
        .expect_err("it hangs");
    assert_eq!(error.step, Step::HandOver, "{error}");
    assert!(error.to_string().contains("snapshot"), "{error}");
    let error = host
        .call(name, "add", b"")
        .expect_err("the state is being read");
    assert_eq!(error.kind(), "not_serving", "{error}");
}

#[test]
fn a_plugin_comes_back_with_its_state() {
    let scene = Scene::new(EXAMINER);
    let host = counted(&scene);
    assert!(host.unload("steady").expect("the unload").state_saved);
    assert_eq!(
        host.call("steady", "total", b"")
            .expect_err("unloaded")
            .kind(),
        "not_serving"
    );
    scene.load(&host, &Artifact::of("steady"));
    assert_eq!(number(&host, "steady", "total", ""), 5);
}

#[test]
fn a_saved_state_outlives_a_version_that_has_none() {
    let scene = Scene::new(EXAMINER);
    let host = counted(&scene);
    let total = number(&host, "steady", "total", "");
    assert!(total > 0);
    assert!(host.unload("steady").expect("the unload").state_saved);
    let stateless = Artifact::of("passing").with(r#""name":"passing","#, r#""name":"steady", "#);
    scene.load(&host, &stateless);
    scene.load(&host, &Artifact::of("steady").version("1.0.1"));
    assert_eq!(number(&host, "steady", "total", ""), total);
}

#[test]
fn a_host_comes_back_with_every_state() {
    let scene = Scene::new(EXAMINER);
    let host = counted(&scene);
    assert_eq!(host.shutdown(LIMIT).saved, ["steady"]);
    drop(host);
    let host = scene.start();
    assert_eq!(number(&host, "steady", "total", ""), 5);
    assert_eq!(number(&host, "steady", "increment", "[1,6]"), 6);
}

#[test]
fn a_state_that_calls_come_after_is_not_the_last_even_if_the_artifact_cannot_be_kept() {
    let scene = Scene::new(EXAMINER);
    let host = counted(&scene);
    host.unload("steady").expect("the unload");
    let is_final = || {
        let mut states = std::fs::read_dir(scene.state_dir().join("snapshots")).expect("a folder");
        let state = states.next().expect("a state").expect("a file").path();
        let text = std::fs::read(state).expect("it can be read");
        String::from_utf8_lossy(&text).contains(r#""is_final":true"#)
    };
    assert!(is_final());
    let artifacts = scene.state_dir().join("artifacts");
    std::fs::remove_dir_all(&artifacts).expect("removed");
    std::fs::write(&artifacts, "no folder").expect("written");
    scene.load(&host, &Artifact::of("steady").version("1.0.1"));
    assert_eq!(number(&host, "steady", "increment", "[1,6]"), 6);
    assert!(!is_final());
}

#[test]
fn timers_and_jobs_begin_anew_in_each_generation_and_never_in_two() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("ticker"));
    let reaches = |method: &str, least: u64| {
        until("the ticker has come that far", || {
            Some(number(&host, "ticker", method, "")).filter(|count| *count >= least)
        })
    };
    let (ticks, turns) = (reaches("ticks", 3), reaches("turns", 3));
    scene.load(&host, &Artifact::of("ticker").version("1.0.1"));
    reaches("ticks", ticks + 3);
    reaches("turns", turns + 3);
    let serving = host
        .plugin("ticker")
        .and_then(|plugin| plugin.serving)
        .expect("it serves");
    assert_eq!((serving.jobs, serving.timers), (1, 1));
    host.unload("ticker").expect("the unload");
    scene.wait_until_unmapped();
}

#[test]
fn every_call_is_executed_exactly_once_across_many_handovers() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    let callers = Callers::start(&host, 4);
    for swap in 1..=30 {
        scene.load(&host, &Artifact::of("steady").build(swap));
    }
    let tally = callers.stop();
    assert_eq!(tally.errors, []);
    assert_eq!(number(&host, "steady", "total", ""), tally.total());
    for (caller, answered) in &tally.answered {
        assert_eq!(
            number(&host, "steady", "last", &caller.to_string()),
            *answered
        );
    }
}
