//! Releases: plugins and data that belong together are applied together, or not at all, and go back by one command.

use host::{
    Host, Step,
    config::DatasetConfig,
    event::Happening,
    release::{ArtifactOf, ContentOf, Release, ReleaseOutcome},
};
use std::{fs, time::Duration};
use tests::{Artifact, Hold, LIMIT, Program, Scene, event, number, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// A host with the datasets `limits` and `rates`, which hold 1, and the plugins `abacus` (a steady counter) and `slow`.
fn scene() -> (Scene, Host) {
    scene_with(LIMIT)
}

fn scene_with(drain_deadline: Duration) -> (Scene, Host) {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = drain_deadline;
    for dataset in ["limits", "rates"] {
        let declared = DatasetConfig::default();
        scene.config.data.insert(dataset.to_owned(), declared);
    }
    let host = scene.start();
    for artifact in [abacus(), slow()] {
        scene.load(&host, &artifact);
    }
    let mut first = Release::named("the first");
    first.data = contents("1");
    host.release(first, "a test").expect("it is applied");
    assert_eq!(number(&host, "abacus", "increment", "[1, 1]"), 1);
    (scene, host)
}

/// The steady counter under a name that comes before `slow`.
fn abacus() -> Artifact {
    Artifact::of("steady")
        .with("\"name\":\"steady\"", "\"name\":\"abacus\"")
        .named("libabacus.so")
}

fn slow() -> Artifact {
    Artifact::of("slow")
}

fn contents(content: &str) -> std::collections::BTreeMap<String, ContentOf> {
    ["limits", "rates"]
        .map(|dataset| {
            let content = ContentOf::Bytes(content.as_bytes().to_vec());
            (dataset.to_owned(), content)
        })
        .into()
}

/// A release of both plugins in these builds, and of this content of both datasets.
fn release(scene: &Scene, builds: [Artifact; 2], content: &str) -> Release {
    let mut release = Release::named("the second");
    for (plugin, artifact) in ["abacus", "slow"].into_iter().zip(builds) {
        let file = ArtifactOf::File(scene.put(&artifact));
        release.plugins.insert(plugin.to_owned(), file);
    }
    release.data = contents(content);
    release
}

/// The versions of both plugins, the contents of both datasets, and the count that `abacus` holds.
fn state(host: &Host) -> ([String; 2], [String; 2], u64) {
    let version = |plugin| {
        let serving = host.plugin(plugin).and_then(|status| status.serving);
        serving.map_or_else(|| "none".to_owned(), |serving| serving.version)
    };
    let content = |dataset| {
        let held = host.data(dataset);
        held.map_or_else(String::new, |held| {
            String::from_utf8_lossy(&held.content).into_owned()
        })
    };
    (
        ["abacus", "slow"].map(version),
        ["limits", "rates"].map(content),
        number(host, "abacus", "total", ""),
    )
}

fn as_before() -> ([String; 2], [String; 2], u64) {
    (
        ["1.0.0", "1.0.0"].map(str::to_owned),
        ["1", "1"].map(str::to_owned),
        1,
    )
}

fn as_released() -> ([String; 2], [String; 2], u64) {
    (
        ["1.0.1", "1.0.1"].map(str::to_owned),
        ["2", "2"].map(str::to_owned),
        1,
    )
}

#[test]
fn plugins_and_data_are_applied_together_and_go_back_together() {
    let (scene, host) = scene();
    let builds = [abacus().version("1.0.1"), slow().version("1.0.1")];
    let report = host
        .release(release(&scene, builds, "2"), "ada")
        .expect("it is applied");
    assert_eq!(state(&host), as_released());
    assert_eq!((report.release, report.swaps.len()), (2, 2));
    assert!(report.changes.iter().all(|change| change.changed));
    let held = host.data("rates").expect("it is held");
    assert_eq!(held.record.origin.to_string(), "release 2 by ada");

    let back = host.rollback_release(None, "bob").expect("it goes back");
    assert_eq!(back.rolls_back, Some(2));
    assert_eq!(state(&host), as_before());
    let outcomes: Vec<ReleaseOutcome> = host
        .releases(10)
        .expect("the journal can be read")
        .into_iter()
        .map(|record| record.outcome)
        .collect();
    assert_eq!(outcomes, [const { ReleaseOutcome::Applied }; 3]);
    // What was gone back from is not gone back from again: the one before it is.
    let again = host.rollback_release(None, "bob");
    let again = again.expect("the first brought data to where there was none");
    assert_eq!((again.rolls_back, again.changes.len()), (Some(1), 0));
}

#[test]
fn whatever_is_refused_by_itself_changes_nothing() {
    let (scene, host) = scene();
    let good = || [abacus().version("1.0.1"), slow().version("1.0.1")];
    let wrong = || Artifact::of("panics_in_new");

    let mut of_another_name = release(&scene, good(), "2");
    let file = ArtifactOf::File(scene.put(&wrong()));
    of_another_name
        .plugins
        .insert("slow".to_owned(), file.clone());
    let mut that_cannot_be_made = release(&scene, good(), "2");
    that_cannot_be_made
        .plugins
        .insert("panics-in-new".to_owned(), file);
    let mut of_no_file = release(&scene, good(), "2");
    let none = ArtifactOf::File(scene.elsewhere().join("libnone.so"));
    of_no_file.plugins.insert("slow".to_owned(), none);
    let mut of_no_dataset = release(&scene, good(), "2");
    let content = ContentOf::Bytes(b"2".to_vec());
    of_no_dataset.data.insert("rules".to_owned(), content);
    let of_no_content = release(&scene, good(), "{");
    let mut of_no_revision = release(&scene, good(), "2");
    let revision = ContentOf::Revision(7);
    of_no_revision.data.insert("rates".to_owned(), revision);

    for (refused, part, words) in [
        (of_another_name, "plugin \"slow\"", "panics-in-new"),
        (
            that_cannot_be_made,
            "plugin \"panics-in-new\"",
            "stopped at vet",
        ),
        (of_no_file, "plugin \"slow\"", "libnone.so"),
        (of_no_dataset, "data \"rules\"", "[data.rules]"),
        (of_no_content, "data \"limits\"", "line 1"),
        (of_no_revision, "data \"rates\"", "revision 7"),
    ] {
        let error = host.release(refused, "ada").expect_err("it is refused");
        let text = error.to_string();
        assert_eq!(error.part, part, "{text}");
        assert!(text.contains(words) && error.left.is_empty(), "{text}");
        assert_eq!(state(&host), as_before(), "{text}");
    }
}

#[test]
fn what_was_done_is_put_back_when_a_later_part_fails() {
    let (scene, host) = scene_with(Duration::from_millis(200));
    let hold = Hold::new();
    let (callers_host, arguments) = (host.clone(), hold.arguments());
    let caller = std::thread::spawn(move || callers_host.call("slow", "hold", &arguments));
    let inside = hold.wait();
    let events = host.follow();
    let builds = [abacus().version("1.0.1"), slow().version("1.0.1")];
    let error = host
        .release(release(&scene, builds.clone(), "2"), "ada")
        .expect_err("a call is inside");
    assert_eq!(error.step, Some(Step::Drain), "{error}");
    assert!(error.is_out_of_time() && error.left.is_empty(), "{error}");
    assert!(error.to_string().contains("`hold`"), "{error}");
    // It had come as far as the other plugin's new version.
    let swapped = event(
        &events,
        "the first plugin's swap",
        |what| matches!(what, Happening::Swapped { plugin, .. } if plugin == "abacus"),
    );
    assert!(
        matches!(&swapped.what, Happening::Swapped { version, .. } if version == "1.0.1"),
        "{swapped:?}"
    );
    assert_eq!(state(&host), as_before());
    let record = host.releases(1).expect("the journal").remove(0);
    assert!(
        matches!(record.outcome, ReleaseOutcome::PutBack { .. }),
        "{record:?}"
    );
    drop(inside);
    let answered = caller.join().expect("no panic");
    assert_eq!(answered.expect("the call ends well").version, "1.0.0");
    host.release(release(&scene, builds, "2"), "ada")
        .expect("now it is applied");
    assert_eq!(state(&host), as_released());
}

#[test]
fn what_came_while_a_release_was_proven_is_what_its_failure_goes_back_to() {
    let (scene, host) = scene_with(Duration::from_millis(200));
    let hold = Hold::new();
    let (callers_host, arguments) = (host.clone(), hold.arguments());
    let caller = std::thread::spawn(move || callers_host.call("slow", "hold", &arguments));
    let inside = hold.wait();
    let events = host.follow();
    let builds = [abacus().version("1.0.1"), slow().version("1.0.1")];
    let (releasing, release) = (host.clone(), release(&scene, builds, "2"));
    let release = std::thread::spawn(move || releasing.release(release, "ada"));
    event(
        &events,
        "the first plugin's candidate is examined",
        |what| matches!(what, Happening::StepDone { plugin, step: Step::Vet, .. } if plugin == "abacus"),
    );
    let origin = host::data::Origin::operator("bob");
    let put = host.put_data("rates", b"7".to_vec(), &origin);
    put.expect("it is valid");
    let error = release.join().expect("no panic");
    let error = error.expect_err("a call is inside");
    assert!(error.left.is_empty(), "{error}");
    let (versions, contents, _) = state(&host);
    assert_eq!(versions, ["1.0.0", "1.0.0"]);
    assert_eq!(contents, ["1", "7"]);
    drop(inside);
    assert!(caller.join().expect("no panic").is_ok());
}

#[test]
fn a_pin_outlives_a_release_that_is_applied_and_one_that_fails() {
    let (scene, host) = scene_with(Duration::from_millis(200));
    let pin = |to| host.rollback_data("rates", Some(to), true, "a test");
    pin(1).expect("it is kept");
    let is_pinned = || {
        host.datasets()
            .iter()
            .all(|it| it.pinned == (it.name == "rates"))
    };
    assert!(is_pinned());
    let hold = Hold::new();
    let (callers_host, arguments) = (host.clone(), hold.arguments());
    let caller = std::thread::spawn(move || callers_host.call("slow", "hold", &arguments));
    let inside = hold.wait();
    let builds = || [abacus().version("1.0.1"), slow().version("1.0.1")];
    let error = host.release(release(&scene, builds(), "2"), "ada");
    assert!(error.expect_err("a call is inside").left.is_empty());
    assert_eq!(state(&host), as_before());
    assert!(is_pinned());
    drop(inside);
    assert!(caller.join().expect("no panic").is_ok());
    host.release(release(&scene, builds(), "2"), "ada")
        .expect("it is applied");
    assert_eq!(state(&host), as_released());
    assert!(is_pinned());
    host.rollback_release(None, "ada").expect("it goes back");
    assert!(is_pinned());
}

#[test]
fn a_dataset_that_keeps_nothing_to_put_back_is_in_no_release() {
    let mut scene = Scene::new(EXAMINER);
    let declared = DatasetConfig {
        keep: 1,
        ..DatasetConfig::default()
    };
    for dataset in ["limits", "rates"] {
        scene
            .config
            .data
            .insert(dataset.to_owned(), declared.clone());
    }
    let host = scene.start();
    let release = |content| Release {
        data: contents(content),
        ..Release::default()
    };
    host.release(release("1"), "ada")
        .expect("there is nothing to put back");
    let error = host.release(release("2"), "ada").expect_err("there is");
    assert!(error.to_string().contains("its keep is 1"), "{error}");
}

#[test]
fn a_plugin_that_a_release_brought_or_took_away_goes_back_too() {
    let (scene, host) = scene();
    let mut release = Release::default();
    let file = ArtifactOf::File(scene.put(&Artifact::of("steady")));
    release.plugins.insert("steady".to_owned(), file);
    release
        .plugins
        .insert("abacus".to_owned(), ArtifactOf::None);
    let report = host.release(release, "ada").expect("it is applied");
    assert_eq!((report.swaps.len(), report.unloads.len()), (1, 1));
    let serves = |plugin| host.plugin(plugin).is_some_and(|it| it.serving.is_some());
    assert!(serves("steady") && !serves("abacus"));
    host.rollback_release(Some(report.release), "ada")
        .expect("it goes back");
    assert!(!serves("steady") && serves("abacus"));
    assert_eq!(state(&host), as_before());
}

#[test]
fn releases_at_the_same_time_take_turns_and_none_is_mixed_with_another() {
    let (scene, host) = scene();
    let releases = ["3", "4", "5"].map(|number| {
        let version = format!("1.0.{number}");
        let builds = [abacus().version(&version), slow().version(&version)];
        let builds = builds.map(|it| it.named(&format!("lib{number}.so")));
        let mut release = release(&scene, builds.clone(), number);
        for (plugin, artifact) in ["abacus", "slow"].into_iter().zip(builds) {
            let file = scene.elsewhere().join(number).join(plugin);
            let file = ArtifactOf::File(artifact.place(&file));
            release.plugins.insert(plugin.to_owned(), file);
        }
        release
    });
    let threads = releases.map(|release| {
        let host = host.clone();
        std::thread::spawn(move || host.release(release, "ada"))
    });
    for thread in threads {
        thread.join().expect("no panic").expect("it is applied");
    }
    let (versions, contents, total) = state(&host);
    assert_eq!(versions[0], versions[1]);
    assert_eq!(contents[0], contents[1]);
    assert_eq!(
        (versions[0].clone(), total),
        (format!("1.0.{}", contents[0]), 1)
    );
}

/// A host with `echoes`, which reads `left` in its first shape, and `slow`.
fn reading(drain_deadline: Duration) -> (Scene, Host) {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.drain_deadline = drain_deadline;
    let declared = DatasetConfig::default();
    scene.config.data.insert("left".to_owned(), declared);
    let host = scene.start();
    put(&host, r#"{"number": 1}"#).expect("nobody reads it yet");
    scene.load(&host, &Artifact::of("echoes"));
    scene.load(&host, &slow());
    (scene, host)
}

fn put(host: &Host, left: &str) -> Result<(), String> {
    let origin = host::data::Origin::operator("a test");
    let put = host.put_data("left", left.as_bytes().to_vec(), &origin);
    put.map(drop).map_err(|error| error.to_string())
}

/// The version of `echoes` that has no use for the shape that the other one needs, with data of its shape.
fn other_shape(scene: &Scene) -> Release {
    let mut release = Release::named("another shape");
    let file = ArtifactOf::File(scene.put(&Artifact::of("echoes_2")));
    release.plugins.insert("echoes".to_owned(), file);
    let content = ContentOf::Bytes(br#"{"value": 2}"#.to_vec());
    release.data.insert("left".to_owned(), content);
    release
}

#[test]
fn code_and_data_that_fit_only_each_other_go_live_together_and_back_without_a_failed_call() {
    let (scene, host) = reading(LIMIT);
    let refused = put(&host, r#"{"value": 2}"#).expect_err("what serves cannot use it");
    assert!(refused.contains("echoes"), "{refused}");
    let refused = host.load(&scene.put(&Artifact::of("echoes_2")));
    let refused = refused.expect_err("it cannot use what is held");
    assert_eq!(refused.step, Step::Vet, "{refused}");

    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let (host, ended) = (host.clone(), ended.clone());
            std::thread::spawn(move || {
                let mut seen = [0_u64; 3];
                while !ended.load(std::sync::atomic::Ordering::Acquire) {
                    seen[number(&host, "echoes", "left", "") as usize] += 1;
                }
                seen
            })
        })
        .collect();
    for _ in 0..5 {
        let applied = host.release(other_shape(&scene), "ada").expect("they fit");
        assert_eq!(number(&host, "echoes", "left", ""), 2);
        host.rollback_release(Some(applied.release), "ada")
            .expect("and so do those before them");
        assert_eq!(number(&host, "echoes", "left", ""), 1);
    }
    ended.store(true, std::sync::atomic::Ordering::Release);
    for caller in callers {
        let [_, first, second] = caller.join().expect("no call fails");
        assert!(first > 0 && second > 0, "{first} {second}");
    }
}

#[test]
fn code_and_data_that_fit_only_each_other_are_put_back_together() {
    let (scene, host) = reading(Duration::from_millis(200));
    let hold = Hold::new();
    let (callers_host, arguments) = (host.clone(), hold.arguments());
    let caller = std::thread::spawn(move || callers_host.call("slow", "hold", &arguments));
    let inside = hold.wait();
    let mut release = other_shape(&scene);
    let file = ArtifactOf::File(scene.put(&slow().version("1.0.1")));
    release.plugins.insert("slow".to_owned(), file);
    let events = host.follow();
    let error = host.release(release, "ada").expect_err("a call is inside");
    assert!(error.left.is_empty(), "{error}");
    event(
        &events,
        "the other plugin's swap",
        |what| matches!(what, Happening::Swapped { version, .. } if version == "2.0.0"),
    );
    assert_eq!(number(&host, "echoes", "left", ""), 1);
    assert!(
        put(&host, r#"{"value": 2}"#).is_err(),
        "the old one is asked"
    );
    put(&host, r#"{"number": 2}"#).expect("it fits the old one");
    assert_eq!(number(&host, "echoes", "left", ""), 2);
    drop(inside);
    assert!(caller.join().expect("no panic").is_ok());
}

/// What `host release ARGUMENTS` comes to.
fn release_verb(host: &Program, arguments: &[&str]) -> tests::Output {
    host.command(&[&["release"], arguments].concat())
}

/// A folder with a configuration, the plugin `abacus`, and a release file that brings a new build and new data.
fn program_scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    abacus().place(&folder.path().join("plugins"));
    slow().place(&folder.path().join("plugins"));
    let new = folder.path().join("new");
    abacus().version("1.0.1").place(&new);
    slow().version("1.0.1").place(&new);
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("it is written");
    };
    write("host.toml", "[data.rates]\n");
    write("new/rates.json", "2");
    write(
        "new/release.toml",
        "name = \"summer\"\n[plugins]\nabacus = \"libabacus.so\"\nslow = \"libslow.so\"\n[data]\nrates = \"rates.json\"\n",
    );
    folder
}

fn run(folder: &tempfile::TempDir, state: tempfile::TempDir) -> Program {
    Program::start_with(state, |command| {
        command
            .current_dir(folder.path())
            .args(["run", "plugins", "--listen", "127.0.0.1:0"]);
    })
}

#[test]
fn operators_apply_list_and_go_back_by_the_command_line() {
    let folder = program_scene();
    let host = run(&folder, tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("new/release.toml");
    let file = file.to_str().expect("a path in UTF-8");

    let applied = release_verb(&host, &["apply", file]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    for words in [
        "release 1 (summer) is applied",
        "rates → revision 1",
        "abacus 1.0.1 → generation",
    ] {
        assert!(applied.stdout.contains(words), "{applied:?}");
    }
    let listed = release_verb(&host, &["list", "--json"]).json();
    assert_eq!(listed["releases"][0]["outcome"]["outcome"], "applied");
    assert_eq!(listed["releases"][0]["plugins"][0]["plugin"], "abacus");

    let back = release_verb(&host, &["rollback", "--json"]);
    assert_eq!(
        (back.code, &back.json()["rolls_back"]),
        (Some(0), &1.into())
    );
    assert_eq!(
        host.post("abacus", "total", "").header("x-plugin-version"),
        Some("1.0.0")
    );
    let none = release_verb(&host, &["rollback", "--json"]);
    assert_eq!(
        (none.code, &none.json_error()["kind"]),
        (Some(1), &"refused".into())
    );

    fs::write(folder.path().join("bad.toml"), "[plugin]\na = 1\n").expect("it is written");
    let bad = folder.path().join("bad.toml");
    let bad = release_verb(&host, &["apply", "--json", bad.to_str().expect("UTF-8")]);
    assert_eq!(
        (bad.code, &bad.json_error()["kind"]),
        (Some(1), &"bad_release".into())
    );
    assert!(bad.stderr.contains("line 1"), "{bad:?}");
}

#[test]
fn a_release_that_kill_9_cuts_off_is_put_back_at_the_next_start() {
    let folder = program_scene();
    let host = run(&folder, tempfile::tempdir().expect("a folder"));
    let put = folder.path().join("old.json");
    fs::write(&put, "1").expect("it is written");
    let put = host.command(&["data", "put", "rates", put.to_str().expect("UTF-8")]);
    assert_eq!(put.code, Some(0), "{put:?}");
    assert_eq!(host.post("abacus", "increment", "[1, 1]").body, "1");
    // A call inside `slow` keeps the release from its end, when `abacus` is swapped already.
    let hold = Hold::new();
    let address = host.call.clone();
    let arguments = String::from_utf8(hold.arguments()).expect("UTF-8");
    let caller =
        std::thread::spawn(move || tests::request(&address, "POST", "/call/slow/hold", &arguments));
    let _inside = hold.wait();
    let admin = host.state_dir().join("host.sock");
    let file = folder.path().join("new/release.toml");
    let release = std::thread::spawn(move || {
        let arguments = ["release", "apply", file.to_str().expect("UTF-8"), "--admin"];
        let admin = admin.to_str().expect("UTF-8").to_owned();
        tests::Output::of(
            &std::env::temp_dir(),
            &[&arguments[..], &[admin.as_str()]].concat(),
        )
    });
    until("the first plugin's swap is in the journal", || {
        let history = host.command(&["history", "abacus", "--json"]).json();
        let last = &history["records"][0];
        let is_swapped = last["version"] == "1.0.1" && last["outcome"]["outcome"] == "swapped";
        is_swapped.then_some(())
    });
    host.signal("KILL");
    let (_, state) = host.wait();
    let ended = release.join().expect("no panic");
    assert_ne!(ended.code, Some(0), "{ended:?}");
    let _cut_off = caller.join();

    let host = run(&folder, state);
    let answer = host.post("abacus", "total", "");
    assert_eq!(
        answer.header("x-plugin-version"),
        Some("1.0.0"),
        "{answer:?}"
    );
    assert_eq!(answer.body, "1", "its state has come back");
    let rates = host.command(&["data", "get", "rates"]);
    assert_eq!(rates.stdout, "1", "{rates:?}");
    let listed = release_verb(&host, &["list", "--json"]).json();
    assert_eq!(listed["releases"][0]["outcome"]["outcome"], "put_back");
}
