//! The program: `host` as an operator and an author use it, with the real cargo where one is needed.

use std::{fs, path::Path, process::Command};
use tests::{Artifact, Program, repository, until};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn run(dir: &Path) -> Program {
    Program::start(&["run", path(dir)])
}

#[test]
fn calls_are_answered_with_the_result_itself_and_who_gave_it() {
    let plugins = folder();
    Artifact::of("steady").place(plugins.path());
    let host = run(plugins.path());
    let answer = host.post("steady", "increment", "[1,1]");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "1"),
        "{answer:?}"
    );
    assert_eq!(answer.header("x-plugin-version"), Some("1.0.0"));
    assert!(
        answer
            .header("x-plugin-generation")
            .is_some_and(|number| number.parse::<u64>().is_ok())
    );
    let named = host.post("steady", "increment", r#"{"caller":1,"number":2}"#);
    assert_eq!(named.body, "2");
    assert_eq!(host.post("steady", "last", "1").body, "2");
}

#[test]
fn errors_have_their_status_and_are_always_json() {
    let plugins = folder();
    Artifact::of("steady").place(plugins.path());
    Artifact::of("panics_in_shared_method").place(plugins.path());
    let host = run(plugins.path());
    let failing = "panics-in-shared-method";
    for (plugin, method, body, status) in [
        ("nobody", "total", "", 404),
        ("steady", "nothing", "", 404),
        ("steady", "increment", "[1]", 400),
        ("steady", "increment", "{{", 400),
        ("steady", "increment", "[1,9]", 422),
        (failing, "fail", "", 500),
    ] {
        let answer = host.post(plugin, method, body);
        assert_eq!(answer.status, status, "{plugin}.{method}: {answer:?}");
        let error: serde_json::Value = serde_json::from_str(&answer.body).expect("errors are JSON");
        assert!(
            error["error"]["kind"].is_string() && error["error"]["message"].is_string(),
            "{error}"
        );
    }
    let get = tests::request(&host.call, "GET", "/call/steady/total", "").expect("an answer");
    assert_eq!(get.status, 405, "{get:?}");
    for probe in ["/livez", "/readyz"] {
        let answer = tests::request(&host.call, "GET", probe, "").expect("an answer");
        assert_eq!(answer.status, 200, "{probe}: {answer:?}");
    }
    let unloaded = host.command(&["unload", "steady"]);
    assert_eq!(unloaded.code, Some(0), "{unloaded:?}");
    assert_eq!(host.post("steady", "total", "").status, 503);
}

