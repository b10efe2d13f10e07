//! Data from SQLite: what every source has to go through that needs no server, and what is particular to a database in a
//! file.

use host::{config::SourceSetting, data::Format};
use std::{env, fs, path::Path, process::Command, time::Duration};
use tests::sources::{
    Truth as _,
    sqlite::{Journal, Sqlite, create},
    standing::{contains, follow, held, holds, is_well, not_followed, number, refused, text},
    trial,
};
use tests::until;

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");
const JOURNALS: [Journal; 2] = [Journal::Wal, Journal::Delete];

#[test]
fn a_change_is_seen() {
    for journal in JOURNALS {
        trial::a_change_is_seen(Sqlite::start(journal, EXAMINER), EXAMINER);
        trial::a_change_is_seen(Sqlite::without_triggers(journal), EXAMINER);
    }
}

#[test]
fn what_comes_twice_is_one_revision() {
    for journal in JOURNALS {
        trial::what_comes_twice_is_one_revision(Sqlite::start(journal, EXAMINER), EXAMINER);
    }
}

#[test]
fn garbage_is_refused_and_the_last_good_serves() {
    for journal in JOURNALS {
        let truth = Sqlite::start(journal, EXAMINER);
        trial::garbage_is_refused_and_the_last_good_serves(truth, EXAMINER);
    }
}

#[test]
fn a_burst_comes_down_to_the_last() {
    for journal in JOURNALS {
        let truth = Sqlite::start(journal, EXAMINER);
        trial::a_burst_comes_down_to_the_last(truth, EXAMINER, number);
    }
}

#[test]
fn what_changed_meanwhile_is_there() {
    for journal in JOURNALS {
        trial::what_changed_meanwhile_is_there(Sqlite::start(journal, EXAMINER), EXAMINER);
    }
}

#[test]
fn what_is_rolled_back_is_no_revision() {
    for journal in JOURNALS {
        let mut truth = Sqlite::start(journal, EXAMINER);
        let (_scene, host, _) = follow(truth.followed(&[]), EXAMINER);
        holds(&host, 0);
        truth.execute("begin; update rates set number = 1; rollback");
        truth.execute("begin; savepoint s; update rates set number = 2; rollback to s; commit");
        truth.put(3);
        holds(&host, 3);
        assert_eq!(host.data("rates").map(|it| it.record.number), Some(2));
        truth.execute("delete from rates");
        contains(&host, &serde_json::json!([]));
    }
}

#[test]
fn another_file_in_its_place_is_another_database() {
    for journal in JOURNALS {
        let mut truth = Sqlite::without_triggers(journal);
        let (_scene, host, _) = follow(truth.followed(&[]), EXAMINER);
        holds(&host, 0);
        let path = truth.path();
        for number in 1..4 {
            let new = path.with_extension("new");
            drop(create(&new, Journal::Delete, number));
            fs::rename(&new, &path).expect("it is renamed");
            // The log of the old one must go, or it would be taken for that of the new one.
            for ending in ["db-wal", "db-shm"] {
                let _is_none = fs::remove_file(path.with_extension(ending));
            }
            holds(&host, number);
        }
        truth.open_again();
        truth.put(4);
        holds(&host, 4);
        // Copied over it.
        let new = path.with_extension("new");
        drop(create(&new, Journal::Delete, 5));
        fs::copy(&new, &path).expect("it is copied");
        holds(&host, 5);
        // Gone, and back.
        fs::rename(&path, path.with_extension("away")).expect("it is renamed");
        let reason = refused(&host, "there is no database");
        assert!(reason.contains(&path.display().to_string()), "{reason}");
        assert_eq!(held(&host), Some(5));
        fs::rename(path.with_extension("away"), &path).expect("it is renamed");
        is_well(&host);
        truth.open_again();
        truth.put(6);
        holds(&host, 6);
    }
}

