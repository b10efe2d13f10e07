//! Data as an operator sees it: the command line and the admin API, history and rollback, and the end by `kill -9`.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};
use tests::{Artifact, Connection, Output, Program, until};

const TOKEN: &str = "0f4c2a";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A folder with a guest, this content of `rates.json`, and a configuration that declares it and `limits`.
fn scene(rates: &str) -> tempfile::TempDir {
    let scene = folder();
    Artifact::of("steady").place(&scene.path().join("plugins"));
    write(scene.path(), "rates.json", rates);
    write(scene.path(), "token", TOKEN);
    let configuration = "[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n\
                         [data.limits]\nformat = \"toml\"\n\
                         [data.rates]\nrequired = true\nrequired_within = \"60s\"\n\
                         source = { kind = \"file\", path = \"rates.json\" }\n";
    write(scene.path(), "host.toml", configuration);
    scene
}

fn write(folder: &Path, name: &str, content: &str) {
    let new = folder.join(format!("{name}.new"));
    fs::write(&new, content).expect("it is written");
    fs::rename(new, folder.join(name)).expect("it is renamed");
}

fn run(scene: &Path, state: tempfile::TempDir) -> Program {
    Program::start_with(state, |command| {
        command
            .current_dir(scene)
            .args(["run", "plugins", "--listen", "127.0.0.1:0"]);
    })
}

/// What `host data ARGUMENTS` writes; it must succeed.
fn data(host: &Program, arguments: &[&str]) -> Output {
    let arguments = [&["data"], arguments].concat();
    let output = host.command(&arguments);
    assert_eq!(output.code, Some(0), "{arguments:?}: {output:?}");
    output
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// Waits until the host holds this content of `rates`.
fn holds(host: &Program, expected: &str) {
    until(&format!("the host holds {expected}"), || {
        (data(host, &["get", "rates"]).stdout == expected).then_some(())
    });
}

#[test]
fn the_command_line_reads_changes_and_goes_back() {
    let scene = scene("{\"EUR\": 1}");
    let host = run(scene.path(), folder());
    holds(&host, "{\"EUR\": 1}");
    let list = data(&host, &["list"]).stdout;
    assert!(list.contains("rates") && list.contains("limits"), "{list}");
    write(scene.path(), "new.json", "{\"EUR\": 2}");
    let put = data(&host, &["put", "rates", &path(scene.path(), "new.json")]);
    assert_eq!(put.stdout, "rates → revision 2 is published\n");
    let again = data(&host, &["put", "rates", &path(scene.path(), "new.json")]);
    assert_eq!(
        again.stdout,
        "rates holds this content already, as revision 2\n"
    );
    let diff = data(&host, &["diff", "rates", "1", "2"]).stdout;
    assert!(diff.contains("-  \"EUR\": 1\n+  \"EUR\": 2"), "{diff}");
    let back = data(&host, &["rollback", "rates"]);
    assert_eq!(back.stdout, "rates → revision 3 is published\n");
    let old = data(&host, &["get", "rates", "--revision", "2", "--json"]).json();
    assert_eq!(
        (&old["revision"], &old["content"]["EUR"]),
        (&2.into(), &2.into())
    );
    let history = data(&host, &["history", "rates", "--json"]).json();
    let history = history["revisions"].as_array().expect("a list");
    let origins: Vec<_> = history
        .iter()
        .map(|it| it["origin"]["by"].as_str())
        .collect();
    assert_eq!(
        origins,
        [Some("rollback"), Some("operator"), Some("source")]
    );
    let status = host.command(&["status"]).stdout;
    assert!(
        status.contains("rates revision 3 from rollback to 1"),
        "{status}"
    );
    data(&host, &["put", "rates", &path(scene.path(), "new.json")]);
    write(scene.path(), "rates.json", "{\"EUR\": 3}");
    holds(&host, "{\"EUR\": 3}");
    let events = host.command(&["events"]).stdout;
    assert!(
        events.contains("it overtakes what an operator had set"),
        "{events}"
    );
}

#[test]
fn a_pin_holds_against_the_source_until_it_is_lifted() {
    let scene = scene("1");
    let host = run(scene.path(), folder());
    holds(&host, "1");
    write(scene.path(), "rates.json", "2");
    holds(&host, "2");
    data(&host, &["rollback", "rates", "--to", "1", "--pin"]);
    write(scene.path(), "rates.json", "3");
    let list = data(&host, &["list"]).stdout;
    assert!(list.contains("rolled back to 1; pinned"), "{list}");
    assert_eq!(data(&host, &["get", "rates"]).stdout, "1");
    data(&host, &["rollback", "rates", "--to", "3"]);
    holds(&host, "3");
    let list = data(&host, &["list", "--json"]).json();
    assert_eq!(list["datasets"][1]["pinned"], false);
    let events = host.command(&["events"]).stdout;
    assert!(events.contains("rates is no longer pinned"), "{events}");
}

#[test]
fn several_datasets_change_together_or_not_at_all() {
    let scene = scene("1");
    let host = run(scene.path(), folder());
    holds(&host, "1");
    write(scene.path(), "new.json", "2");
    write(scene.path(), "limits.toml", "most = ?\n");
    let (json, toml) = (
        path(scene.path(), "new.json"),
        path(scene.path(), "limits.toml"),
    );
    let both = ["data", "put", "rates", &json, "limits", &toml];
    let refused = host.command(&both);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("data \"limits\" is not changed: line 1 column 8"),
        "{refused:?}"
    );
    assert_eq!(data(&host, &["get", "rates"]).stdout, "1");
    write(scene.path(), "limits.toml", "most = 5\n");
    assert_eq!(host.command(&both).code, Some(0));
    assert_eq!(data(&host, &["get", "rates"]).stdout, "2");
    assert_eq!(data(&host, &["get", "limits"]).stdout, "most = 5\n");
}

