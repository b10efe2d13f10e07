//! The triggers of databases: how they are installed and taken away, what they cost others, and what their numbers tell.

use host::event::{Event, Happening};
use std::{fs, time::Duration};
use tests::{
    Program,
    sources::{
        Truth as _,
        postgres::{PASSWORD, Postgres, QUERY},
        sqlite::{Journal, Sqlite},
        standing::{contains, follow, held, holds, refused, remark, text},
    },
    until,
};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

#[test]
fn postgres_shows_triggers_installs_them_again_and_takes_them_away() {
    let mut truth = Postgres::without_triggers();
    truth.execute(
        "create schema \"odd one\"; create table \"odd one\".\"Ra\"\"te's\" (number text); \
         insert into \"odd one\".\"Ra\"\"te's\" values ('0'); create table \"odd one\".other ()",
    );
    let odd = "\"odd one\".\"Ra\"\"te's\"";
    let query = format!("select number::bigint as number from {odd}");
    let (_scene, host, _) = follow(
        truth.followed(&[("table", text(odd)), ("query", text(&query))]),
        EXAMINER,
    );
    holds(&host, 0);
    let made = "select count(*) from pg_class where relname like 'host%'";
    let triggers = "select count(*) from pg_trigger where tgname = 'host_note_change'";
    let functions = "select count(*) from pg_proc where proname = 'host_note_change'";
    let dry = host
        .data_triggers("rates", false, true)
        .expect("it is shown");
    assert!(
        !dry.done && dry.sql.contains("create or replace trigger"),
        "{dry:?}"
    );
    assert_eq!(truth.count(made), 0);
    for _ in 0..2 {
        let done = host.data_triggers("rates", false, false);
        assert_eq!(done.expect("they are installed").sql, dry.sql);
        assert_eq!(truth.count(triggers), 1);
    }
    until("there is nothing to remark", || {
        remark(&host).is_none().then_some(())
    });
    truth.execute(&format!("update {odd} set number = '1'"));
    holds(&host, 1);
    // Another table of the schema has them too, and keeps them.
    let (_scene, other, _) = follow(
        truth.followed(&[
            ("table", text("\"odd one\".other")),
            ("query", text("select from \"odd one\".other")),
        ]),
        EXAMINER,
    );
    other
        .data_triggers("rates", false, false)
        .expect("they are installed");
    assert_eq!(truth.count(triggers), 2);
    host.data_triggers("rates", true, true)
        .expect("it is shown");
    assert_eq!(truth.count(triggers), 2);
    host.data_triggers("rates", true, false)
        .expect("they are taken away");
    assert_eq!((truth.count(triggers), truth.count(functions)), (1, 1));
    until("it is remarked", || remark(&host));
    other
        .data_triggers("rates", true, false)
        .expect("they are taken away");
    host.data_triggers("rates", true, false)
        .expect("nothing is left to do");
    assert_eq!((truth.count(made), truth.count(functions)), (0, 0));
}

#[test]
fn writers_of_the_table_need_no_rights_of_their_own_and_changes_are_bounded() {
    let mut truth = Postgres::start(EXAMINER);
    truth.execute("create role writer; grant select, insert, update on rates to writer; grant usage on sequence rates_id_seq to writer");
    let (_scene, host, _) = follow(truth.followed(&[]), EXAMINER);
    truth.execute("set role writer; update rates set number = '1'; reset role");
    holds(&host, 1);
    truth.execute("do $$ begin for i in 1..6000 loop update rates set number = i::text; commit; end loop; end $$");
    holds(&host, 6_000);
    let changes = truth.count("select count(*) from host_changes");
    assert!(changes < 3_000, "{changes} changes are kept");
    let cursor = format!("{}", host.data("rates").expect("it is held").record.origin);
    let last = truth.count("select max(id) from host_changes");
    assert!(cursor.contains(&last.to_string()), "{cursor} {last}");
}

#[test]
fn changes_are_bounded_and_no_writer_fails_where_all_are_repeatable_read() {
    let mut truth = Postgres::start(EXAMINER);
    let (_scene, host, _) = follow(truth.followed(&[]), EXAMINER);
    // Every statement removes old ones, so that writers meet at it all the time.
    let dry = host.data_triggers("rates", false, true);
    let installed = dry.expect("it is shown").sql;
    let eager = installed.replace("random() < 0.01", "true");
    assert_ne!(installed, eager);
    truth.execute(&eager);
    let writers = [truth.connect(), truth.connect()].map(|mut writer| {
        std::thread::spawn(move || {
            writer.batch_execute(
                "set session characteristics as transaction isolation level repeatable read",
            )?;
            writer.batch_execute(
                "do $$ begin for i in 1..2000 loop insert into rates (number) values ('1'); commit; end loop; end $$",
            )
        })
    });
    for writer in writers {
        let done = writer.join().expect("no panic");
        done.expect("nobody stands in another one's way");
    }
    let changes = truth.count("select count(*) from host_changes");
    assert!(changes < 1_100, "{changes} changes are kept");
    truth.execute("truncate rates; insert into rates (number) values ('2')");
    holds(&host, 2);
}