#[test]
fn a_database_that_is_made_later_is_noticed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("later/rates.db");
    let mut dataset = Sqlite::without_triggers(Journal::Wal).followed(&[]);
    if let Some(source) = &mut dataset.source {
        let path = SourceSetting::Path(path.clone());
        source.settings.insert("path".to_owned(), path);
    }
    let (_scene, host, _) = follow(dataset, EXAMINER);
    refused(&host, "there is no database");
    fs::create_dir(folder.path().join("later")).expect("it is made");
    let connection = create(&path, Journal::Wal, 1);
    holds(&host, 1);
    drop(connection);
}

#[test]
fn what_is_no_database_is_refused_in_words_and_the_last_good_serves() {
    let mut truth = Sqlite::without_triggers(Journal::Delete);
    let (_scene, host, _) = follow(truth.followed(&[]), EXAMINER);
    holds(&host, 0);
    let path = truth.path();
    let good = fs::read(&path).expect("it is read");
    fs::write(
        &path,
        "this is a text, and long enough to be a header of something else".repeat(100),
    )
    .expect("it is written");
    refused(&host, "is no SQLite database");
    // Its first page alone.
    let mut half = good.clone();
    half[100..4096].fill(0xff);
    fs::write(&path, &half).expect("it is written");
    let reason = refused(&host, "malformed");
    assert!(reason.contains(&path.display().to_string()), "{reason}");
    assert_eq!(held(&host), Some(0));
    fs::write(&path, &good).expect("it is written");
    is_well(&host);
    truth.open_again();
    truth.execute("alter table rates rename to others");
    refused(&host, "no such table: rates");
    truth.execute("alter table others rename to rates");
    truth.put(1);
    holds(&host, 1);
    truth.execute("alter table rates rename number to rate");
    refused(&host, "no such column: number");
    truth.execute("alter table rates rename rate to number");
    truth.put(2);
    holds(&host, 2);
}

#[test]
fn a_writer_that_keeps_it_locked_is_named_and_waited_for() {
    let mut truth = Sqlite::start(Journal::Delete, EXAMINER);
    let settings = [(
        "timeout",
        SourceSetting::Duration(Duration::from_millis(200)),
    )];
    let (_scene, host, _) = follow(truth.followed(&settings), EXAMINER);
    holds(&host, 0);
    truth.execute("begin exclusive; update rates set number = 1");
    host.rescan();
    refused(&host, "locked");
    assert_eq!(held(&host), Some(0));
    truth.execute("commit");
    holds(&host, 1);
    truth.execute("begin exclusive");
    host.rescan();
    refused(&host, "locked");
    truth.execute("rollback");
    is_well(&host);
    // Who only may write keeps nobody out.
    truth.execute("begin immediate");
    host.rescan();
    truth.execute("update rates set number = 2; commit");
    holds(&host, 2);
    truth.put(3);
    holds(&host, 3);
}

/// Names the database to a process that is to change it, and to be killed before it has committed.
const HALF: &str = "CHANGE_HALF_OF";

/// Writes so much in one transaction that some of it is on disk, says so, and goes no further.
fn change_half_of(path: &Path) -> ! {
    let writer = rusqlite::Connection::open(path).expect("it is opened");
    let half = "pragma cache_size = 1; begin; update rates set number = 7; \
                with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) \
                insert into rates select 8 from n";
    writer.execute_batch(half).expect("it is written");
    fs::write(path.with_extension("half"), "").expect("it is said");
    loop {
        std::thread::park();
    }
}

