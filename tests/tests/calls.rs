//! Calls over HTTP at their limits: bodies, queues, times, connections, and what is told of them while a host ends.

use std::{fs, path::Path, sync::mpsc, thread};
use tests::{Answer, Artifact, Connection, Hold, LIMIT, Program, until};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A host that runs these guests with this configuration.
struct Stage {
    host: Program,
    plugins: tempfile::TempDir,
}

fn run(guests: &[&str], configuration: &str) -> Stage {
    let plugins = folder();
    for guest in guests {
        Artifact::of(guest).place(plugins.path());
    }
    let file = plugins.path().join("host.toml");
    fs::write(&file, configuration).expect("a configuration");
    let host = Program::start(&["run", path(plugins.path()), "--config", path(&file)]);
    Stage { host, plugins }
}

fn ask(host: &Program, method: &str, path: &str) -> Answer {
    tests::request(&host.call, method, path, "").expect("an answer")
}

/// Calls from a thread of its own; the answer comes through the channel.
fn post_beside(
    host: &Program,
    method: &str,
    body: &str,
    answers: &mpsc::Sender<std::io::Result<Answer>>,
) {
    let (address, path) = (host.call.clone(), format!("/call/slow/{method}"));
    let (body, answers) = (body.to_owned(), answers.clone());
    thread::spawn(move || {
        // An error means that the test has ended already.
        answers
            .send(tests::request(&address, "POST", &path, &body))
            .ok();
    });
}

fn arguments(hold: &Hold) -> String {
    String::from_utf8(hold.arguments()).expect("arguments in UTF-8")
}

fn next(answers: &mpsc::Receiver<std::io::Result<Answer>>) -> Answer {
    let answer = answers.recv_timeout(LIMIT).expect("an answer in time");
    answer.expect("an answer")
}

#[test]
fn a_body_beyond_the_limit_is_413_and_nothing_is_executed() {
    let stage = run(&["steady"], "[call]\nmax_body = 32\n");
    let (host, fitting) = (&stage.host, format!("{:32}", "[1,1]"));
    let over = format!("{fitting} ");
    let answer = host.post("steady", "increment", &over);
    assert_eq!(
        (answer.status, answer.error_kind().as_str()),
        (413, "body_too_large")
    );
    let mut connection = Connection::open(&host.call).expect("a connection");
    let pieces = format!("20\r\n{fitting}\r\n1\r\n \r\n0\r\n\r\n");
    let head = "POST /call/steady/increment HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked";
    connection
        .write(&format!("{head}\r\n\r\n{pieces}"))
        .expect("a request in pieces");
    let answer = connection.receive().expect("an answer");
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(host.post("steady", "total", "").body, "0");
    assert_eq!(host.post("steady", "increment", &fitting).body, "1");
}

#[test]
fn a_call_beyond_a_full_queue_is_429_and_told_when_to_come_back() {
    let stage = run(&["slow"], "[call]\nthreads = 1\nqueue = 1\n");
    let host = &stage.host;
    let hold = Hold::new();
    let (held, of_held) = mpsc::channel();
    post_beside(host, "hold", &arguments(&hold), &held);
    let inside = hold.wait();
    // There is room for one of the two, and it has to wait: the other is answered first.
    let (waiting, of_waiting) = mpsc::channel();
    post_beside(host, "held", "", &waiting);
    post_beside(host, "held", "", &waiting);
    let refused = next(&of_waiting);
    assert_eq!(
        (refused.status, refused.error_kind().as_str()),
        (429, "busy")
    );
    assert_eq!(refused.header("retry-after"), Some("1"), "{refused:?}");
    let command = host.command(&["call", "slow", "held", "--json"]);
    assert_eq!(command.code, Some(4), "{command:?}");
    assert_eq!(command.json_error()["kind"], "busy");
    // The administration is not behind that queue.
    assert_eq!(host.command(&["status", "slow"]).code, Some(0));
    drop(inside);
    assert_eq!(next(&of_held).status, 200);
    assert_eq!(next(&of_waiting).body, "0");
}

#[test]
fn a_call_beyond_its_time_is_504_and_executed_once_all_the_same() {
    let stage = run(&["slow"], "[call]\ntimeout = \"300ms\"\n");
    let host = &stage.host;
    let hold = Hold::new();
    let answer = host.post("slow", "hold_alone", &arguments(&hold));
    assert_eq!(
        (answer.status, answer.error_kind().as_str()),
        (504, "timed_out")
    );
    assert!(
        answer.json()["error"]["message"]
            .as_str()
            .is_some_and(
                |message| message.contains("slow.hold_alone") && message.contains("unknown")
            )
    );
    drop(hold.wait());
    // A second execution would be at the socket by now, alone inside.
    let held = until("the call has ended", || {
        let answer = host.post("slow", "held", "");
        (answer.status == 200 && answer.body != "0").then_some(answer.body)
    });
    assert_eq!(held, "1");
}

#[test]
fn a_call_of_the_command_line_beyond_its_time_ends_with_4() {
    let stage = run(&["slow"], "[call]\ntimeout = \"300ms\"\n");
    let hold = Hold::new();
    let command = stage
        .host
        .command(&["call", "slow", "hold", &arguments(&hold), "--json"]);
    assert_eq!(command.code, Some(4), "{command:?}");
    assert_eq!(command.json_error()["kind"], "timed_out");
}