#[test]
fn the_command_line_does_what_an_operator_needs() {
    let plugins = folder();
    Artifact::of("steady")
        .version("1.0.1")
        .place(plugins.path());
    let elsewhere = folder();
    let next = Artifact::of("steady")
        .version("1.0.2")
        .place(elsewhere.path());
    let host = run(plugins.path());
    let called = host.command(&["call", "steady", "increment", "[1,1]"]);
    assert_eq!(
        (called.code, called.stdout.trim()),
        (Some(0), "1"),
        "{called:?}"
    );
    let loaded = host.command(&["load", path(&next)]);
    assert_eq!(loaded.code, Some(0), "{loaded:?}");
    let list = host.command(&["list", "--json"]).json();
    assert_eq!(list["plugins"][0]["name"], "steady");
    assert_eq!(list["plugins"][0]["serving"]["version"], "1.0.2");
    let back = host.command(&["rollback", "steady", "--to", "1.0.1"]);
    assert_eq!(back.code, Some(0), "{back:?}");
    assert_eq!(
        host.post("steady", "total", "").header("x-plugin-version"),
        Some("1.0.1")
    );
    assert_eq!(host.post("steady", "total", "").body, "1");
    for (verb, word) in [
        (&["status"][..], "steady"),
        (&["status", "steady"], "steady"),
        (&["history", "steady"], "rollback"),
        (&["events"], "steady"),
    ] {
        let output = host.command(verb);
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stdout.contains(word), "{output:?}");
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_told_of_like_any_other() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let plugins = folder();
    let name = OsStr::from_bytes(b"lib\xff.so");
    fs::write(plugins.path().join(name), "odd").expect("a file");
    let host = run(plugins.path());
    let status = host.command(&["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.stdout.contains("lib\u{fffd}.so"), "{status:?}");
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let plugins = folder();
    let good = Artifact::of("steady").place(plugins.path());
    let elsewhere = folder();
    let bad = Artifact::of("panics_in_new").place(elsewhere.path());
    let host = run(plugins.path());
    let code = |arguments: &[&str]| host.command(arguments).code;
    assert_eq!(code(&["vet", path(&good)]), Some(0));
    assert_eq!(code(&["vet", path(&bad)]), Some(1));
    assert_eq!(code(&["load", path(&bad)]), Some(1));
    assert_eq!(code(&["call", "nobody", "total"]), Some(1));
    assert_eq!(code(&["frobnicate"]), Some(2));
    let nowhere = folder();
    assert_eq!(
        code(&["list", "--state-dir", path(nowhere.path())]),
        Some(3)
    );
    let config = elsewhere.path().join("host.toml");
    fs::write(&config, "[call]\nlissten = 1\n").expect("a configuration");
    let output = host.command(&["run", path(plugins.path()), "--config", path(&config)]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        output.stderr.contains("did you mean \"listen\""),
        "{output:?}"
    );
    let json = host.command(&["load", path(&bad), "--json"]);
    let error: serde_json::Value =
        serde_json::from_str(json.stderr.trim()).expect("errors are JSON");
    assert!(error["error"]["message"].is_string(), "{error}");
}

#[test]
fn a_terminated_host_saves_the_state_and_the_next_one_has_it() {
    let plugins = folder();
    Artifact::of("steady").place(plugins.path());
    let host = run(plugins.path());
    assert_eq!(host.post("steady", "increment", "[1,1]").body, "1");
    host.signal("TERM");
    let (status, state) = host.wait();
    assert_eq!(status.code(), Some(0), "{status:?}");
    let host = Program::start_in(state, &["run", path(plugins.path())]);
    assert_eq!(host.post("steady", "total", "").body, "1");
}

#[test]
fn a_killed_host_comes_back_on_the_last_good_artifact() {
    let plugins = folder();
    Artifact::of("steady")
        .version("1.0.7")
        .place(plugins.path());
    let host = run(plugins.path());
    assert_eq!(host.post("steady", "total", "").body, "0");
    host.signal("KILL");
    let (_, state) = host.wait();
    fs::remove_file(plugins.path().join("libsteady.so")).expect("the author's file is gone");
    let empty = folder();
    let host = Program::start_in(state, &["run", path(empty.path())]);
    assert_eq!(
        host.post("steady", "total", "").header("x-plugin-version"),
        Some("1.0.7")
    );
}

#[test]
fn a_second_host_on_the_same_state_is_refused() {
    let plugins = folder();
    let host = run(plugins.path());
    let state = host.state_dir();
    let arguments = [
        "run",
        path(plugins.path()),
        "--listen",
        "127.0.0.1:0",
        "--state-dir",
        path(&state),
    ];
    let output = host.command(&arguments);
    assert_ne!(output.code, Some(0), "{output:?}");
    assert!(
        output.stderr.contains(&host.pid().to_string()),
        "{output:?}"
    );
}

#[test]
fn a_hang_up_looks_at_the_whole_directory() {
    let plugins = folder();
    let host = run(plugins.path());
    Artifact::of("steady").place(plugins.path());
    host.signal("HUP");
    until("the plugin serves", || {
        (host.post("steady", "total", "").status == 200).then_some(())
    });
}

/// Writes a counter that adds `factor` for each 1, and builds it as an author would.
fn build_tally(workspace: &Path, target: &Path, factor: u64) {
    let source = format!(
        "//! Counts.\n\n#[plugin_api::state(schema = 1)]\n#[derive(Default)]\nstruct Tally {{ total: u64 }}\n\n\
         #[plugin_api::plugin]\nimpl Tally {{\n    fn add(&mut self, by: u64) -> u64 {{\n        \
         self.total += by * {factor};\n        self.total\n    }}\n}}\n"
    );
    fs::write(workspace.join("src/lib.rs"), source).expect("the source");
    let output = Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--offline",
            "--target-dir",
            path(target),
        ])
        .current_dir(workspace)
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_real_build_by_cargo_goes_live_and_keeps_the_count() {
    let workspace = folder();
    fs::create_dir(workspace.path().join("src")).expect("a folder");
    let manifest = format!(
        "[package]\nname = \"tally\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\nplugin-api = {{ path = \"{}\" }}\n\n[workspace]\n",
        repository().join("plugin-api").display()
    );
    fs::write(workspace.path().join("Cargo.toml"), manifest).expect("the manifest");
    fs::copy(
        repository().join("Cargo.lock"),
        workspace.path().join("Cargo.lock"),
    )
    .expect("the lock file");
    // Kept from run to run, so that only the first one compiles the dependencies.
    let target = tests::target_dir().join("real-build");
    build_tally(workspace.path(), &target, 1);
    let host = run(&target.join("debug"));
    assert_eq!(host.post("tally", "add", "5").body, "5");
    let generation = || {
        let status = host.command(&["status", "tally", "--json"]).json();
        status["serving"]["generation"].as_u64().expect("it serves")
    };
    let before = generation();
    build_tally(workspace.path(), &target, 100);
    until("the new build serves", || {
        (generation() > before).then_some(())
    });
    assert_eq!(host.post("tally", "add", "1").body, "105");
}
