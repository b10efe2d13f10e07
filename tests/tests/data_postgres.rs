//! Data from PostgreSQL: what every source has to go through, and what is particular to a database that notifies.

use host::{
    Host,
    config::SourceSetting,
    data::{Format, SourceState},
    event::Happening,
};
use std::time::Duration;
use tests::{
    event,
    sources::{
        Truth as _, certificates,
        postgres::Postgres,
        standing::{
            contains, follow, held, holds, lost, not_followed, number, refused, status, text,
        },
        trial,
    },
    until,
};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

#[test]
fn a_change_is_seen() {
    trial::a_change_is_seen(Postgres::start(EXAMINER), EXAMINER);
}

#[test]
fn what_comes_twice_is_one_revision() {
    trial::what_comes_twice_is_one_revision(Postgres::start(EXAMINER), EXAMINER);
}

#[test]
fn garbage_is_refused_and_the_last_good_serves() {
    trial::garbage_is_refused_and_the_last_good_serves(Postgres::start(EXAMINER), EXAMINER);
}

#[test]
fn a_burst_comes_down_to_the_last() {
    trial::a_burst_comes_down_to_the_last(Postgres::start(EXAMINER), EXAMINER, number);
}

#[test]
fn a_killed_server_is_followed_again() {
    trial::a_killed_server_is_followed_again(Postgres::start(EXAMINER), EXAMINER, number);
}

#[test]
fn cut_connections_lose_nothing() {
    trial::cut_connections_lose_nothing(Postgres::start(EXAMINER), EXAMINER, number);
}

#[test]
fn a_silent_connection_is_noticed() {
    trial::a_silent_connection_is_noticed(Postgres::start(EXAMINER), EXAMINER);
}

#[test]
fn a_host_starts_without_its_source() {
    trial::a_host_starts_without_its_source(Postgres::start(EXAMINER), EXAMINER);
}

#[test]
fn what_changed_meanwhile_is_there() {
    trial::what_changed_meanwhile_is_there(Postgres::start(EXAMINER), EXAMINER);
}

#[test]
fn what_commits_late_is_seen_though_a_later_number_was_seen_before() {
    let mut truth = Postgres::start(EXAMINER);
    truth.execute("insert into rates (number) values ('0')");
    let query = "select sum(number::bigint)::bigint as number from rates";
    let (_scene, host, _) = follow(truth.followed(&[("query", text(query))]), EXAMINER);
    holds(&host, 0);
    let (mut early, mut late) = (truth.connect(), truth.connect());
    let mut early = early.transaction().expect("it begins");
    early
        .batch_execute("update rates set number = '1' where id = 1")
        .expect("it is updated");
    late.batch_execute("update rates set number = '20' where id = 2")
        .expect("it is updated");
    holds(&host, 20);
    let cursor = |host: &Host| host.data("rates").map(|it| it.record.origin.to_string());
    let before = cursor(&host);
    early.commit().expect("it is committed");
    holds(&host, 21);
    // The last number is that of the change which committed first.
    assert_eq!(cursor(&host), before);
}

#[test]
fn what_is_rolled_back_is_no_revision_and_what_is_truncated_is_one() {
    let mut truth = Postgres::start(EXAMINER);
    let (_scene, host, _) = follow(truth.followed(&[]), EXAMINER);
    holds(&host, 0);
    truth.execute("begin; update rates set number = '1'; rollback");
    truth.execute("begin; savepoint s; update rates set number = '2'; rollback to s; commit");
    truth.execute("update rates set number = '3'");
    holds(&host, 3);
    assert_eq!(host.data("rates").map(|it| it.record.number), Some(2));
    truth.execute("truncate rates");
    contains(&host, &serde_json::json!([]));
    truth.execute("insert into rates (number) values ('4')");
    holds(&host, 4);
    truth
        .execute("copy rates (number) from program 'echo 5'; delete from rates where number = '4'");
    holds(&host, 5);
}

#[test]
fn a_query_that_cannot_be_read_is_refused_in_words_and_the_last_good_serves() {
    let mut truth = Postgres::start(EXAMINER);
    let mut dataset = truth.followed(&[]);
    dataset.poll = Duration::from_millis(50);
    let (_scene, host, _) = follow(dataset, EXAMINER);
    truth.put(1);
    holds(&host, 1);
    truth.execute("alter table rates rename number to rate");
    let reason = refused(&host, "column \"number\" does not exist");
    assert!(reason.contains("fails at character 8"), "{reason}");
    truth.execute("alter table rates rename rate to number");
    truth.put(2);
    holds(&host, 2);
    truth.execute("alter table rates rename to others");
    refused(&host, "there is no table rates");
    assert_eq!(held(&host), Some(2));
    truth.execute("alter table others rename to rates");
    until("nothing is refused", || {
        status(&host).refusal.is_none().then_some(())
    });
    truth.put(3);
    holds(&host, 3);
    let state = status(&host).source.map(|source| source.state);
    assert_eq!(state, Some(SourceState::Healthy));
}

