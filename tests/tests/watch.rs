//! Watch: a finished build is noticed, whatever way it comes, and nothing else is.

use crossbeam_channel::Receiver;
use host::{
    Host,
    event::{Event, Happening},
    report::Standing,
};
use std::{fs, io::Write, time::Duration};
use tests::{Artifact, Scene, event, number, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

fn swapped(events: &Receiver<Event>, to: &str) {
    event(
        events,
        "the swap",
        |what| matches!(what, Happening::Swapped { version, .. } if version == to),
    );
}

fn version(host: &Host) -> String {
    host.call("steady", "total", b"")
        .expect("it serves")
        .version
        .to_string()
}

/// Something that is noticed after everything before it: when it serves, all of that has been looked at.
fn all_noticed(scene: &Scene, events: &Receiver<Event>) {
    Artifact::of("passing").place(&scene.plugins());
    event(
        events,
        "the last file",
        |what| matches!(what, Happening::Swapped { plugin, .. } if plugin == "passing"),
    );
}

#[test]
fn what_is_there_at_the_start_serves_when_the_start_returns() {
    let scene = Scene::new(EXAMINER);
    Artifact::of("steady").place(&scene.plugins());
    Artifact::of("nested").place(&scene.plugins());
    let host = scene.start_watching();
    assert_eq!(
        number(&host, "nested", "relay", r#"["steady","total",[]]"#),
        0
    );
}

#[test]
fn a_build_by_cargo_is_swapped_in() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start_watching();
    let events = host.follow();
    Artifact::of("steady")
        .version("1.0.1")
        .place(&scene.plugins());
    swapped(&events, "1.0.1");
    Artifact::of("steady")
        .version("1.0.2")
        .place(&scene.plugins());
    swapped(&events, "1.0.2");
    assert_eq!(version(&host), "1.0.2");
}

#[test]
fn a_file_that_is_renamed_or_copied_into_place_is_swapped_in() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start_watching();
    let events = host.follow();
    let target = scene.plugins().join("libsteady.so");
    let new = scene.put(&Artifact::of("steady").version("1.0.1"));
    fs::rename(new, &target).expect("renamed");
    swapped(&events, "1.0.1");
    let new = scene.put(&Artifact::of("steady").version("1.0.2"));
    fs::copy(new, &target).expect("copied over it");
    swapped(&events, "1.0.2");
    assert_eq!(version(&host), "1.0.2");
}

#[test]
fn a_link_to_a_finished_file_is_swapped_in() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start_watching();
    let events = host.follow();
    let finished = scene.plugins().join("finished");
    fs::write(&finished, Artifact::of("steady").version("1.0.1").bytes()).expect("written");
    std::os::unix::fs::symlink(&finished, scene.plugins().join("libsteady.so")).expect("linked");
    swapped(&events, "1.0.1");
    assert_eq!(version(&host), "1.0.1");
}

#[test]
fn a_half_written_file_is_taken_when_it_is_whole() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start_watching();
    let events = host.follow();
    let artifact = Artifact::of("steady").version("1.0.1");
    let (begin, end) = artifact.bytes().split_at(artifact.bytes().len() / 2);
    let mut file = fs::File::create(scene.plugins().join("libsteady.so")).expect("a file");
    file.write_all(begin).expect("the first half");
    all_noticed(&scene, &events);
    assert_eq!(host.plugin("steady"), None);
    file.write_all(end).expect("the second half");
    drop(file);
    swapped(&events, "1.0.1");
    assert_eq!(version(&host), "1.0.1");
}

#[test]
fn a_touched_file_is_no_swap() {
    let scene = Scene::new(EXAMINER);
    Artifact::of("steady").place(&scene.plugins());
    let host = scene.start_watching();
    let before = host
        .call("steady", "total", b"")
        .expect("it serves")
        .generation;
    let events = host.follow();
    Artifact::of("steady").place(&scene.plugins());
    all_noticed(&scene, &events);
    assert_eq!(
        host.call("steady", "total", b"")
            .expect("it serves")
            .generation,
        before
    );
}

#[test]
fn a_bad_build_changes_nothing_and_the_next_good_one_serves() {
    let scene = Scene::new(EXAMINER);
    Artifact::of("steady")
        .version("1.0.1")
        .place(&scene.plugins());
    let host = scene.start_watching();
    let events = host.follow();
    Artifact::of("lies_about_its_schema")
        .named("libsteady.so")
        .place(&scene.plugins());
    // The state it lies about is the same for every total.
    event(&events, "the failure", |what| {
        matches!(what, Happening::SwapFailed { .. })
    });
    assert_eq!(version(&host), "1.0.1");
    Artifact::of("steady")
        .version("1.0.2")
        .place(&scene.plugins());
    swapped(&events, "1.0.2");
}

#[test]
fn a_removed_file_is_unloaded_with_its_state_kept() {
    let scene = Scene::new(EXAMINER);
    let file = Artifact::of("steady").place(&scene.plugins());
    let host = scene.start_watching();
    assert_eq!(number(&host, "steady", "increment", "[1,1]"), 1);
    let events = host.follow();
    fs::remove_file(file).expect("removed");
    event(&events, "the unload", |what| {
        matches!(what, Happening::Unloaded { .. })
    });
    assert_eq!(
        host.plugin("steady").expect("it is known").standing,
        Standing::Unloaded
    );
    Artifact::of("steady").place(&scene.plugins());
    swapped(&events, "1.0.0");
    assert_eq!(number(&host, "steady", "total", ""), 1);
}

