//! The call listener among clients that dawdle and plugins that hang: everybody else is answered.

use std::{fs, path::Path, sync::mpsc, thread};
use tests::{Answer, Artifact, Connection, Hold, Inside, LIMIT, Program, until};

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A host that runs these guests with this configuration.
fn run(guests: &[&str], configuration: &str) -> (Program, tempfile::TempDir) {
    let plugins = tempfile::tempdir().expect("a temporary folder");
    for guest in guests {
        Artifact::of(guest).place(plugins.path());
    }
    let file = plugins.path().join("host.toml");
    fs::write(&file, configuration).expect("a configuration");
    let host = Program::start(&["run", path(plugins.path()), "--config", path(&file)]);
    (host, plugins)
}

/// Holds a call inside, made from a thread of its own; the answer comes through the channel.
fn hold_one(host: &Program, hold: &Hold, answers: &mpsc::Sender<Answer>) {
    let (address, answers) = (host.call.clone(), answers.clone());
    let arguments = String::from_utf8(hold.arguments()).expect("arguments in UTF-8");
    thread::spawn(move || {
        if let Ok(answer) = tests::request(&address, "POST", "/call/slow/hold", &arguments) {
            // An error means that the test has ended already.
            answers.send(answer).ok();
        }
    });
}

/// Calls that are inside on the listener's own threads.
fn inside_here(host: &Program) -> usize {
    let status = host.command(&["status", "slow", "--json"]).json();
    let inside = status["inside"].as_array().expect("those inside").clone();
    inside
        .iter()
        .filter(|call| call["thread"] == "host-http")
        .count()
}

/// Another plugin's calls are answered, on old connections and on new ones.
fn others_are_answered(host: &Program, before: u64) {
    let mut connection = Connection::open(&host.call).expect("a connection");
    for number in before + 1..=before + 20 {
        let answer = if number % 2 == 0 {
            host.post("steady", "increment", &format!("[1,{number}]"))
        } else {
            connection
                .send(
                    "POST",
                    "/call/steady/increment",
                    &[],
                    &format!("[1,{number}]"),
                )
                .expect("the connection is open");
            connection.receive().expect("an answer")
        };
        assert_eq!(answer.body, number.to_string(), "{answer:?}");
    }
    let answer = tests::request(&host.call, "GET", "/readyz", "").expect("an answer");
    assert_eq!(answer.status, 200);
}

/// The connection is ended by the host, which says nothing more.
fn is_cut_off(connection: &mut Connection) {
    let error = connection.receive().expect_err("it is cut off");
    assert!(
        error.to_string().contains("the connection ended"),
        "{error}"
    );
}