#[test]
fn failures_have_exit_codes_and_kinds_for_scripts() {
    let scene = scene("1");
    let host = run(scene.path(), folder());
    holds(&host, "1");
    write(scene.path(), "bad.json", "{");
    let bad = path(scene.path(), "bad.json");
    for (arguments, code, kind) in [
        (vec!["get", "nothing"], 1, "unknown_dataset"),
        (vec!["get", "limits"], 1, "unknown_revision"),
        (
            vec!["get", "rates", "--revision", "9"],
            1,
            "unknown_revision",
        ),
        (vec!["rollback", "rates"], 1, "unknown_revision"),
        (vec!["put", "rates", &bad], 1, "refused"),
        (vec!["put", "rates", "/nowhere"], 1, "no_file"),
        (vec!["put", "rates", &bad, "limits"], 2, "usage"),
        (vec!["put", "rates"], 2, "usage"),
    ] {
        let arguments = [vec!["--json", "data"], arguments].concat();
        let output = host.command(&arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}: {output:?}");
        assert_eq!(output.json_error()["kind"], kind, "{arguments:?}");
    }
    assert_eq!(data(&host, &["get", "rates"]).stdout, "1");
}

#[test]
fn over_http_contents_come_and_go_as_they_are() {
    let scene = scene("1");
    let host = run(scene.path(), folder());
    let line = host.line("the admin API answers over TCP");
    let address = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("address="));
    let bearer = format!("Bearer {TOKEN}");
    let ask = |method, path, body| {
        let mut connection = Connection::open(address.expect("it is said")).expect("a connection");
        connection
            .send(method, path, &[("authorization", &bearer)], body)
            .expect("a request");
        connection.receive().expect("an answer")
    };
    holds(&host, "1");
    let put = ask("PUT", "/data/rates?who=ada", "{\"EUR\":  2}");
    assert_eq!((put.status, &put.json()["revision"]), (200, &2.into()));
    let read = ask("GET", "/data/rates", "");
    assert_eq!((read.status, read.body.as_str()), (200, "{\"EUR\":  2}"));
    assert_eq!(read.header("x-data-revision"), Some("2"));
    assert_eq!(read.header("x-data-origin"), Some("ada"));
    assert_eq!(read.header("content-type"), Some("application/json"));
    assert_eq!(ask("GET", "/data/rates?revision=1", "").body, "1");
    let refused = ask("PUT", "/data/rates", "?");
    assert_eq!(
        (refused.status, refused.error_kind().as_str()),
        (422, "refused")
    );
    let both = ask("POST", "/data", r#"{"rates": "3", "limits": "most = 1"}"#);
    assert_eq!(both.status, 200, "{both:?}");
    let back = ask("POST", "/data/rates/rollback", r#"{"to": 1, "pin": true}"#);
    assert_eq!((back.status, &back.json()["changed"]), (200, &true.into()));
    let history = ask("GET", "/data/rates/history?limit=1", "").json();
    assert_eq!(history["revisions"][0]["origin"]["to"], 1);
    assert_eq!(
        ask("GET", "/data", "").json()["datasets"][1]["pinned"],
        true
    );
    assert_eq!(ask("GET", "/data/nothing", "").status, 404);
    assert_eq!(ask("GET", "/data/rates?revision=99", "").status, 404);
}

/// The revisions on disk: number and digest, oldest first.
fn history(host: &Program) -> Vec<(u64, String)> {
    let history = data(host, &["history", "rates", "--limit", "1000", "--json"]).json();
    let revisions = history["revisions"].as_array().expect("a list").clone();
    let mut history: Vec<(u64, String)> = revisions
        .iter()
        .map(|it| {
            let number = it["number"].as_u64().expect("a number");
            (number, it["hash"].as_str().expect("a digest").to_owned())
        })
        .collect();
    history.reverse();
    history
}

#[test]
fn after_kill_9_during_publishes_nothing_is_half_and_no_number_means_two_contents() {
    const KILLS: usize = 8;
    let scene = scene("[0]");
    let mut state = folder();
    let mut seen: BTreeMap<u64, String> = BTreeMap::new();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0;
            while !ended.load(Ordering::Relaxed) {
                number += 1;
                write(scene.path(), "rates.json", &format!("[{number}]"));
            }
        });
        for _ in 0..KILLS {
            let host = run(scene.path(), std::mem::replace(&mut state, folder()));
            let first = history(&host);
            let newest_before = seen.keys().next_back().copied().unwrap_or_default();
            // It publishes on: the kill comes in the middle of it.
            let last = until("several are published", || {
                let history = history(&host);
                let new = history.last()?.0;
                (new > newest_before + 20).then_some(history)
            });
            assert!(last.is_sorted_by(|older, newer| older.0 < newer.0));
            for (number, hash) in first.into_iter().chain(last) {
                let before = seen.insert(number, hash.clone());
                assert!(before.is_none_or(|before| before == hash), "{number}");
            }
            host.signal("KILL");
            state = host.wait().1;
        }
        ended.store(true, Ordering::Relaxed);
        writer.join().expect("it writes to the end");
    });
    let truth = fs::read_to_string(scene.path().join("rates.json")).expect("it is read");
    let host = run(scene.path(), state);
    holds(&host, &truth);
    for (number, hash) in history(&host) {
        let content = data(
            &host,
            &["get", "rates", "--revision", &number.to_string(), "--json"],
        );
        assert_eq!(content.json()["hash"], hash.as_str());
        assert!(content.json()["content"][0].is_number(), "{content:?}");
    }
}