#[test]
fn another_method_is_405_with_those_that_are_allowed() {
    let stage = run(&[], "");
    for (method, path, allowed) in [
        ("GET", "/call/steady/total", "POST"),
        ("DELETE", "/call/steady/total", "POST"),
        ("POST", "/livez", "GET,HEAD"),
        ("POST", "/readyz", "GET,HEAD"),
    ] {
        let answer = ask(&stage.host, method, path);
        assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        assert_eq!(answer.error_kind(), "wrong_method");
    }
}

#[test]
fn an_unknown_path_is_404_in_json() {
    let stage = run(&[], "");
    // What the admin socket answers is not answered here.
    for path in [
        "/",
        "/call",
        "/call/steady",
        "/call/a/b/c",
        "/plugins",
        "/status",
    ] {
        for method in ["GET", "POST"] {
            let answer = ask(&stage.host, method, path);
            assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
            assert_eq!(answer.error_kind(), "unknown_path");
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }
}

#[test]
fn a_connection_stays_open_for_many_requests_also_behind_errors() {
    let stage = run(&["steady"], "");
    let mut connection = Connection::open(&stage.host.call).expect("a connection");
    let mut post = |path: &str, body: &str| {
        connection
            .send("POST", path, &[], body)
            .expect("the connection is open");
        connection.receive().expect("an answer")
    };
    for number in 1..=20 {
        let answer = post("/call/steady/increment", &format!("[1,{number}]"));
        assert_eq!(answer.body, number.to_string());
    }
    assert_eq!(post("/call/steady/increment", "[1,7]").status, 422);
    assert_eq!(post("/call/steady/nothing", "").status, 404);
    assert_eq!(post("/nowhere", "").status, 404);
    assert_eq!(post("/livez", "").status, 405);
    assert_eq!(post("/call/steady/total", "").body, "20");
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order() {
    let stage = run(&["steady"], "");
    let mut connection = Connection::open(&stage.host.call).expect("a connection");
    let requests: String = (1..=20)
        .map(|number| {
            let body = format!("[1,{number}]");
            format!(
                "POST /call/steady/increment HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        })
        .collect();
    connection.write(&requests).expect("all of them are sent");
    for number in 1..=20 {
        let answer = connection.receive().expect("an answer");
        assert_eq!(answer.body, number.to_string(), "{answer:?}");
    }
}

#[test]
fn an_ending_host_refuses_new_calls_and_lets_those_inside_finish() {
    let Stage { host, plugins } = run(&["slow"], "[plugins]\ndrain_deadline = \"60s\"\n");
    let hold = Hold::new();
    let (held, of_held) = mpsc::channel();
    post_beside(&host, "hold_alone", &arguments(&hold), &held);
    let inside = hold.wait();
    let mut open = Connection::open(&host.call).expect("a connection from before");
    host.signal("TERM");
    let refused = until("new calls are refused", || {
        let answer = ask(&host, "GET", "/readyz");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(refused.error_kind(), "not_serving");
    assert_eq!(refused.header("retry-after"), Some("1"), "{refused:?}");
    let answer = host.post("slow", "held", "");
    assert_eq!(answer.status, 503, "{answer:?}");
    open.send("POST", "/call/slow/held", &[], "")
        .expect("the connection is open");
    assert_eq!(open.receive().expect("an answer").status, 503);
    assert_eq!(ask(&host, "GET", "/livez").status, 200);
    let status = host.command(&["status", "--json"]);
    assert_eq!(status.json()["shutting_down"], true, "{status:?}");
    drop(inside);
    let answer = next(&of_held);
    assert_eq!((answer.status, answer.body.as_str()), (200, "1"));
    let (status, state) = host.wait();
    assert_eq!(status.code(), Some(0), "{status:?}");
    let host = Program::start_in(state, &["run", path(plugins.path())]);
    assert_eq!(host.post("slow", "held", "").body, "1");
}

#[test]
fn a_call_held_beyond_the_deadline_makes_the_host_end_with_4() {
    let Stage { host, .. } = run(&["slow"], "[plugins]\ndrain_deadline = \"300ms\"\n");
    let hold = Hold::new();
    let (held, _of_held) = mpsc::channel();
    post_beside(&host, "hold_alone", &arguments(&hold), &held);
    let _inside = hold.wait();
    host.signal("TERM");
    assert!(
        host.line("these states were not saved").contains("slow"),
        "it names the plugin"
    );
    let (status, _) = host.wait();
    assert_eq!(status.code(), Some(4), "{status:?}");
}

#[test]
fn a_second_signal_ends_an_ending_host_at_once_with_4() {
    let Stage { host, .. } = run(&["slow"], "[plugins]\ndrain_deadline = \"1h\"\n");
    let hold = Hold::new();
    let (held, _of_held) = mpsc::channel();
    post_beside(&host, "hold_alone", &arguments(&hold), &held);
    let _inside = hold.wait();
    host.signal("TERM");
    until("new calls are refused", || {
        (ask(&host, "GET", "/readyz").status == 503).then_some(())
    });
    host.signal("INT");
    let (status, _) = host.wait();
    assert_eq!(status.code(), Some(4), "{status:?}");
}
