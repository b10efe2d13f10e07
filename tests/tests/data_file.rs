//! Data from files: whatever way a file is changed, the change is seen; whatever is wrong with it, the last good serves.

use crossbeam_channel::{Receiver, bounded};
use host::{
    Host,
    config::{DatasetConfig, SourceConfig},
    data::{Format, Position, Refusal, SourceState, Stage},
    event::{Event, Happening},
};
use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tests::{LIMIT, Scene, event, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// A scene with a dataset `rates` that comes from this path below its folder of files.
fn scene(path: &str) -> (Scene, PathBuf) {
    let mut scene = Scene::new(EXAMINER);
    let folder = scene.elsewhere();
    fs::create_dir(&folder).expect("a folder");
    let path = folder.join(path);
    let config = DatasetConfig {
        source: Some(SourceConfig::file(&path)),
        // So long that only notices can be in time.
        poll: Duration::from_secs(3600),
        ..DatasetConfig::default()
    };
    scene.config.data.insert("rates".to_owned(), config);
    (scene, path)
}

fn rates(scene: &mut Scene) -> &mut DatasetConfig {
    scene.config.data.get_mut("rates").expect("it is declared")
}

fn content(host: &Host) -> String {
    let held = host.data("rates");
    held.map_or_else(String::new, |held| {
        String::from_utf8_lossy(&held.content).into_owned()
    })
}

fn holds(host: &Host, expected: &str) {
    until(&format!("the host holds {expected}"), || {
        (content(host) == expected).then_some(())
    });
}

fn refused(events: &Receiver<Event>) -> Refusal {
    let is_refused = |what: &Happening| matches!(what, Happening::DataRefused { .. });
    match event(events, "a refusal", is_refused).what {
        Happening::DataRefused { refusal, .. } => refusal,
        other => panic!("{other:?}"),
    }
}

fn refusal(host: &Host) -> Option<Refusal> {
    host.datasets().swap_remove(0).refusal
}

/// Waits until nothing is refused and the source has confirmed what is held.
fn is_well(host: &Host) {
    until("nothing is refused", || {
        let status = host.datasets().swap_remove(0);
        (status.refusal.is_none() && !status.from_disk).then_some(())
    });
}

/// Puts content in place as careful programs do.
fn rename_into(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).expect("it is written");
    fs::rename(new, path).expect("it is renamed");
}

#[test]
fn what_is_there_at_the_start_is_read_and_a_change_is_published() {
    let (scene, path) = scene("rates.json");
    fs::write(&path, "1").expect("it is written");
    let host = scene.start();
    holds(&host, "1");
    rename_into(&path, "2");
    holds(&host, "2");
    let held = host.data("rates").expect("it is held");
    assert_eq!(held.record.number, 2);
    assert_eq!(
        held.record.origin.to_string(),
        format!("file {}", path.display())
    );
    assert_eq!(held.parsed, Some(2.into()));
}

#[test]
fn every_way_in_which_editors_save_is_seen() {
    let (scene, path) = scene("rates.json");
    fs::write(&path, "0").expect("it is written");
    let host = scene.start();
    holds(&host, "0");
    // Truncated and written.
    fs::write(&path, "1").expect("it is written");
    holds(&host, "1");
    // The old one out of the way, a new one under the name, the old one removed.
    let backup = path.with_extension("json~");
    fs::rename(&path, &backup).expect("it is renamed");
    fs::write(&path, "2").expect("it is written");
    fs::remove_file(&backup).expect("it is removed");
    holds(&host, "2");
    // A new one beside it, renamed over it.
    rename_into(&path, "3");
    holds(&host, "3");
    // Removed, and made anew.
    fs::remove_file(&path).expect("it is removed");
    fs::write(&path, "4").expect("it is written");
    holds(&host, "4");
    // Linked from a finished file.
    let finished = path.with_extension("finished");
    fs::write(&finished, "5").expect("it is written");
    fs::remove_file(&path).expect("it is removed");
    fs::hard_link(&finished, &path).expect("it is linked");
    holds(&host, "5");
    // Exchanged for a symbolic link, whose target is written then.
    let target = path.with_extension("target");
    fs::write(&target, "6").expect("it is written");
    let link = path.with_extension("link");
    symlink(&target, &link).expect("it is linked");
    fs::rename(&link, &path).expect("it is renamed");
    holds(&host, "6");
    fs::write(&target, "7").expect("it is written");
    holds(&host, "7");
    is_well(&host);
}

