//! Data from Redis: the value of a key is followed, told by the server's tracking or by a channel, whatever happens to both.

use host::{
    Host,
    config::{SourceConfig, SourceSetting},
    data::{Refusal, SourceState, Stage},
    event::Happening,
};
use redis::Commands;
use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};
use tests::{
    Scene,
    sources::{
        Truth,
        redis::{CHANNEL, KEY, Keeps, PASSWORD, RedisTruth, number},
        trial::{self, Trial},
    },
    until,
};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// The whole trial, of one way to be told.
macro_rules! trials {
    ($way:ident, $truth:expr) => {
        mod $way {
            use super::*;

            #[test]
            fn a_change_is_seen() {
                trial::a_change_is_seen($truth, EXAMINER);
            }

            #[test]
            fn what_comes_twice_is_one_revision() {
                trial::what_comes_twice_is_one_revision($truth, EXAMINER);
            }

            #[test]
            fn garbage_is_refused_and_the_last_good_serves() {
                trial::garbage_is_refused_and_the_last_good_serves($truth, EXAMINER);
            }

            #[test]
            fn a_burst_comes_down_to_the_last() {
                trial::a_burst_comes_down_to_the_last($truth, EXAMINER, number);
            }

            #[test]
            fn a_killed_server_is_followed_again() {
                trial::a_killed_server_is_followed_again($truth, EXAMINER, number);
            }

            #[test]
            fn cut_connections_lose_nothing() {
                trial::cut_connections_lose_nothing($truth, EXAMINER, number);
            }

            #[test]
            fn a_silent_connection_is_noticed() {
                trial::a_silent_connection_is_noticed($truth, EXAMINER);
            }

            #[test]
            fn a_host_starts_without_its_source() {
                trial::a_host_starts_without_its_source($truth, EXAMINER);
            }

            #[test]
            fn what_changed_meanwhile_is_there() {
                trial::what_changed_meanwhile_is_there($truth, EXAMINER);
            }
        }
    };
}

trials!(by_tracking, RedisTruth::tracked());
trials!(by_a_channel, RedisTruth::published());

/// A trial of this truth, whose number is 1 and is held.
fn begun(truth: RedisTruth) -> Trial<RedisTruth> {
    let mut trial = Trial::of(truth, EXAMINER);
    trial.truth.put(1);
    trial.holds(1);
    // Before the first change there was no key.
    while trial.events.try_recv().is_ok() {}
    trial
}

/// Waits for a refusal whose reason has these words.
fn refused(trial: &Trial<RedisTruth>, words: &str) -> Refusal {
    let is_refused = |what: &Happening| match what {
        Happening::DataRefused { refusal, .. } => refusal.mistake.reason.contains(words),
        _ => false,
    };
    match trial.event(words, is_refused).what {
        Happening::DataRefused { refusal, .. } => refusal,
        other => panic!("{other:?}"),
    }
}

/// Waits until the source is lost, and gives the reason.
fn lost(host: &Host) -> String {
    until("the source is lost", || {
        match host.datasets().swap_remove(0).source?.state {
            SourceState::Lost { reason } => Some(reason),
            SourceState::Starting | SourceState::Healthy => None,
        }
    })
}

fn text(text: &str) -> SourceSetting {
    SourceSetting::Text(text.to_owned())
}

#[test]
fn a_key_that_is_gone_is_refused_at_once_and_the_last_good_serves() {
    let mut trial = begun(RedisTruth::tracked());
    trial.truth.ask(|it| redis::cmd("FLUSHALL").exec(it));
    let expected = "there is no key \"rates\" in database 0";
    assert_eq!(refused(&trial, expected).stage, Stage::Received);
    assert_eq!(trial.held(), Some(1));
    trial.truth.put(2);
    trial.holds(2);
    trial.truth.ask(|it| it.del::<_, ()>(KEY));
    refused(&trial, expected);
    trial.truth.put(3);
    trial.holds(3);
    trial.truth.ask(|it| it.pexpire::<_, ()>(KEY, 1));
    refused(&trial, expected);
    assert_eq!(trial.held(), Some(3));
}