#[test]
fn settings_that_do_not_fit_are_refused_in_words() {
    let mut truth = Postgres::start(EXAMINER);
    truth.execute("insert into rates (number) values ('0')");
    for (settings, part) in [
        (
            vec![("query", text("select 1 as a, 2 as a"))],
            "two columns \"a\"",
        ),
        (
            vec![("query", text("select $1::int as a"))],
            "has parameters",
        ),
        (
            vec![("query", text("select 1; select 2"))],
            "multiple commands",
        ),
        (
            vec![("query", text("delete from rates returning id"))],
            "syntax error",
        ),
        (
            vec![("query", text("select nextval('rates_id_seq') as a"))],
            "in a read-only transaction",
        ),
        (
            vec![
                ("query", text("select pg_sleep(60)")),
                (
                    "timeout",
                    SourceSetting::Duration(Duration::from_millis(100)),
                ),
            ],
            "statement timeout",
        ),
        (
            vec![("key", text("name"))],
            "the key \"name\" is none of the query's columns: number",
        ),
        (vec![("key", text("number"))], "1 rows have a \"number\""),
        (
            vec![("table", text("nothing"))],
            "there is no table nothing",
        ),
        (vec![("table", text("a b"))], "finding the table a b"),
        (vec![("channel", text(&"x".repeat(64)))], "too long a name"),
    ] {
        let (_scene, host, _) = follow(truth.followed(&settings), EXAMINER);
        refused(&host, part);
    }
    let mut dataset = truth.followed(&[("query", text("select repeat('x', 1000000) as a"))]);
    dataset.max_bytes = 1_000;
    let (_scene, host, _) = follow(dataset, EXAMINER);
    refused(&host, "max_bytes");
    let mut dataset = truth.followed(&[]);
    dataset.format = Format::Toml;
    let error = not_followed(dataset, EXAMINER);
    assert!(error.contains("is JSON; leave out `format`"), "{error}");
}

#[test]
fn rows_are_objects_in_the_order_of_the_query_or_under_their_key() {
    let mut truth = Postgres::start(EXAMINER);
    truth.execute(
        "create table prices (code text, price numeric(30, 10), since timestamptz, tags jsonb, ok bool, id uuid);
         insert into prices values
         ('b', 12345678901234567890.0123456789, '2026-11-25 12:00:00+02', '{\"a\": [1, null]}', true,
          '00000000-0000-0000-0000-000000000001'),
         ('a', 1.5, null, '[]', false, null)",
    );
    let settings = [
        ("table", text("prices")),
        (
            "query",
            text("select * from prices -- all\norder by price; \n"),
        ),
    ];
    let (_scene, host, _) = follow(truth.followed(&settings), EXAMINER);
    let b = serde_json::json!({"code": "b", "price": 12345678901234567890.0123456789_f64,
        "since": "2026-11-25T10:00:00+00:00", "tags": {"a": [1, null]}, "ok": true,
        "id": "00000000-0000-0000-0000-000000000001"});
    let a = serde_json::json!({"code": "a", "price": 1.5, "since": null, "tags": [], "ok": false, "id": null});
    contains(&host, &serde_json::json!([a, b]));
    let held = host.data("rates").expect("it is held");
    let whole = String::from_utf8_lossy(&held.content).into_owned();
    assert!(whole.contains("12345678901234567890.0123456789"), "{whole}");
    let settings = [&settings[..], &[("key", text("code"))]].concat();
    let (_scene, host, _) = follow(truth.followed(&settings), EXAMINER);
    contains(&host, &serde_json::json!({"a": a, "b": b}));
}