#[test]
fn a_removed_file_serves_on_where_the_operator_wants_it() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.on_removal = host::config::OnRemoval::Keep;
    scene.config.plugins.each.removal_grace = Duration::from_millis(10);
    let file = Artifact::of("steady").place(&scene.plugins());
    let host = scene.start_watching();
    let events = host.follow();
    fs::remove_file(file).expect("removed");
    all_noticed(&scene, &events);
    assert_eq!(version(&host), "1.0.0");
}

#[test]
fn a_file_that_comes_back_in_time_was_never_removed() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.removal_grace = Duration::from_secs(60);
    let file = Artifact::of("steady").place(&scene.plugins());
    let host = scene.start_watching();
    let before = host
        .call("steady", "total", b"")
        .expect("it serves")
        .generation;
    let events = host.follow();
    fs::remove_file(file).expect("removed");
    Artifact::of("nested").place(&scene.plugins());
    event(
        &events,
        "what came after the removal",
        |what| matches!(what, Happening::Swapped { plugin, .. } if plugin == "nested"),
    );
    Artifact::of("steady").place(&scene.plugins());
    all_noticed(&scene, &events);
    assert_eq!(
        host.call("steady", "total", b"")
            .expect("it serves")
            .generation,
        before
    );
}

#[test]
fn a_second_file_that_claims_the_same_plugin_is_ignored_with_a_reason() {
    let scene = Scene::new(EXAMINER);
    Artifact::of("steady")
        .version("1.0.1")
        .place(&scene.plugins());
    let host = scene.start_watching();
    let events = host.follow();
    let copy = Artifact::of("steady").version("1.0.2").named("libcopy.so");
    let second = copy.place(&scene.plugins());
    event(
        &events,
        "the second file",
        |what| matches!(what, Happening::Ignored { file, reason } if file.contains("libcopy.so") && reason.contains("steady")),
    );
    assert_eq!(version(&host), "1.0.1");
    let ignored = host.status().ignored;
    assert!(
        ignored.iter().any(|file| file.path == second),
        "{ignored:?}"
    );
}

#[test]
fn a_second_file_takes_over_when_the_first_is_removed() {
    let scene = Scene::new(EXAMINER);
    let first = Artifact::of("steady")
        .version("1.0.1")
        .place(&scene.plugins());
    let host = scene.start_watching();
    assert_eq!(number(&host, "steady", "increment", "[1,1]"), 1);
    let events = host.follow();
    let copy = Artifact::of("steady").version("1.0.2").named("libcopy.so");
    let second = copy.place(&scene.plugins());
    event(
        &events,
        "the second file",
        |what| matches!(what, Happening::Ignored { file, .. } if file.contains("libcopy.so")),
    );
    fs::remove_file(first).expect("removed");
    swapped(&events, "1.0.2");
    assert_eq!(number(&host, "steady", "total", ""), 1);
    assert_eq!(
        host.plugin("steady").expect("it is known").file,
        Some(second)
    );
    assert!(host.status().ignored.is_empty());
}

#[test]
fn what_is_no_plugin_is_ignored_with_a_reason() {
    let scene = Scene::new(EXAMINER);
    let text = Artifact::made_of(b"not a library", "libtext.so").place(&scene.plugins());
    let other = Artifact::of("is_no_plugin").place(&scene.plugins());
    fs::write(scene.plugins().join("notes.txt"), "not even that").expect("a text");
    let host = scene.start_watching();
    let status = host.status();
    assert!(status.plugins.is_empty(), "{status:?}");
    for path in [text, other] {
        let reason = status
            .ignored
            .iter()
            .find(|file| file.path == path)
            .map(|file| &file.reason);
        assert!(
            reason.is_some_and(|reason| reason.contains("not a plugin")),
            "{path:?}: {reason:?}"
        );
    }
    assert!(
        !status
            .ignored
            .iter()
            .any(|file| file.path.ends_with("notes.txt"))
    );
}

#[test]
fn a_file_that_is_not_all_there_at_the_start_is_told_and_serves_once_it_is() {
    let scene = Scene::new(EXAMINER);
    let steady = Artifact::of("steady").version("1.0.1");
    let half = steady.clone().half().place(&scene.plugins());
    Artifact::of("passing").place(&scene.plugins());
    let host = scene.start_watching();
    assert!(host.plugin("passing").is_some(), "it is not waited for");
    until("the half is told", || {
        let ignored = host.status().ignored;
        ignored
            .into_iter()
            .find(|file| file.path == half && file.reason.contains("incomplete"))
    });
    let events = host.follow();
    steady.place(&scene.plugins());
    swapped(&events, "1.0.1");
    assert!(host.status().ignored.is_empty());
}

#[test]
fn a_folder_that_is_removed_and_made_again_is_watched_again() {
    let scene = Scene::new(EXAMINER);
    Artifact::of("steady")
        .version("1.0.1")
        .place(&scene.plugins());
    let host = scene.start_watching();
    let events = host.follow();
    fs::remove_dir_all(scene.plugins()).expect("removed");
    fs::create_dir(scene.plugins()).expect("made again");
    Artifact::of("steady")
        .version("1.0.2")
        .place(&scene.plugins());
    swapped(&events, "1.0.2");
    until("the new build serves", || {
        (version(&host) == "1.0.2").then_some(())
    });
}

#[test]
fn many_builds_in_a_row_end_with_the_last() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start_watching();
    for patch in 1..=9 {
        Artifact::of("steady")
            .version(&format!("1.0.{patch}"))
            .place(&scene.plugins());
    }
    until("the last build serves", || {
        let serving = host.plugin("steady")?.serving?;
        (serving.version == "1.0.9").then_some(())
    });
}
