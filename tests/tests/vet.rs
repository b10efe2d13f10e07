//! Vet: an artifact is examined where it can do no harm, and the verdict says what to do.

use host::report::Verdict;
use std::time::Duration;
use tests::{Artifact, LIMIT, Scene, examples};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

#[test]
fn every_guest_is_sound() {
    let scene = Scene::new(EXAMINER);
    for guest in examples("guests") {
        let file = scene.put(&Artifact::of(&guest));
        let verdict = host::vet(&file, Some(EXAMINER.as_ref()), LIMIT);
        assert!(
            matches!(verdict, Verdict::Sound { .. }),
            "{guest}: {verdict:?}"
        );
    }
}

#[test]
fn without_a_host_what_depends_on_data_is_left_open_and_said() {
    let scene = Scene::new(EXAMINER);
    for (guest, words) in [
        ("echoes", "(left) was not at hand"),
        ("reads", "was not created"),
    ] {
        let file = scene.put(&Artifact::of(guest));
        let verdict = host::vet(&file, Some(EXAMINER.as_ref()), LIMIT);
        let Verdict::Sound { remarks, .. } = verdict else {
            panic!("{guest}: {verdict:?}");
        };
        assert!(remarks.join("; ").contains(words), "{guest}: {remarks:?}");
    }
    let host = scene.start();
    let verdict = host.vet(&scene.put(&Artifact::of("echoes")));
    let reason = verdict.reason().expect("it is not declared here");
    assert!(reason.contains("[data.left]"), "{reason}");
}

#[test]
fn a_sound_verdict_carries_what_the_plugin_says_of_itself() {
    let scene = Scene::new(EXAMINER);
    let file = scene.put(&Artifact::of("steady").version("1.2.3"));
    let Verdict::Sound { manifest, remarks } = scene.start().vet(&file) else {
        panic!("not sound");
    };
    assert_eq!(
        (manifest.name.as_str(), manifest.version.as_str()),
        ("steady", "1.2.3")
    );
    assert_eq!(manifest.schema, Some(1));
    let signatures: Vec<String> = manifest
        .methods
        .iter()
        .map(|method| method.signature())
        .collect();
    assert_eq!(
        signatures[0],
        "increment(caller: u32, number: u64) -> Result<u64>"
    );
    assert_eq!(remarks, [""; 0]);
}

#[test]
fn vetting_brings_nothing_into_the_process() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let verdict = host.vet(&scene.put(&Artifact::of("steady")));
    assert_eq!(verdict.word(), "sound", "{verdict:?}");
    assert_eq!(scene.mapped(), [""; 0]);
    assert!(host.status().plugins.is_empty());
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let scene = Scene::new(EXAMINER);
    let verdict = scene.start().vet(&scene.elsewhere().join("libnothing.so"));
    assert_eq!(verdict.word(), "refused", "{verdict:?}");
    assert!(
        verdict
            .reason()
            .is_some_and(|reason| reason.contains("libnothing.so")),
        "{verdict:?}"
    );
}

#[test]
fn a_silent_artifact_costs_the_time_it_was_given_and_nothing_else() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.vet_timeout = Duration::from_millis(500);
    let host = scene.start();
    let verdict = host.vet(&scene.put(&Artifact::of("hangs_in_new")));
    assert_eq!(verdict.word(), "silent", "{verdict:?}");
    scene.load(&host, &Artifact::of("steady"));
    assert_eq!(tests::number(&host, "steady", "total", ""), 0);
}

#[test]
fn a_time_out_is_not_held_against_the_artifact() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.vet_timeout = Duration::from_nanos(1);
    let artifact = Artifact::of("steady");
    let file = scene.put(&artifact);
    let host = scene.start();
    let verdict = host.vet(&file);
    assert_eq!(verdict.word(), "silent", "{verdict:?}");
    drop(host);
    scene.config.plugins.each.vet_timeout = LIMIT;
    let verdict = scene.start().vet(&file);
    assert_eq!(verdict.word(), "sound", "{verdict:?}");
}

#[test]
fn a_pipe_with_the_name_of_a_library_is_waited_for_by_nobody() {
    let scene = Scene::new(EXAMINER);
    let pipe = scene.plugins().join("libpipe.so");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("it can be run").success());
    let verdict = host::vet(&pipe, Some(EXAMINER.as_ref()), LIMIT);
    let reason = verdict.reason().expect("it is no plugin");
    assert!(reason.contains("not a file"), "{reason}");
}