#[test]
fn a_source_that_is_lost_says_why_without_the_password() {
    const WRONG: &str = "wr0ng";
    let mut truth = Postgres::start(EXAMINER);
    truth.execute(&format!("create role ada login password '{WRONG}er'"));
    let port = truth.port();
    let url = |user: &str, port: u16| {
        let url = format!("postgres://{user}:{WRONG}@localhost:{port}/postgres?sslmode=disable");
        SourceSetting::Secret(host::config::Secret::new(url))
    };
    let (_scene, host, events) = follow(truth.followed(&[("url", url("ada", port))]), EXAMINER);
    let reason = lost(&host, "password authentication failed");
    assert!(
        reason.contains(&format!("connecting to localhost:{port}")),
        "{reason}"
    );
    event(&events, "the loss", |what| {
        matches!(what, Happening::SourceLost { .. })
    });
    let error = host
        .data_triggers("rates", false, false)
        .expect_err("it fails");
    let told = format!(
        "{:?} {:?} {error:?} {error}",
        host.datasets(),
        host.events()
    );
    assert!(!told.contains(WRONG), "{told}");
    let closed = tests::sources::free_port();
    let (_scene, host, _) = follow(truth.followed(&[("url", url("ada", closed))]), EXAMINER);
    lost(&host, "Connection refused");
    // Who may not read the table is told so, and who may not install triggers too.
    truth.execute(&format!("alter role ada password '{WRONG}'"));
    let (_scene, host, _) = follow(truth.followed(&[("url", url("ada", port))]), EXAMINER);
    refused(&host, "permission denied for table rates");
    let error = host
        .data_triggers("rates", false, false)
        .expect_err("it fails");
    assert!(error.to_string().contains("--dry-run"), "{error}");
    // An operator's hand is a loss with a word.
    let (_scene, host, events) = follow(truth.followed(&[]), EXAMINER);
    holds(&host, 0);
    truth.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'host'",
    );
    let loss = event(&events, "the loss", |what| {
        matches!(what, Happening::SourceLost { .. })
    });
    assert!(
        format!("{loss:?}").contains("administrator command"),
        "{loss:?}"
    );
}

#[test]
fn tls_is_spoken_and_a_certificate_that_nobody_vouches_for_is_refused() {
    let mut truth = Postgres::start(EXAMINER);
    let authority = truth.speak_tls();
    let file = |path: &std::path::Path| ("ca_file", SourceSetting::Path(path.to_owned()));
    let (scene, host, _) = follow(truth.followed(&[file(&authority)]), EXAMINER);
    truth.put(1);
    holds(&host, 1);
    let encrypted = "select count(*) from pg_stat_ssl s join pg_stat_activity a using (pid) \
                     where s.ssl and a.application_name = 'host'";
    assert_eq!(truth.count(encrypted), 1);
    drop(host);
    // Another authority, none of the system's, and files that hold none.
    let other = scene.elsewhere();
    std::fs::create_dir(&other).expect("it is made");
    certificates::make(&other);
    let [_, key] = certificates::server(&other);
    for (settings, part) in [
        (
            vec![file(&certificates::authority(&other))],
            "the server's certificate is not trusted",
        ),
        (
            vec![],
            "name its CA in ca_file, or forgo TLS by ?sslmode=disable",
        ),
        (vec![file(&key)], "holds no certificate in PEM"),
        (
            vec![file(&other.join("none"))],
            "reading the certificates of ca_file",
        ),
    ] {
        let (_scene, host, _) = follow(truth.followed(&settings), EXAMINER);
        lost(&host, part);
    }
    // Who names an authority is not content without it.
    truth.execute("alter system set ssl = off");
    truth.execute("select pg_reload_conf()");
    let (_scene, host, _) = follow(truth.followed(&[file(&authority)]), EXAMINER);
    lost(&host, "TLS");
}

#[test]
fn a_server_that_wants_a_certificate_of_the_client_is_shown_it() {
    let mut truth = Postgres::start(EXAMINER);
    let authority = truth.speak_tls();
    let [certificate, key] = truth.ask_for_certificates(certificates::CLIENT);
    let url = format!(
        "postgres://{}@127.0.0.1:{}/postgres",
        certificates::CLIENT,
        truth.port()
    );
    let url = SourceSetting::Secret(host::config::Secret::new(url));
    let file = |path: &std::path::Path| SourceSetting::Path(path.to_owned());
    let anonymous = [("url", url), ("ca_file", file(&authority))];
    let with = |certificate: &std::path::Path, key: &std::path::Path| {
        let own = [("cert_file", file(certificate)), ("key_file", file(key))];
        [&anonymous[..], &own].concat()
    };
    let (_scene, host, _) = follow(truth.followed(&with(&certificate, &key)), EXAMINER);
    truth.put(1);
    holds(&host, 1);
    let [_, other_key] = certificates::server(authority.parent().expect("it is in a folder"));
    let none = authority.with_file_name("none.pem");
    for (settings, part) in [
        (anonymous.to_vec(), "valid client certificate"),
        (with(&certificate, &other_key), "using cert_file"),
        (with(&key, &key), "holds no certificate in PEM"),
        (with(&certificate, &none), "reading key_file"),
    ] {
        let (_scene, host, _) = follow(truth.followed(&settings), EXAMINER);
        lost(&host, part);
    }
    let half = [&anonymous[..], &[("cert_file", file(&certificate))]].concat();
    let error = not_followed(truth.followed(&half), EXAMINER);
    assert!(error.contains("name the other too"), "{error}");
}
