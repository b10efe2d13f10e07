//! What the store promises of its files.

use super::*;
use proptest::prelude::*;

#[test]
fn the_directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    drop(open(&folder));
    let mode = fs::metadata(folder.path().join("state"))
        .expect("made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_second_host_is_refused_and_told_who_is_first() {
    let folder = folder();
    let first = open(&folder);
    let error = Store::open(&folder.path().join("state"))
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains(&format!("another host, process {}", std::process::id())),
        "{error}"
    );
    assert!(error.contains("--state-dir"), "{error}");
    drop(first);
    open(&folder);
}

#[test]
fn a_file_that_is_no_journal_is_refused_and_left_alone() {
    let folder = folder();
    drop(open(&folder));
    let journal = folder.path().join("state/journal.redb");
    fs::write(&journal, "not a journal").expect("damaging");
    let error = Store::open(&folder.path().join("state"))
        .err()
        .expect("refused");
    assert!(format!("{error:#}").contains("journal.redb"), "{error:#}");
    assert_eq!(fs::read(&journal).expect("still there"), b"not a journal");
}

#[test]
fn staged_copies_and_unfinished_files_do_not_survive() {
    let folder = folder();
    let store = open(&folder);
    let state = folder.path().join("state");
    fs::create_dir(store.staged_dir().join("dir")).expect("a staged directory");
    for file in ["staged/a.so", "artifacts/a.part", "snapshots/a.part"] {
        fs::write(state.join(file), "x").expect("writing");
    }
    drop(store);
    let store = open(&folder);
    for dir in [store.staged_dir(), &store.artifacts, &store.snapshots] {
        assert!(files(dir).expect("reading").is_empty(), "{}", dir.display());
    }
}

#[test]
fn a_kept_artifact_outlives_its_staged_copy() {
    let folder = folder();
    let store = open(&folder);
    serve(&store, "counter", 1);
    serve(&store, "counter", 1);
    drop(store);
    let store = open(&folder);
    let kept = store.artifact(digest(1)).expect("kept");
    assert_eq!(fs::read(kept).expect("reading"), 1u64.to_le_bytes());
    assert_eq!(store.artifact(digest(2)), None);
}

#[test]
fn pruning_keeps_what_served_last_and_what_others_need() {
    let folder = folder();
    let store = open(&folder);
    for generation in [1, 2, 3, 4, 1] {
        serve(&store, "counter", generation);
    }
    serve(&store, "other", 9);
    let staged = store.staged_dir().join("8.so");
    fs::write(&staged, "never served").expect("staging");
    store
        .keep_artifact("counter", digest(8), &staged)
        .expect("keeping");
    fs::write(store.artifacts.join("stray.so"), "nobody's").expect("a stray file");
    let memory = Memory {
        last_good: Some(LastGood {
            digest: digest(2),
            staged_digest: Some(digest(2)),
            version: "1.0.0".to_owned(),
            generation: 2,
            file: None,
        }),
        ..Memory::default()
    };
    store.remember("counter", &memory).expect("remembering");
    store
        .prune_artifacts("counter", 2, digest(1))
        .expect("pruning");
    let kept = |number| store.artifact(digest(number)).is_some();
    assert_eq!(
        [kept(1), kept(2), kept(3), kept(4)],
        [true, true, false, true]
    );
    assert!(kept(9), "another plugin's");
    assert!(!kept(8), "it never served");
    assert!(!store.artifacts.join("stray.so").exists());
}

#[test]
fn a_state_survives_and_replaces_the_one_before() {
    let folder = folder();
    let store = open(&folder);
    assert_eq!(store.state("a").expect("no state"), None);
    store.save_state("a", &saved(1, b"old")).expect("saving");
    store
        .save_state("a-1", &saved(7, b"another's"))
        .expect("saving");
    store.save_state("a", &saved(12, b"new")).expect("saving");
    drop(store);
    let store = open(&folder);
    assert_eq!(store.state("a").expect("a state"), Some(saved(12, b"new")));
    assert_eq!(
        store.state("a-1").expect("a state"),
        Some(saved(7, b"another's"))
    );
    assert_eq!(files(&store.snapshots).expect("reading").len(), 2);
}

#[test]
fn a_damaged_state_is_told_and_left_in_place() {
    let folder = folder();
    let store = open(&folder);
    store
        .save_state("counter", &saved(1, b"forty-two"))
        .expect("saving");
    let path = store.snapshots.join("counter-1.state");
    let whole = fs::read(&path).expect("reading");
    fs::write(&path, &whole[..whole.len() - 1]).expect("cutting off");
    let error = format!("{:#}", store.state("counter").expect_err("damaged"));
    assert!(
        error.contains("counter-1.state") && error.contains("left in place"),
        "{error}"
    );
    store
        .save_state("counter", &saved(2, b"later"))
        .expect("saving");
    assert!(path.exists());
    assert_eq!(
        store.state("counter").expect("a state"),
        Some(saved(2, b"later"))
    );
}

#[test]
fn no_name_leads_out_of_the_directory() {
    let folder = folder();
    let store = open(&folder);
    for name in ["../evil", "", "a/b", "A", "a.b"] {
        store
            .save_state(name, &saved(1, b"x"))
            .expect_err("not a name");
    }
    assert!(files(&store.snapshots).expect("reading").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_damage_to_a_state_is_noticed(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let folder = folder();
        let store = open(&folder);
        store.save_state("counter", &saved(1, &bytes)).expect("saving");
        prop_assert_eq!(store.state("counter").expect("a state"), Some(saved(1, &bytes)));
        let path = store.snapshots.join("counter-1.state");
        let mut file = fs::read(&path).expect("reading");
        let place = place.index(file.len());
        file[place] ^= flip;
        fs::write(&path, file).expect("damaging");
        prop_assert!(store.state("counter").is_err());
    }
}

#[test]
fn a_state_directory_behind_a_link_is_known_by_its_own_name() {
    let folder = folder();
    let (own, link) = (folder.path().join("own"), folder.path().join("link"));
    fs::create_dir(&own).expect("made");
    std::os::unix::fs::symlink(&own, &link).expect("linked");
    let store = Store::open(&link.join("not/yet")).expect("opening the store");
    let own = own.canonicalize().expect("it is there");
    assert_eq!(store.staged_dir(), own.join("not/yet/staged"));
}