#[test]
fn a_folder_that_kubernetes_swaps_is_followed() {
    let (scene, path) = scene("mounted/rates.json");
    let mounted = path.parent().expect("it has one");
    let version = |number: u32| {
        let folder = mounted.join(format!("..{number}"));
        fs::create_dir_all(&folder).expect("it is made");
        fs::write(folder.join("rates.json"), number.to_string()).expect("it is written");
        let link = mounted.join("..data_tmp");
        symlink(format!("..{number}"), &link).expect("it is linked");
        fs::rename(link, mounted.join("..data")).expect("it is renamed");
        if number > 1 {
            fs::remove_dir_all(mounted.join(format!("..{}", number - 1))).expect("it is removed");
        }
    };
    version(1);
    symlink("..data/rates.json", &path).expect("it is linked");
    let host = scene.start();
    holds(&host, "1");
    for number in 2..6 {
        version(number);
        holds(&host, &number.to_string());
    }
    is_well(&host);
}

#[test]
fn half_a_file_is_waited_for_and_reported_if_it_stays_so() {
    let (scene, path) = scene("rates.json");
    fs::write(&path, "[1]").expect("it is written");
    let host = scene.start();
    holds(&host, "[1]");
    let events = host.follow();
    let mut file = File::create(&path).expect("it is truncated");
    file.write_all(b"[2,\n 3").expect("it is written");
    let refusal = refused(&events);
    assert_eq!(
        (refusal.stage, content(&host)),
        (Stage::Parsed, "[1]".into())
    );
    file.write_all(b"]").expect("it is written");
    drop(file);
    holds(&host, "[2,\n 3]");
    is_well(&host);
}

#[test]
fn garbage_is_refused_with_line_and_column_and_the_last_good_serves() {
    let (scene, path) = scene("rates.json");
    fs::write(&path, "{\"EUR\": 1}").expect("it is written");
    let host = scene.start();
    holds(&host, "{\"EUR\": 1}");
    let events = host.follow();
    rename_into(&path, "{\n  \"EUR\": oops\n}");
    let refusal = refused(&events);
    let position = Position::Line {
        line: 2,
        column: 10,
    };
    assert_eq!(refusal.mistake.position, Some(position));
    let status = host.datasets().swap_remove(0);
    assert_eq!(status.held.map(|held| held.number), Some(1));
    assert_eq!(status.refusal, Some(refusal));
    assert_eq!(
        status.source.map(|source| source.state),
        Some(SourceState::Healthy)
    );
    rename_into(&path, "{\"EUR\": 2}");
    holds(&host, "{\"EUR\": 2}");
}

#[test]
fn what_does_not_fit_the_schema_is_refused_with_its_place() {
    let (mut scene, path) = scene("rates.json");
    let schema = scene.elsewhere().join("schema.json");
    fs::write(
        &schema,
        r#"{"additionalProperties": {"exclusiveMinimum": 0}}"#,
    )
    .expect("a schema");
    rates(&mut scene).json_schema = Some(schema);
    fs::write(&path, "{\"EUR\": 1}").expect("it is written");
    let host = scene.start();
    holds(&host, "{\"EUR\": 1}");
    let events = host.follow();
    rename_into(&path, "{\"EUR\": 1, \"USD\": -1}");
    let refusal = refused(&events);
    assert_eq!(refusal.stage, Stage::Validated);
    assert_eq!(
        refusal.mistake.position,
        Some(Position::Pointer("/USD".to_owned()))
    );
    assert_eq!(content(&host), "{\"EUR\": 1}");
}

#[test]
fn a_file_that_is_removed_is_refused_as_missing_until_it_is_back() {
    let (scene, path) = scene("rates.json");
    fs::write(&path, "1").expect("it is written");
    let host = scene.start();
    holds(&host, "1");
    let events = host.follow();
    fs::remove_file(&path).expect("it is removed");
    let reason = refused(&events).mistake.reason;
    assert_eq!(reason, format!("there is no file {}", path.display()));
    assert_eq!(content(&host), "1");
    fs::write(&path, "1").expect("it is written");
    until("it is well again", || {
        refusal(&host).is_none().then_some(())
    });
    assert_eq!(host.data("rates").expect("it is held").record.number, 1);
}