#[test]
fn a_value_that_is_no_string_is_refused() {
    let mut trial = begun(RedisTruth::tracked());
    let mut changes = redis::pipe();
    changes.atomic().del(KEY).lpush(KEY, 2);
    trial.truth.ask(|it| changes.exec(it));
    refused(&trial, "key \"rates\" holds no string; write it with SET");
    assert_eq!(trial.held(), Some(1));
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn a_value_that_is_too_large_is_refused_and_not_read_in_full() {
    const LARGE: usize = 16 << 20;
    let mut truth = RedisTruth::tracked();
    truth.dataset.max_bytes = 1024;
    let mut trial = begun(truth);
    let sent = |trial: &mut Trial<RedisTruth>| {
        let info: String = trial
            .truth
            .ask(|it| redis::cmd("INFO").arg("stats").query(it));
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("total_net_output_bytes:"));
        line.and_then(|line| line.trim().parse::<usize>().ok())
            .expect("it is counted")
    };
    let before = sent(&mut trial);
    trial
        .truth
        .ask(|it| it.set::<_, _, ()>(KEY, "x".repeat(LARGE)));
    refused(&trial, "it has 16.0 MiB, and max_bytes");
    assert!(sent(&mut trial) - before < LARGE / 100, "it was read");
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn the_largest_value_is_taken_by_a_subscriber_that_may_be_sent_little() {
    let mut truth = RedisTruth::published();
    truth.dataset.format = host::data::Format::Bytes;
    truth.dataset.max_bytes = 40 << 20;
    let mut trial = Trial::of(truth, EXAMINER);
    trial.truth.ask(|it| {
        let limit = "pubsub 64kb 64kb 1";
        let mut set = redis::cmd("CONFIG");
        set.arg("SET")
            .arg("client-output-buffer-limit")
            .arg(limit)
            .exec(it)
    });
    let content = vec![b'x'; 40 << 20];
    trial.truth.ask(|it| {
        it.set::<_, _, ()>(KEY, &content)?;
        it.publish::<_, _, ()>(CHANNEL, "")
    });
    until("it is held", || {
        let held = trial.host.data("rates")?;
        (held.content.len() == content.len()).then_some(())
    });
}

#[test]
fn a_subscriber_that_is_cut_off_as_too_slow_is_back_and_reads_again() {
    let mut trial = begun(RedisTruth::published());
    trial.truth.ask(|it| {
        let limit = "pubsub 64kb 64kb 1";
        let mut set = redis::cmd("CONFIG");
        set.arg("SET")
            .arg("client-output-buffer-limit")
            .arg(limit)
            .exec(it)
    });
    // More than it may have under way at once; what is published next is not told any more.
    trial.truth.ask(|it| {
        it.publish::<_, _, ()>(CHANNEL, "x".repeat(1 << 20))?;
        it.set::<_, _, ()>(KEY, 2)
    });
    trial.event("the loss", |what| {
        matches!(what, Happening::SourceLost { .. })
    });
    trial.holds(2);
    trial.truth.put(3);
    trial.holds(3);
}

#[test]
fn killed_clients_are_back_and_read_again() {
    let mut trial = begun(RedisTruth::published());
    for (number, kind) in [(2, "pubsub"), (3, "normal")] {
        let kill = |it: &mut redis::Connection| {
            let mut kill = redis::cmd("CLIENT");
            let kill = kill
                .arg("KILL")
                .arg("TYPE")
                .arg(kind)
                .arg("SKIPME")
                .arg("yes");
            kill.query::<u64>(it)
        };
        assert_eq!(trial.truth.ask(kill), 1, "one {kind} client is killed");
        trial.truth.ask(|it| it.set::<_, _, ()>(KEY, number));
        trial.holds(number);
    }
}

#[test]
fn a_server_that_has_lost_its_keys_is_refused_and_followed_on() {
    let mut trial = begun(RedisTruth::of("tracks", Keeps::Nothing));
    trial.truth.server().kill();
    lost(&trial.host);
    trial.truth.server().start_again();
    refused(&trial, "there is no key");
    assert_eq!(trial.held(), Some(1));
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn a_version_that_goes_back_is_refused_and_shown_with_what_was_brought() {
    let mut truth = RedisTruth::tracked();
    truth.settings.push(("version_key", text("rates:version")));
    let mut trial = Trial::of(truth, EXAMINER);
    let put = |trial: &mut Trial<RedisTruth>, number: u64, version: &str| {
        let mut changes = redis::pipe();
        changes
            .atomic()
            .set(KEY, number)
            .set("rates:version", version);
        trial.truth.ask(|it| changes.exec(it));
    };
    put(&mut trial, 7, "17");
    trial.holds(7);
    let held = trial.host.data("rates").expect("it is held");
    assert_eq!(held.record.origin.to_string(), "redis rates at 17");
    // As a replica that lags behind and has become the master.
    put(&mut trial, 6, "16");
    refused(&trial, "version 16 is older than 17");
    let mut trial = trial.restarted(|_| ());
    put(&mut trial, 5, "none");
    refused(&trial, "holds no version");
    assert_eq!(trial.held(), Some(7));
    put(&mut trial, 8, "18");
    trial.holds(8);
}

#[test]
fn without_tracking_and_channel_the_poll_finds_it() {
    let mut truth = RedisTruth::of("polls", Keeps::All);
    truth.dataset.poll = Duration::from_millis(20);
    let mut trial = begun(truth);
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn what_a_pin_kept_out_is_read_when_it_is_lifted() {
    let mut trial = begun(RedisTruth::tracked());
    trial.truth.put(2);
    trial.holds(2);
    let rates = "rates";
    trial
        .host
        .rollback_data(rates, Some(1), true, "a test")
        .expect("it is kept");
    trial.truth.put(3);
    trial.truth.put(4);
    assert_eq!(trial.held(), Some(1));
    trial
        .host
        .rollback_data(rates, Some(2), false, "a test")
        .expect("it is kept");
    trial.holds(4);
}

#[test]
fn a_login_that_is_refused_is_told_without_its_password() {
    let mut truth = RedisTruth::tracked();
    truth.ask(|it| {
        redis::cmd("ACL")
            .arg(&["SETUSER", "tracks", "resetpass"])
            .exec(it)
    });
    let trial = Trial::of(truth, EXAMINER);
    let reason = lost(&trial.host);
    assert!(
        reason.contains("WRONGPASS") && reason.contains("check the user"),
        "{reason}"
    );
    assert!(!reason.contains(PASSWORD), "{reason}");
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
    let port = silent.local_addr().expect("it has one").port();
    let truth = RedisTruth::tracked();
    let mut scene = Scene::new(EXAMINER);
    let mut dataset = truth.dataset();
    dataset.source = Some(truth.source(port));
    scene.config.data.insert("rates".to_owned(), dataset);
    let reason = lost(&scene.start());
    assert!(reason.contains("it has not answered for"), "{reason}");
}

#[test]
fn a_permission_that_lacks_is_told() {
    let trial = Trial::of(RedisTruth::of("elsewhere", Keeps::All), EXAMINER);
    let reason = lost(&trial.host);
    assert!(
        reason.contains("reading key \"rates\"") && reason.contains("its user needs"),
        "{reason}"
    );
}

#[test]
fn a_server_behind_tls_is_followed_if_its_authority_is_known() {
    let mut truth = RedisTruth::behind_tls();
    let ca_file = SourceSetting::Path(truth.ca_file());
    truth.settings.push(("ca_file", ca_file));
    let mut trial = begun(truth);
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn a_server_of_an_unknown_authority_is_not_trusted() {
    let trial = Trial::of(RedisTruth::behind_tls(), EXAMINER);
    let reason = lost(&trial.host);
    assert!(
        reason.contains("connecting to Redis") && reason.contains("UnknownIssuer"),
        "{reason}"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused_at_the_start() {
    let start = |url: &str, more: Option<(&'static str, SourceSetting)>| {
        let mut scene = Scene::new(EXAMINER);
        let url = SourceSetting::Secret(host::config::Secret::new(url));
        let own = [("url", url), ("key", text(KEY))];
        let dataset = host::config::DatasetConfig {
            source: Some(SourceConfig::of("redis", own.into_iter().chain(more))),
            ..host::config::DatasetConfig::default()
        };
        scene.config.data.insert("rates".to_owned(), dataset);
        let host = Host::builder()
            .config(scene.config.clone())
            .state_dir(scene.state_dir());
        let error = host
            .examiner(EXAMINER)
            .start()
            .err()
            .expect("it does not start");
        format!("{error:#}")
    };
    let error = start("http://ada:hidden@127.0.0.1", None);
    assert!(
        error.contains("write redis://") && !error.contains("hidden"),
        "{error}"
    );
    let ca_file = SourceSetting::Path("ca.pem".into());
    let error = start("redis://127.0.0.1", Some(("ca_file", ca_file)));
    assert!(error.contains("begin its url with rediss://"), "{error}");
}
