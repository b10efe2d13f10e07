//! The administration: who gets in at which door, what scripts read, and how a configuration is taken or refused.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};
use tests::{Answer, Artifact, Connection, Hold, LIMIT, Output, Program};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A folder with the steady guest and this configuration.
fn scene(configuration: &str) -> tempfile::TempDir {
    let scene = folder();
    Artifact::of("steady").place(&scene.path().join("plugins"));
    fs::write(scene.path().join("host.toml"), configuration).expect("a configuration");
    scene
}

/// `host run` there, to an end that comes at once.
fn refused(scene: &Path) -> Output {
    let state = scene.join("state");
    let output = Output::of(
        scene,
        &[
            "run",
            "plugins",
            "--listen",
            "127.0.0.1:0",
            "--state-dir",
            path(&state),
        ],
    );
    assert!(
        !state.join("host.sock").exists(),
        "a socket is left: {output:?}"
    );
    output
}

/// `host run` there, with `prepare` for what differs.
fn run(scene: &Path, prepare: impl FnOnce(&mut Command)) -> Program {
    Program::start_with(folder(), |command| {
        command.current_dir(scene).args(["run", "plugins"]);
        prepare(command);
    })
}

fn on_any_port(command: &mut Command) {
    command.args(["--listen", "127.0.0.1:0"]);
}

const TOKEN: &str = "0f4c2a";

/// A host with the admin API on TCP too, and that address.
fn run_with_tcp(scene: &Path) -> (Program, String) {
    fs::write(scene.join("token"), format!("{TOKEN}\n")).expect("a token");
    let host = run(scene, on_any_port);
    let line = host.line("the admin API answers over TCP");
    let address = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("address="))
        .unwrap_or_else(|| panic!("no address in {line}"));
    (host, address.to_owned())
}

const ON_TCP: &str = "[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n";

fn ask(address: &str, method: &str, path: &str, authorization: Option<&str>) -> Answer {
    let mut connection = Connection::open(address).expect("a connection");
    let headers = authorization.map(|value| ("authorization", value));
    connection
        .send(method, path, headers.as_slice(), "")
        .expect("a request");
    connection.receive().expect("an answer")
}

#[test]
fn over_tcp_nobody_gets_in_without_the_token() {
    let scene = scene(ON_TCP);
    let (host, address) = run_with_tcp(scene.path());
    let longer = format!("Bearer {TOKEN}0");
    let basic = format!("Basic {TOKEN}");
    for authorization in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer wrong"),
        Some(longer.as_str()),
        Some(basic.as_str()),
        Some(TOKEN),
    ] {
        for (method, path) in [
            ("GET", "/status"),
            ("GET", "/events"),
            ("GET", "/livez"),
            ("GET", "/nowhere"),
            ("DELETE", "/plugins/steady"),
            ("POST", "/call/steady/total"),
        ] {
            let answer = ask(&address, method, path, authorization);
            assert_eq!(answer.status, 401, "{authorization:?} {path}: {answer:?}");
            assert_eq!(answer.error_kind(), "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.body.contains(TOKEN), "{answer:?}");
        }
    }
    assert_eq!(host.post("steady", "total", "").status, 200);
    assert!(!host.log().contains(TOKEN), "the token is in the log");
}

#[test]
fn over_tcp_the_token_opens_everything() {
    let scene = scene(ON_TCP);
    let (host, address) = run_with_tcp(scene.path());
    let bearer = format!("Bearer {TOKEN}");
    let ask = |method, path| ask(&address, method, path, Some(&bearer));
    let status = ask("GET", "/status");
    assert_eq!(status.status, 200, "{status:?}");
    assert_eq!(status.json()["pid"], host.pid());
    assert_eq!(
        ask("GET", "/plugins").json()["plugins"][0]["name"],
        "steady"
    );
    assert_eq!(ask("POST", "/call/steady/total").body, "0");
    assert_eq!(ask("GET", "/nowhere").status, 404);
    assert_eq!(ask("DELETE", "/plugins/steady").status, 200);
    assert_eq!(host.post("steady", "total", "").status, 503);
}

#[test]
fn without_a_token_to_ask_for_the_tcp_door_stays_shut() {
    for (configuration, token, words) in [
        (
            "[admin]\nlisten = \"127.0.0.1:0\"\n",
            None,
            "needs admin.token_file",
        ),
        (ON_TCP, None, "token_file"),
        (ON_TCP, Some(" \n"), "is empty"),
    ] {
        let scene = scene(configuration);
        if let Some(token) = token {
            fs::write(scene.path().join("token"), token).expect("a token");
        }
        let output = refused(scene.path());
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(words), "{output:?}");
        assert!(!output.stdout.contains("ready"), "{output:?}");
    }
}