#[test]
fn what_a_killed_writer_left_half_done_is_never_read() {
    if let Some(path) = env::var_os(HALF) {
        change_half_of(Path::new(&path));
    }
    for journal in JOURNALS {
        let mut truth = Sqlite::without_triggers(journal);
        let (_scene, host, _) = follow(truth.followed(&[]), EXAMINER);
        holds(&host, 0);
        let path = truth.path();
        let mut writer = Command::new(env::current_exe().expect("a test knows its own path"))
            .args([
                "--exact",
                "what_a_killed_writer_left_half_done_is_never_read",
            ])
            .env(HALF, &path)
            .spawn()
            .expect("it is started");
        let said = path.with_extension("half");
        until("half of it is written", || said.exists().then_some(()));
        writer.kill().expect("it is killed");
        writer.wait().expect("it has ended");
        let left = path.with_extension(match journal {
            Journal::Wal => "db-wal",
            Journal::Delete => "db-journal",
        });
        let length = |path: &Path| fs::metadata(path).map_or(0, |it| it.len());
        assert!(length(&left) > 100_000 || length(&path) > 100_000);
        host.rescan();
        let (_other_scene, other, _) = follow(truth.followed(&[]), EXAMINER);
        match journal {
            // Nothing of it counts that was not committed.
            Journal::Wal => holds(&other, 0),
            // Only who may write can take it back.
            Journal::Delete => {
                refused(&other, "left half written");
                refused(&host, "left half written");
            }
        }
        assert_eq!(held(&host), Some(0));
        truth.open_again();
        truth.put(2);
        for host in [&host, &other] {
            holds(host, 2);
            is_well(host);
            let numbers = host.data_history("rates", 10).expect("it is read");
            assert!(numbers.len() <= 2, "{numbers:#?}");
        }
        assert_eq!(truth.count("select count(*) from rates"), 1);
    }
}

#[test]
fn settings_that_do_not_fit_are_refused_in_words() {
    let truth = Sqlite::start(Journal::Wal, EXAMINER);
    truth.execute("insert into rates values (0); create table odd (a json, b); insert into odd values ('?', 1e999)");
    let long = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) as i from n";
    for (settings, part) in [
        (
            vec![("query", text("select 1 as a, 2 as a"))],
            "two columns \"a\"",
        ),
        (vec![("query", text("select ?1 as a"))], "has parameters"),
        (
            vec![("query", text("select 1 as a; select 2"))],
            "Multiple statements",
        ),
        (
            vec![("query", text("delete from rates"))],
            "only reads rows",
        ),
        (vec![("query", text("selec"))], "syntax error"),
        (
            vec![("query", text("select a from odd"))],
            "column \"a\" has what is declared as JSON",
        ),
        (
            vec![("query", text("select b from odd"))],
            "column \"b\" has inf, which is no number",
        ),
        (
            vec![("query", text("select cast(x'ff' as text) as c"))],
            "not in UTF-8",
        ),
        (
            vec![
                ("query", text(long)),
                (
                    "timeout",
                    SourceSetting::Duration(Duration::from_millis(100)),
                ),
            ],
            "takes longer than 100ms",
        ),
        (
            vec![("key", text("name"))],
            "the key \"name\" is none of the query's columns: number",
        ),
        (vec![("key", text("number"))], "two rows have the key \"0\""),
    ] {
        let (_scene, host, _) = follow(truth.followed(&settings), EXAMINER);
        refused(&host, part);
    }
    for query in [
        "select hex(randomblob(2000000)) as a",
        "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n",
    ] {
        let mut dataset = truth.followed(&[("query", text(query))]);
        dataset.max_bytes = 10_000;
        let (_scene, host, _) = follow(dataset, EXAMINER);
        refused(&host, "max_bytes");
    }
    let mut dataset = truth.followed(&[]);
    dataset.format = Format::Csv;
    let error = not_followed(dataset, EXAMINER);
    assert!(error.contains("is JSON; leave out `format`"), "{error}");
}

#[test]
fn rows_are_objects_in_the_order_of_the_query_or_under_their_key() {
    let truth = Sqlite::start(Journal::Wal, EXAMINER);
    truth.execute(
        "create table prices (code text, price real, count integer, tags json);
         insert into prices values ('b', 2.5, 9007199254740993, '{\"a\": [1, null]}'), ('a', 1.5, null, null)",
    );
    let settings = [("query", text("select * from prices order by price; -- all"))];
    let (_scene, host, _) = follow(truth.followed(&settings), EXAMINER);
    let b = serde_json::json!({"code": "b", "price": 2.5, "count": 9_007_199_254_740_993_i64, "tags": {"a": [1, null]}});
    let a = serde_json::json!({"code": "a", "price": 1.5, "count": null, "tags": null});
    contains(&host, &serde_json::json!([a, b]));
    let settings = [&settings[..], &[("key", text("code"))]].concat();
    let (_scene, host, _) = follow(truth.followed(&settings), EXAMINER);
    contains(&host, &serde_json::json!({"a": a, "b": b}));
}