#[test]
fn what_is_no_file_or_too_large_is_refused() {
    let (mut scene, path) = scene("rates.json");
    rates(&mut scene).max_bytes = 10;
    fs::write(&path, "1").expect("it is written");
    let host = scene.start();
    holds(&host, "1");
    let events = host.follow();
    rename_into(&path, "[1, 2, 3, 4]");
    let reason = refused(&events).mistake.reason;
    assert!(reason.contains("max_bytes"), "{reason}");
    let link = path.with_extension("link");
    symlink(&path, &link).expect("it is linked");
    fs::rename(&link, &path).expect("it leads to itself now");
    let reason = refused(&events).mistake.reason;
    assert!(reason.contains("cannot be read"), "{reason}");
    assert_eq!(content(&host), "1");
}

#[test]
fn a_folder_that_is_made_later_is_noticed() {
    let (scene, path) = scene("later/and/later/rates.json");
    let host = scene.start();
    assert!(host.data("rates").is_none());
    fs::create_dir_all(path.parent().expect("it has one")).expect("it is made");
    rename_into(&path, "1");
    holds(&host, "1");
    fs::remove_dir_all(scene.elsewhere().join("later")).expect("it is removed");
    until("it is missing", || refusal(&host));
    fs::create_dir_all(path.parent().expect("it has one")).expect("it is made");
    rename_into(&path, "2");
    holds(&host, "2");
}