#[test]
fn the_socket_is_its_owners_only_and_gone_at_the_end() {
    let scene = scene("");
    let host = run(scene.path(), on_any_port);
    let metadata = fs::symlink_metadata(&host.admin).expect("the socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.mode() & 0o777, 0o600);
    assert_eq!(host.admin, host.state_dir().join("host.sock"));
    let socket = host.admin.clone();
    host.signal("TERM");
    let (status, _folder) = host.wait();
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert!(!socket.exists());
}

#[test]
fn scripts_read_one_object_and_events_one_a_line() {
    let scene = scene("");
    let host = run(scene.path(), on_any_port);
    let json = |arguments: &[&str]| {
        let output = host.command(arguments);
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_eq!(output.stderr, "", "{output:?}");
        assert_eq!(output.stdout.lines().count(), 1, "{output:?}");
        output.json()
    };
    let list = json(&["list", "--json"]);
    assert_eq!(list["plugins"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["plugins"][0]["standing"], "serving");
    let status = json(&["--json", "status"]);
    assert_eq!(status["pid"], host.pid());
    assert_eq!(status["plugins"][0], list["plugins"][0]);
    let plugin = json(&["status", "steady", "--json"]);
    assert_eq!(plugin["serving"]["version"], "1.0.0");
    let called = json(&["call", "steady", "increment", "1", "1", "--json"]);
    assert_eq!(called["result"], 1);
    assert_eq!(called["generation"], plugin["serving"]["generation"]);
    let history = json(&["history", "steady", "--json", "--limit", "1"]);
    assert_eq!(history["plugin"], "steady");
    assert_eq!(history["records"].as_array().map(Vec::len), Some(1));
    assert_eq!(history["records"][0]["outcome"]["outcome"], "swapped");
    let unloaded = json(&["unload", "steady", "--json"]);
    assert_eq!(unloaded["state_saved"], true, "{unloaded}");
    let events = host.command(&["events", "--json"]);
    let words: Vec<String> = events
        .stdout
        .lines()
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).expect("an event");
            event["event"].as_str().expect("its word").to_owned()
        })
        .collect();
    for word in ["started", "swapped", "unloaded"] {
        assert!(words.contains(&word.to_owned()), "{word}: {words:?}");
    }
}

#[test]
fn failures_are_one_object_on_standard_error_with_their_exit_code() {
    let scene = scene("");
    let host = run(scene.path(), on_any_port);
    let elsewhere = folder();
    let bad = Artifact::of("panics_in_new").place(elsewhere.path());
    let nowhere = path(elsewhere.path());
    for (arguments, code, kind) in [
        (&["status", "nobody"][..], 1, "unknown_plugin"),
        (&["history", "nobody"], 1, "unknown_plugin"),
        (&["unload", "nobody"], 1, "unknown_plugin"),
        (&["rollback", "nobody"], 1, "unknown_plugin"),
        (&["call", "nobody", "total"], 1, "unknown_plugin"),
        (&["call", "steady", "nothing"], 1, "unknown_method"),
        (&["call", "steady", "increment", "1"], 1, "bad_arguments"),
        (&["call", "steady", "increment", "[1,9]"], 1, "refused"),
        (&["load", path(&bad)], 1, "vet"),
        (&["load", "/nowhere/libnothing.so"], 1, "watch"),
        (&["vet", "/nowhere/libnothing.so"], 1, "no_file"),
        (&["frobnicate"], 2, "usage"),
        (&["status", "--frobnicate"], 2, "usage"),
        (&["call", "steady"], 2, "usage"),
        (&["new", "Not A Name"], 2, "usage"),
        (&["list", "--state-dir", nowhere], 3, "no_host"),
        (
            &["events", "--follow", "--state-dir", nowhere],
            3,
            "no_host",
        ),
        (&["list", "--admin", "/nowhere/host.sock"], 3, "no_host"),
    ] {
        let output = host.command(&[arguments, &["--json"]].concat());
        assert_eq!(output.code, Some(code), "{arguments:?}: {output:?}");
        assert_eq!(output.stdout, "", "{arguments:?}: {output:?}");
        let error = output.json_error();
        assert_eq!(error["kind"], kind, "{arguments:?}: {output:?}");
        assert!(error["message"].is_string(), "{arguments:?}: {output:?}");
        let for_people = host.command(arguments);
        assert_eq!(for_people.code, Some(code), "{arguments:?}: {for_people:?}");
        assert!(!for_people.stderr.trim().is_empty(), "{for_people:?}");
    }
}