#[test]
fn a_plugin_whose_calls_hang_keeps_no_other_from_being_answered() {
    let (host, _plugins) = run(
        &["slow", "steady"],
        "[call]\nthreads = 3\nper_plugin = 2\nqueue = 4\n",
    );
    let hold = Hold::new();
    let (held, of_held) = mpsc::channel();
    // Two inside, and only then four that wait, and further ones that are turned away.
    let inside = [(); 2].map(|()| {
        hold_one(&host, &hold, &held);
        hold.wait()
    });
    for _ in 0..6 {
        hold_one(&host, &hold, &held);
    }
    for _ in 0..2 {
        let answer = of_held.recv_timeout(LIMIT).expect("in time");
        assert_eq!(answer.status, 429, "{answer:?}");
    }
    others_are_answered(&host, 0);
    drop(inside);
    for _ in 0..4 {
        drop(hold.wait());
    }
    for _ in 0..6 {
        let answer = of_held.recv_timeout(LIMIT).expect("in time");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn methods_that_were_short_and_then_hang_keep_no_other_from_being_answered() {
    let (host, _plugins) = run(&["slow", "steady"], "[call]\nthreads = 4\n");
    let hold = Hold::new();
    let (held, of_held) = mpsc::channel();
    let mut inside: Vec<Inside> = Vec::new();
    let places = thread::available_parallelism()
        .map_or(2, usize::from)
        .min(4);
    for taken in 1..=places {
        let here = until("a call hangs on a thread of the listener's", || {
            // Short ones, which refuse: there is no such socket.
            for _ in 0..20 {
                assert_eq!(host.post("slow", "hold", r#"["/nowhere"]"#).status, 422);
            }
            hold_one(&host, &hold, &held);
            let here = hold.wait();
            (inside_here(&host) == taken).then_some(here)
        });
        inside.push(here);
    }
    // All places on the listener's threads are taken: further calls go elsewhere, and hang there.
    hold_one(&host, &hold, &held);
    inside.push(hold.wait());
    assert_eq!(inside_here(&host), places);
    others_are_answered(&host, 0);
    drop(inside);
    for _ in 0..=places {
        let answer = of_held.recv_timeout(LIMIT).expect("in time");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    others_are_answered(&host, 20);
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_cut_off() {
    let (host, _plugins) = run(&["steady"], "[call]\nhead_timeout = \"300ms\"\n");
    let mut slow = Connection::open(&host.call).expect("a connection");
    slow.write("POST /call/steady/total HTTP/1.1\r\nhost: he")
        .expect("some of a head");
    is_cut_off(&mut slow);
    // Also behind a request that was answered.
    let mut slow = Connection::open(&host.call).expect("a connection");
    slow.send("POST", "/call/steady/total", &[], "")
        .expect("a request");
    assert_eq!(slow.receive().expect("an answer").body, "0");
    slow.write("POST /call").expect("some of a head");
    is_cut_off(&mut slow);
}

#[test]
fn a_body_that_does_not_come_to_its_end_is_408_and_nothing_is_executed() {
    let (host, _plugins) = run(&["steady"], "[call]\nbody_timeout = \"300ms\"\n");
    let mut slow = Connection::open(&host.call).expect("a connection");
    slow.write(
        "POST /call/steady/increment HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\n\r\n[1,",
    )
    .expect("some of a body");
    let answer = slow.receive().expect("an answer");
    assert_eq!(
        (answer.status, answer.error_kind().as_str()),
        (408, "body_too_slow")
    );
    is_cut_off(&mut slow);
    assert_eq!(host.post("steady", "total", "").body, "0");
}

#[test]
fn an_idle_connection_is_cut_off_and_one_that_waits_for_its_call_is_not() {
    let (host, _plugins) = run(&["slow"], "[call]\nidle_timeout = \"300ms\"\n");
    let hold = Hold::new();
    let (held, of_held) = mpsc::channel();
    hold_one(&host, &hold, &held);
    let inside = hold.wait();
    // Both were idle for longer than is allowed, one after the other, while the call was held.
    for _ in 0..2 {
        let mut idle = Connection::open(&host.call).expect("a connection");
        idle.send("POST", "/call/slow/held", &[], "")
            .expect("a request");
        assert_eq!(idle.receive().expect("an answer").body, "0");
        is_cut_off(&mut idle);
    }
    drop(inside);
    let answer = of_held.recv_timeout(LIMIT).expect("in time");
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_client_that_writes_all_of_too_large_a_body_first_reads_its_413() {
    let (host, _plugins) = run(&["steady"], "[call]\nmax_body = \"1KiB\"\n");
    let body = "x".repeat(8 << 20);
    let mut connection = Connection::open(&host.call).expect("a connection");
    connection
        .send("POST", "/call/steady/total", &[], &body)
        .expect("all of it is taken");
    let answer = connection.receive().expect("an answer");
    assert_eq!(
        (answer.status, answer.error_kind().as_str()),
        (413, "body_too_large")
    );
    connection
        .send("POST", "/call/steady/total", &[], "")
        .expect("the connection is open");
    assert_eq!(connection.receive().expect("an answer").body, "0");
}

#[test]
fn a_head_beyond_the_limit_is_431() {
    let (host, _plugins) = run(&["steady"], "[call]\nmax_head = \"8KiB\"\n");
    let mut connection = Connection::open(&host.call).expect("a connection");
    let long = "x".repeat(8 << 10);
    connection
        .send("POST", "/call/steady/total", &[("x-long", &long)], "")
        .expect("a request");
    assert_eq!(connection.receive().expect("an answer").status, 431);
}

#[test]
fn connections_beyond_the_limit_wait_until_another_has_ended() {
    let (host, _plugins) = run(&["steady"], "[call]\nmax_connections = 1\n");
    let mut first = Connection::open(&host.call).expect("a connection");
    let ask = |connection: &mut Connection| {
        connection
            .send("POST", "/call/steady/total", &[], "")
            .expect("a request");
    };
    ask(&mut first);
    assert_eq!(first.receive().expect("an answer").body, "0");
    let mut second = Connection::open(&host.call).expect("a connection");
    ask(&mut second);
    ask(&mut first);
    assert_eq!(first.receive().expect("an answer").body, "0");
    drop(first);
    assert_eq!(second.receive().expect("an answer").body, "0");
}

#[test]
fn the_command_line_shows_calls_and_how_long_they_took() {
    let (host, _plugins) = run(&["steady"], "");
    assert_eq!(host.post("steady", "increment", "[1,1]").status, 200);
    assert_eq!(host.post("steady", "increment", "[1,1]").status, 422);
    let status = host.command(&["status", "steady"]);
    assert!(
        status
            .stdout
            .contains("calls         2, errors: 1, panics: 0, in flight: 0"),
        "{status:?}"
    );
    assert!(status.stdout.contains("latency       p50 "), "{status:?}");
    let numbers = &host.command(&["status", "steady", "--json"]).json()["serving"]["numbers"];
    assert_eq!(
        (&numbers["calls"], &numbers["errors"]),
        (&2.into(), &1.into())
    );
    assert!(numbers["latency"]["p99_nanos"].is_u64(), "{numbers}");
    let list = host.command(&["list"]);
    let lines: Vec<Vec<&str>> = list
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let column = |name: &str| lines[0].iter().position(|heading| *heading == name);
    for (name, value) in [("CALLS", "2"), ("ERRORS", "1")] {
        let place = column(name).unwrap_or_else(|| panic!("no {name}: {list:?}"));
        // "0s ago" is two words.
        assert_eq!(lines[1][place + 1], value, "{list:?}");
    }
}