#[test]
fn an_older_state_of_postgres_is_refused_until_it_has_caught_up_or_an_operator_takes_it() {
    let mut truth = Postgres::start(EXAMINER);
    let (_scene, host, _) = follow(truth.followed(&[]), EXAMINER);
    for number in 1..=5 {
        truth.put(number);
        holds(&host, number);
    }
    // As a backup does that is put back.
    let restore = |truth: &mut Postgres, number: u32| {
        truth.execute(&format!(
            "begin; update rates set number = '{number}'; delete from host_changes where id > 3; \
             select setval('host_changes_id_seq', 3); notify \"host.public.rates\"; commit"
        ));
    };
    restore(&mut truth, 2);
    let reason = refused(
        &host,
        "the database is at change 3, and change 6 was brought before",
    );
    assert!(reason.contains("install-triggers"), "{reason}");
    assert_eq!(held(&host), Some(5));
    for number in 7..=9 {
        truth.put(number);
    }
    holds(&host, 9);
    restore(&mut truth, 2);
    refused(&host, "at change 3, and change 6 was brought before");
    host.data_triggers("rates", false, false)
        .expect("they are installed");
    holds(&host, 2);
    truth.put(10);
    holds(&host, 10);
}

#[test]
fn an_operator_installs_the_triggers_on_the_command_line_and_no_password_is_told() {
    let mut truth = Postgres::without_triggers();
    let scene = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(scene.path().join("plugins")).expect("it is made");
    let port = truth.port();
    let url = format!("postgres://postgres:${{PASSWORD}}@127.0.0.1:{port}/postgres");
    let configuration = format!(
        "[data.rates]\nsource = {{ kind = \"postgres\", url = \"{url}\", table = \"rates\", \
         query = \"{QUERY}\" }}\n[data.flags]\n[log]\nfilter = \"trace\"\n"
    );
    std::fs::write(scene.path().join("host.toml"), configuration).expect("it is written");
    let state = tempfile::tempdir().expect("a temporary folder");
    let password = PASSWORD.replace(' ', "%20");
    let host = Program::start_with(state, |command| {
        command
            .current_dir(scene.path())
            .env("PASSWORD", &password)
            .args(["run", "plugins", "--listen", "127.0.0.1:0"]);
    });
    let listed = || host.command(&["data", "list"]).stdout;
    until("it is remarked", || {
        listed()
            .contains("no trigger tells of changes")
            .then_some(())
    });
    let installs = ["data", "install-triggers", "rates"];
    let dry = host.command(&[&installs[..], &["--dry-run"]].concat());
    assert!(dry.stdout.starts_with("begin;"), "{dry:?}");
    // As it is meant to be given to somebody who may execute it.
    truth.execute(&dry.stdout);
    let again = host.command(&installs);
    assert_eq!(
        again.stdout, "rates → its triggers are installed\n",
        "{again:?}"
    );
    until("nothing is remarked", || {
        (!listed().contains("no trigger")).then_some(())
    });
    truth.put(7);
    until("the host holds it", || {
        host.command(&["data", "get", "rates"])
            .stdout
            .contains("7")
            .then_some(())
    });
    let none = host.command(&["--json", "data", "install-triggers", "flags"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    assert_eq!(none.json_error()["kind"], "triggers");
    let gone = host.command(&["data", "uninstall-triggers", "rates", "--json"]);
    assert_eq!(gone.json()["done"], true, "{gone:?}");
    truth.server().kill();
    let _lost = host.line("the source is lost");
    for verb in [
        &["status"][..],
        &["--json", "data", "list"],
        &["events"],
        &["data", "history", "rates"],
    ] {
        let told = host.command(verb);
        let told = format!("{told:?}");
        assert!(
            !told.contains(&password) && !told.contains(PASSWORD),
            "{told}"
        );
    }
    let log = host.log();
    assert!(!log.contains(&password) && !log.contains(PASSWORD), "{log}");
}

#[test]
fn without_triggers_postgres_says_so_and_is_polled() {
    let mut truth = Postgres::without_triggers();
    let mut dataset = truth.followed(&[]);
    dataset.poll = Duration::from_millis(50);
    let (_scene, host, _) = follow(dataset, EXAMINER);
    holds(&host, 0);
    let said = remark(&host).expect("there is a remark");
    assert!(
        said.contains("no trigger tells of changes of public.rates"),
        "{said}"
    );
    truth.put(1);
    holds(&host, 1);
    host.data_triggers("rates", false, false)
        .expect("they are installed");
    until("there is nothing to remark", || {
        remark(&host).is_none().then_some(())
    });
    // Nothing tells that they are dropped, and it is found out all the same.
    truth.execute("drop trigger host_note_change on rates");
    until("it is remarked", || remark(&host));
    truth.put(2);
    holds(&host, 2);
    truth.execute("create trigger host_note_change after update on rates execute function host_note_change('elsewhere')");
    until("it is remarked", || {
        remark(&host)?
            .contains("tells the channel elsewhere")
            .then_some(())
    });
    truth.execute("drop table host_changes");
    truth.execute("drop trigger host_note_change on rates");
    truth.put(3);
    holds(&host, 3);
}

#[test]
fn sqlite_shows_triggers_installs_them_again_and_takes_them_away() {
    let truth = Sqlite::without_triggers(Journal::Wal);
    truth.execute("create table \"it's \"\"odd\"\"\" (number); insert into \"it's \"\"odd\"\"\" values (0); create view seen as select 1");
    let odd = [
        ("table", text("IT'S \"odd\"")),
        ("query", text("select number from \"it's \"\"odd\"\"\"")),
    ];
    let (_scene, host, _) = follow(truth.followed(&odd), EXAMINER);
    let (_other_scene, other, _) = follow(truth.followed(&[]), EXAMINER);
    holds(&host, 0);
    let made = "select count(*) from sqlite_schema where name like 'host%'";
    let dry = host
        .data_triggers("rates", false, true)
        .expect("it is shown");
    assert!(!dry.done && dry.sql.contains("create trigger"), "{dry:?}");
    assert_eq!(truth.count(made), 0);
    for _ in 0..2 {
        let done = host.data_triggers("rates", false, false);
        done.expect("they are installed");
        assert_eq!(truth.count(made), 4);
    }
    truth.execute("update \"it's \"\"odd\"\"\" set number = 1; insert into \"it's \"\"odd\"\"\" values (2); delete from \"it's \"\"odd\"\"\" where number = 2");
    holds(&host, 1);
    until("it is counted", || {
        let origin = host.data("rates")?.record.origin.to_string();
        origin.contains("rates.db").then_some(())
    });
    assert_eq!(truth.count("select id from host_changes"), 5);
    other
        .data_triggers("rates", false, false)
        .expect("they are installed");
    assert_eq!(truth.count(made), 7);
    host.data_triggers("rates", true, true)
        .expect("it is shown");
    host.data_triggers("rates", true, false)
        .expect("they are taken away");
    assert_eq!(truth.count(made), 4);
    other
        .data_triggers("rates", true, false)
        .expect("they are taken away");
    assert_eq!(truth.count(made), 0);
    truth.execute("update \"it's \"\"odd\"\"\" set number = 3");
    holds(&host, 3);
    for (table, part) in [
        ("seen", "seen is no table"),
        ("nothing", "there is no table nothing"),
    ] {
        let (_scene, host, _) = follow(truth.followed(&[("table", text(table))]), EXAMINER);
        let error = host.data_triggers("rates", false, false).err();
        let error = error.expect("it is refused").to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_older_state_of_sqlite_is_refused_until_it_has_caught_up_or_an_operator_takes_it() {
    let mut truth = Sqlite::start(Journal::Delete, EXAMINER);
    let (_scene, host, _) = follow(truth.followed(&[]), EXAMINER);
    truth.put(1);
    holds(&host, 1);
    let path = truth.path();
    let backup = path.with_extension("backup");
    fs::copy(&path, &backup).expect("it is copied");
    for number in 2..5 {
        truth.put(number);
        holds(&host, number);
    }
    let restore = |truth: &mut Sqlite| {
        let new = path.with_extension("new");
        fs::copy(&backup, &new).expect("it is copied");
        fs::rename(&new, &path).expect("it is renamed");
        truth.open_again();
    };
    restore(&mut truth);
    refused(
        &host,
        "the database is at change 2, and change 5 was brought before",
    );
    assert_eq!(held(&host), Some(4));
    for number in 5..8 {
        truth.put(number);
    }
    holds(&host, 7);
    restore(&mut truth);
    refused(
        &host,
        "the database is at change 2, and change 5 was brought before",
    );
    host.data_triggers("rates", false, false)
        .expect("they are installed");
    holds(&host, 1);
    truth.put(9);
    holds(&host, 9);
}

#[test]
fn a_change_that_is_not_the_tables_costs_sqlite_no_read() {
    let mut truth = Sqlite::start(Journal::Wal, EXAMINER);
    truth.execute("create table others (number); insert into others values (0)");
    let query = "select number from others union all select number from rates";
    let (_scene, host, events) = follow(truth.followed(&[("query", text(query))]), EXAMINER);
    let all = |numbers: &[u64]| {
        let row = |number: &u64| serde_json::json!({ "number": number });
        let expected: Vec<_> = numbers.iter().map(row).collect();
        let expected = serde_json::Value::from(expected);
        contains(&host, &expected);
    };
    all(&[0, 0]);
    truth.execute("update others set number = 1");
    truth.execute("create table more (number)");
    // What makes the schema another one is read.
    all(&[1, 0]);
    truth.execute("update others set number = 2");
    truth.put(3);
    all(&[2, 3]);
    truth.execute("update others set number = 4");
    // A ring reads all.
    host.rescan();
    all(&[4, 3]);
    let published = |event: &Event| matches!(event.what, Happening::DataPublished { .. });
    assert!(events.try_iter().filter(published).count() >= 2);
}