#[test]
fn a_load_that_runs_out_of_time_ends_with_4_and_the_old_one_serves_on() {
    let scene = scene("[plugins]\ndrain_deadline = \"300ms\"\n");
    Artifact::of("slow").place(&scene.path().join("plugins"));
    let host = run(scene.path(), on_any_port);
    let next = Artifact::of("slow")
        .version("1.0.1")
        .place(&scene.path().join("elsewhere"));
    let hold = Hold::new();
    let arguments = String::from_utf8(hold.arguments()).expect("arguments in UTF-8");
    let address = host.call.clone();
    let held = thread::spawn(move || {
        tests::request(&address, "POST", "/call/slow/hold_alone", &arguments).expect("an answer")
    });
    let inside = hold.wait();
    let output = host.command(&["load", path(&next), "--json"]);
    assert_eq!(output.code, Some(4), "{output:?}");
    assert_eq!(output.json_error()["kind"], "out_of_time");
    let message = output.json_error()["message"].to_string();
    assert!(message.contains("hold_alone"), "{message}");
    drop(inside);
    assert_eq!(held.join().expect("no panic").body, "1");
    let answer = host.post("slow", "held", "");
    assert_eq!(answer.header("x-plugin-version"), Some("1.0.0"));
    assert_eq!(host.command(&["load", path(&next)]).code, Some(0));
    assert_eq!(host.post("slow", "held", "").body, "1");
}

#[test]
fn followers_hear_of_what_comes_until_the_host_ends() {
    let scene = scene("");
    let host = run(scene.path(), on_any_port);
    let mut follower = Command::new(tests::program())
        .args(["events", "-f", "--json", "--admin", path(&host.admin)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a follower");
    let stdout = follower.stdout.take().expect("its output is piped");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // An error means that the test has ended already.
            tell.send(line).ok();
        }
    });
    let hears = |word: &str| {
        let word = format!("\"event\":\"{word}\"");
        while !(told.recv_timeout(LIMIT))
            .unwrap_or_else(|error| panic!("{error}: nothing is heard of {word}"))
            .contains(&word)
        {}
    };
    // What was before it came is told too.
    hears("swapped");
    assert_eq!(host.command(&["unload", "steady"]).code, Some(0));
    hears("unloaded");
    host.signal("TERM");
    hears("shutting_down");
    let output = follower.wait_with_output().expect("the follower ends");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_the_nearest_one() {
    for (configuration, place, near) in [
        ("# Mine.\n\n[call]\nlissten = 1\n", "host.toml:4", "listen"),
        (
            "[plugins]\ndrain_dedline = 1\n",
            "host.toml:2",
            "drain_deadline",
        ),
        ("[plugin.a]\non_removl = 1\n", "host.toml:2", "on_removal"),
        ("\n[cal]\nlisten = 1\n", "host.toml:2", "call"),
    ] {
        let scene = scene(configuration);
        let output = refused(scene.path());
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(place), "{place}: {output:?}");
        let words = format!("did you mean \"{near}\"");
        assert!(output.stderr.contains(&words), "{words}: {output:?}");
        assert!(!scene.path().join("state").exists(), "nothing was begun");
    }
}

#[test]
fn all_that_does_not_fit_is_told_at_once() {
    let scene = scene("[call]\nlissten = 1\ntimeout = \"soon\"\n\n[log]\nformat = \"xml\"\n");
    let output = refused(scene.path());
    assert_eq!(output.code, Some(2), "{output:?}");
    for place in ["host.toml:2", "host.toml:3", "host.toml:6"] {
        assert!(output.stderr.contains(place), "{place}: {output:?}");
    }
}

#[test]
fn the_environment_goes_before_the_file_and_the_command_line_before_both() {
    let scene = scene("[call]\nlisten = \"192.0.2.1:1\"\nmax_body = 1\n");
    let host = run(scene.path(), |command| {
        command
            .env("HOST__CALL__LISTEN", "127.0.0.1:0")
            .env("HOST__CALL__MAX_BODY", "1KiB");
    });
    assert!(host.call.starts_with("http://127.0.0.1:"), "{}", host.call);
    assert_eq!(host.post("steady", "increment", "[1,1]").body, "1");
    drop(host);
    let host = run(scene.path(), |command| {
        command.env("HOST__CALL__LISTEN", "192.0.2.1:2");
        on_any_port(command);
    });
    assert_eq!(host.post("steady", "total", "").status, 200);
}

#[test]
fn a_variable_that_is_no_setting_is_told_with_the_nearest_one() {
    let scene = scene("");
    let output = Command::new(tests::program())
        .args(["run", "plugins", "--listen", "127.0.0.1:0"])
        .env("HOST__CALL__LISSTEN", "127.0.0.1:0")
        .current_dir(scene.path())
        .output()
        .expect("the program can be run");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("HOST__CALL__LISSTEN"), "{words}");
    assert!(words.contains("did you mean HOST__CALL__LISTEN"), "{words}");
}