#[test]
fn a_folder_is_an_object_of_its_files_and_one_bad_file_refuses_all() {
    let (mut scene, path) = scene("rates");
    rates(&mut scene).format = Format::Yaml;
    fs::create_dir(&path).expect("it is made");
    fs::write(path.join("eur.yaml"), "rate: 1\n").expect("it is written");
    fs::write(path.join("usd.yml"), "rate: 2\n").expect("it is written");
    fs::write(path.join("README.md"), "# none of it").expect("it is written");
    fs::write(path.join(".hidden.yaml"), "none: [").expect("it is written");
    let host = scene.start();
    holds(&host, r#"{"eur":{"rate":1},"usd":{"rate":2}}"#);
    let events = host.follow();
    rename_into(&path.join("usd.yml"), "rate: [3\n");
    let reason = refused(&events).mistake.reason;
    assert!(reason.starts_with("in usd.yml: "), "{reason}");
    rename_into(&path.join("usd.yml"), "rate: 3\n");
    holds(&host, r#"{"eur":{"rate":1},"usd":{"rate":3}}"#);
    fs::remove_file(path.join("eur.yaml")).expect("it is removed");
    holds(&host, r#"{"usd":{"rate":3}}"#);
}

#[test]
fn a_burst_is_coalesced_and_the_last_one_wins() {
    const BURST: usize = 10_000;
    let (scene, path) = scene("rates.json");
    rename_into(&path, "0");
    let host = scene.start();
    holds(&host, "0");
    for number in 1..=BURST {
        rename_into(&path, &number.to_string());
    }
    holds(&host, &BURST.to_string());
    let held = host.data("rates").expect("it is held").record.number;
    assert!(held <= BURST as u64 + 1, "{held} revisions");
    let numbers: Vec<u64> = host
        .data_history("rates", 1_000)
        .expect("it is read")
        .iter()
        .map(|record| record.number)
        .collect();
    assert!(numbers.is_sorted_by(|newer, older| newer > older));
    is_well(&host);
}

#[test]
fn without_a_notice_the_poll_finds_it() {
    let (mut scene, path) = scene("below/rates.json");
    rates(&mut scene).poll = Duration::from_millis(20);
    fs::create_dir_all(path.parent().expect("it has one")).expect("it is made");
    fs::write(&path, "1").expect("it is written");
    let host = scene.start();
    holds(&host, "1");
    // The folder of the file is watched, and not the one above it.
    let (above, other) = (scene.elsewhere(), scene.elsewhere().with_extension("other"));
    fs::create_dir_all(other.join("below")).expect("it is made");
    fs::write(other.join("below/rates.json"), "2").expect("it is written");
    fs::rename(&above, above.with_extension("old")).expect("it is renamed");
    fs::rename(&other, &above).expect("it is renamed");
    holds(&host, "2");
}

#[test]
fn a_rescan_looks_at_once() {
    let (scene, path) = scene("below/rates.json");
    fs::create_dir_all(path.parent().expect("it has one")).expect("it is made");
    fs::write(&path, "1").expect("it is written");
    let host = scene.start();
    is_well(&host);
    holds(&host, "1");
    // No notice tells of this one.
    let (above, other) = (scene.elsewhere(), scene.elsewhere().with_extension("other"));
    fs::create_dir_all(other.join("below")).expect("it is made");
    fs::write(other.join("below/rates.json"), "2").expect("it is written");
    fs::rename(&above, above.with_extension("old")).expect("it is renamed");
    fs::rename(&other, &above).expect("it is renamed");
    host.rescan();
    holds(&host, "2");
}

#[test]
fn after_a_restart_the_last_good_serves_at_once_though_the_file_is_gone() {
    let (scene, path) = scene("rates.json");
    fs::write(&path, "1").expect("it is written");
    let host = scene.start();
    holds(&host, "1");
    drop(host);
    fs::remove_file(&path).expect("it is removed");
    let host = scene.start();
    assert_eq!(content(&host), "1");
    assert!(host.datasets()[0].from_disk);
    let restored =
        |event: &Event| matches!(event.what, Happening::DataRestored { revision: 1, .. });
    assert!(host.events().iter().any(restored), "it is said");
    until("it is missing", || refusal(&host));
    rename_into(&path, "2");
    holds(&host, "2");
    is_well(&host);
    assert_eq!(host.data("rates").expect("it is held").record.number, 2);
}

#[test]
fn a_required_dataset_is_waited_for_and_missed_with_the_reason() {
    let (mut scene, path) = scene("rates.json");
    rates(&mut scene).required = Some(Duration::from_millis(1));
    let start = |scene: &Scene| {
        Host::builder()
            .config(scene.config.clone())
            .state_dir(scene.state_dir())
            .examiner(EXAMINER)
            .start()
    };
    let error = start(&scene).err().expect("nothing came").to_string();
    assert!(error.contains("data \"rates\" is required"), "{error}");
    rates(&mut scene).required = Some(LIMIT);
    std::thread::scope(|scope| {
        let host = scope.spawn(|| start(&scene));
        rename_into(&path, "?");
        rename_into(&path, "1");
        let host = host.join().expect("no panic").expect("it starts");
        assert_eq!(content(&host), "1");
    });
}

#[test]
fn what_nothing_confirms_becomes_stale_and_is_served_on() {
    let (mut scene, _) = scene("rates.json");
    let flags = DatasetConfig {
        stale_after: Some(Duration::from_millis(1)),
        ..DatasetConfig::default()
    };
    scene.config.data = [("rates".to_owned(), flags)].into();
    let host = scene.start();
    let events = host.follow();
    let origin = host::data::Origin::operator("a test");
    host.put_data("rates", b"1".to_vec(), &origin)
        .expect("it is valid");
    event(&events, "staleness", |what| {
        matches!(what, Happening::DataStale { .. })
    });
    assert!(host.datasets()[0].stale);
    assert_eq!(content(&host), "1");
}

#[test]
fn readers_see_no_half_of_a_change_set_and_no_step_back() {
    const CHANGES: u64 = 300;
    let mut scene = Scene::new(EXAMINER);
    for name in ["a", "b"] {
        let config = DatasetConfig::default();
        scene.config.data.insert(name.to_owned(), config);
    }
    let host = scene.start();
    let origin = host::data::Origin::operator("a test");
    let change = |number: u64| {
        let content = number.to_string().into_bytes();
        let both = [("a".to_owned(), content.clone()), ("b".to_owned(), content)];
        host.change_data(both.into(), &origin).expect("it is valid");
    };
    change(0);
    let ended = AtomicBool::new(false);
    let (begun, has_begun) = bounded(2);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (host, ended, begun) = (&host, &ended, begun.clone());
                scope.spawn(move || {
                    let (mut last, mut reads) = (0, 0_u64);
                    while !ended.load(Ordering::Relaxed) {
                        let snapshot = host.data_snapshot();
                        let [a, b] = ["a", "b"].map(|name| {
                            let held = snapshot.get(name).expect("it is held");
                            (held.record.number, held.content.clone())
                        });
                        assert_eq!(a, b, "a mix");
                        assert!(a.0 >= last, "a step back from {last} to {}", a.0);
                        last = a.0;
                        reads += 1;
                        if reads == 1 {
                            begun.send(()).expect("the test waits");
                        }
                    }
                    last
                })
            })
            .collect();
        for _ in 0..2 {
            has_begun.recv_timeout(LIMIT).expect("they read");
        }
        (1..=CHANGES).for_each(change);
        ended.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("no panic") <= CHANGES + 1);
        }
    });
    assert_eq!(
        host.data("b").expect("it is held").record.number,
        CHANGES + 1
    );
}
