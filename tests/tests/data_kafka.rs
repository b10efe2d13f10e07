//! Data from Kafka: the newest message of a topic, or a table of the newest value of each key.
//!
//! Against librdkafka's mock cluster, which speaks the protocol over TCP; and against the broker that `KAFKA_BOOTSTRAP` names,
//! if it names one.

use host::{
    config::SourceSetting,
    data::{SourceState, Stage},
};
use rdkafka::{
    consumer::Consumer,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use std::time::{Duration, Instant};
use tests::{
    LIMIT,
    sources::{
        Truth,
        kafka::{Kafka, TOPIC, is_here, number},
        trial::{self, Trial, Watcher},
    },
    until,
};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// Every trial, in this mode.
macro_rules! trials {
    ($mode:ident) => {
        mod $mode {
            use super::*;

            fn truth() -> Kafka {
                Kafka::mock(stringify!($mode), 1)
            }

            #[test]
            fn a_change_is_seen() {
                trial::a_change_is_seen(truth(), EXAMINER);
            }

            #[test]
            fn what_comes_twice_is_one_revision() {
                trial::what_comes_twice_is_one_revision(truth(), EXAMINER);
            }

            #[test]
            fn garbage_is_refused_and_the_last_good_serves() {
                trial::garbage_is_refused_and_the_last_good_serves(truth(), EXAMINER);
            }

            #[test]
            fn a_burst_comes_down_to_the_last() {
                trial::a_burst_comes_down_to_the_last(truth(), EXAMINER, number);
            }

            #[test]
            fn a_killed_server_is_followed_again() {
                trial::a_killed_server_is_followed_again(truth(), EXAMINER, number);
            }

            #[test]
            fn cut_connections_lose_nothing() {
                trial::cut_connections_lose_nothing(truth(), EXAMINER, number);
            }

            #[test]
            fn a_silent_connection_is_noticed() {
                trial::a_silent_connection_is_noticed(truth(), EXAMINER);
            }

            #[test]
            fn a_host_starts_without_its_source() {
                trial::a_host_starts_without_its_source(truth(), EXAMINER);
            }

            #[test]
            fn what_changed_meanwhile_is_there() {
                trial::what_changed_meanwhile_is_there(truth(), EXAMINER);
            }
        }
    };
}

trials!(latest);
trials!(table);

/// The trial of a truth, whose host has come to hold 1.
fn holding(truth: Kafka) -> Trial<Kafka> {
    let mut trial = Trial::of(truth, EXAMINER);
    trial.truth.put(1);
    trial.holds(1);
    trial
}

fn mock(mode: &'static str) -> Kafka {
    Kafka::mock(mode, 1)
}

fn content(trial: &Trial<Kafka>) -> String {
    let held = trial.host.data("rates");
    held.map_or_else(String::new, |held| {
        String::from_utf8_lossy(&held.content).into_owned()
    })
}

fn has(trial: &Trial<Kafka>, expected: &str) {
    until(&format!("the host holds {expected}"), || {
        (content(trial) == expected).then_some(())
    });
}

/// Waits until something is refused for a reason with these words, and gives its stage.
fn refused(trial: &Trial<Kafka>, words: &str) -> Stage {
    until(&format!("what is refused says {words}"), || {
        let refusal = trial.host.datasets().swap_remove(0).refusal?;
        let said = refusal.to_string();
        said.contains(words).then_some(refusal.stage)
    })
}

/// Waits until the source is lost for a reason with these words.
fn is_lost(trial: &Trial<Kafka>, words: &str) {
    until(&format!("the source is lost: {words}"), || {
        let source = trial.host.datasets().swap_remove(0).source?;
        matches!(source.state, SourceState::Lost { reason } if reason.contains(words)).then_some(())
    });
}

fn is_healthy(trial: &Trial<Kafka>) {
    until("the source is healthy", || {
        let source = trial.host.datasets().swap_remove(0).source?;
        (source.state == SourceState::Healthy).then_some(())
    });
}

fn cursor(trial: &Trial<Kafka>) -> String {
    let held = trial.host.data("rates").expect("it is held");
    held.record.origin.to_string()
}

#[test]
fn a_revision_tells_its_partition_and_offset() {
    let trial = holding(mock("latest"));
    assert_eq!(cursor(&trial), format!("kafka {TOPIC} at 0:0"));
    let trial = holding(mock("table"));
    assert_eq!(cursor(&trial), format!("kafka {TOPIC} at 0:0"));
}

#[test]
fn offsets_are_committed_after_the_decision_whatever_it_is() {
    let mut truth = mock("latest");
    let group = SourceSetting::Text("watched".to_owned());
    truth.more.push(("group", group));
    let mut trial = holding(truth);
    let committed = |trial: &Trial<Kafka>, expected| {
        until("it is committed", || {
            (trial.truth.committed("watched") == Some(expected)).then_some(())
        });
    };
    committed(&trial, 1);
    trial.truth.put_garbage();
    refused(&trial, "0:1");
    committed(&trial, 2);
}

#[test]
fn what_a_pin_holds_out_is_not_committed() {
    let mut truth = mock("latest");
    let group = SourceSetting::Text("pinned".to_owned());
    truth.more.push(("group", group));
    let mut trial = holding(truth);
    let pin = |trial: &Trial<Kafka>, pin| {
        let done = trial.host.rollback_data("rates", Some(1), pin, "a test");
        done.expect("it is there");
    };
    pin(&trial, true);
    trial.truth.put_all(2..4);
    // It is left as it is by a host that ends, which commits what is decided.
    let trial = trial.restarted(|_| {});
    until("it is asked", || trial.truth.committed("pinned"));
    assert_eq!(trial.truth.committed("pinned"), Some(1));
    pin(&trial, false);
    trial.holds(3);
    until("it is committed", || {
        (trial.truth.committed("pinned") == Some(3)).then_some(())
    });
}

#[test]
fn whoever_joins_its_group_takes_nothing_away() {
    let mut truth = mock("latest");
    let group = SourceSetting::Text("shared".to_owned());
    truth.more.push(("group", group));
    let mut trial = holding(truth);
    let member = trial.truth.consumer("shared");
    member.subscribe(&[TOPIC]).expect("it may");
    until("the other one has the partition", || {
        drop(member.poll(Duration::from_millis(10)));
        let assignment = member.assignment().ok()?;
        (assignment.count() == 1).then_some(())
    });
    for number in 2..=5 {
        trial.truth.put(number);
        trial.holds(number);
    }
    is_healthy(&trial);
}

#[test]
fn what_the_brokers_refuse_for_a_moment_is_asked_again() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as NO_COORDINATOR,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
    };
    let mut trial = holding(mock("latest"));
    let cluster = trial.truth.cluster();
    cluster.request_errors(RDKafkaApiKey::Fetch, &[NOT_LEADER; 3]);
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[NO_COORDINATOR; 3]);
    cluster.request_errors(RDKafkaApiKey::ListOffsets, &[NOT_LEADER; 2]);
    for number in 2..=4 {
        trial.truth.put(number);
        trial.holds(number);
    }
}

#[test]
fn commits_that_are_refused_keep_nothing_back() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED as NOT_ALLOWED;
    let truth = mock("latest");
    let cluster = truth.cluster();
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[NOT_ALLOWED; 100]);
    cluster.request_errors(RDKafkaApiKey::FindCoordinator, &[NOT_ALLOWED; 2]);
    let mut trial = holding(truth);
    for number in 2..=4 {
        trial.truth.put(number);
        trial.holds(number);
    }
    is_healthy(&trial);
}

#[test]
fn an_offset_that_is_out_of_range_is_found_again_from_the_truth() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE as OUT_OF_RANGE;
    for mode in ["latest", "table"] {
        let mut trial = holding(mock(mode));
        let watcher = Watcher::of(&trial.host, number);
        for number in 2..=4 {
            let cluster = trial.truth.cluster();
            cluster.request_errors(RDKafkaApiKey::Fetch, &[OUT_OF_RANGE]);
            trial.truth.put(number);
            trial.holds(number);
        }
        watcher.saw_no_step_back();
    }
}

#[test]
fn what_was_removed_before_it_was_read_is_not_missed() {
    // A mock cluster keeps 5 MiB.
    let filler = vec![b' '; 900_000];
    let trial = holding(mock("latest"));
    let mut trial = trial.restarted(|truth| {
        for number in 2..=9 {
            let value = [filler.as_slice(), number.to_string().as_bytes()].concat();
            truth.send(&[(0, None, Some(&value))]);
        }
    });
    trial.holds(9);
    trial.truth.put(10);
    trial.holds(10);
}

#[test]
fn a_topic_that_was_made_anew_is_the_truth() {
    for mode in ["latest", "table"] {
        let mut trial = holding(mock(mode));
        trial.truth.put_all(2..20);
        trial.holds(19);
        trial.truth.make_anew();
        let port = trial.truth.server().port();
        trial.proxy.lead_to(port);
        let said = [port, trial.proxy.port()].map(|port| trial.truth.address(port));
        let [Some(said), Some(instead)] = said else {
            panic!("it has an address");
        };
        trial.proxy.say_instead(said, instead);
        refused(&trial, "no message");
        assert_eq!(trial.held(), Some(19), "what was held is served on");
        trial.truth.put(7);
        trial.holds(7);
    }
}

#[test]
fn a_topic_without_a_message_is_refused_as_missing() {
    for mode in ["latest", "table"] {
        let mut trial = Trial::of(mock(mode), EXAMINER);
        assert_eq!(refused(&trial, "no message"), Stage::Received);
        trial.truth.put(1);
        trial.holds(1);
    }
}

#[test]
fn a_topic_that_is_not_there_is_said() {
    use RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART as UNKNOWN;
    let truth = mock("latest");
    truth.cluster().topic_error(TOPIC, UNKNOWN).expect("it may");
    let mut trial = Trial::of(truth, EXAMINER);
    is_lost(&trial, "create it");
    let none = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    trial
        .truth
        .cluster()
        .topic_error(TOPIC, none)
        .expect("it may");
    trial.truth.put(1);
    trial.holds(1);
}

#[test]
fn the_newest_of_several_partitions_is_nobody_knows_which() {
    let mut truth = Kafka::mock("latest", 3);
    let trial = Trial::of(truth, EXAMINER);
    is_lost(&trial, "has 3 partitions");
    truth = Kafka::mock("latest", 3);
    truth.more.push(("partition", SourceSetting::Count(0)));
    let trial = holding(truth);
    trial
        .truth
        .send(&[(1, None, Some(b"9")), (2, None, Some(b"9"))]);
    trial.truth.send(&[(0, None, Some(b"2"))]);
    trial.holds(2);
}

#[test]
fn a_message_without_a_value_is_refused_and_passed_over() {
    let mut trial = holding(mock("latest"));
    trial.truth.send(&[(0, None, None)]);
    assert_eq!(
        refused(&trial, "the message 0:1: it has no value"),
        Stage::Received
    );
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn a_message_that_is_too_large_is_refused_and_passed_over() {
    let mut truth = mock("latest");
    truth.max_bytes = 1_000;
    let mut trial = holding(truth);
    trial.truth.send(&[(0, None, Some(&vec![b'1'; 1_001]))]);
    refused(&trial, "max_bytes");
    trial.truth.put(2);
    trial.holds(2);
}

#[test]
fn a_table_that_is_too_large_is_refused_and_one_that_is_far_too_large_is_not_kept() {
    let mut truth = mock("table");
    truth.max_bytes = 1_000;
    let trial = holding(truth);
    let value = format!("\"{}\"", "x".repeat(900));
    trial
        .truth
        .send_pairs(&[("a", Some(&value)), ("b", Some(&value))]);
    refused(&trial, "max_bytes");
    assert_eq!(trial.held(), Some(1));
    trial.truth.send_pairs(&[("c", Some(&value))]);
    is_lost(&trial, "twice the max_bytes");
    // All of it is read from the start each time, so that what is taken away counts.
    trial
        .truth
        .send_pairs(&[("a", None), ("b", None), ("c", None)]);
    is_lost(&trial, "twice the max_bytes");
}

#[test]
fn a_table_has_the_newest_value_of_each_key_in_all_partitions() {
    let trial = Trial::of(Kafka::mock("table", 3), EXAMINER);
    let value = |partition, key: &'static str, value: &'static str| {
        (partition, Some(key.as_bytes()), Some(value.as_bytes()))
    };
    trial.truth.send(&[
        value(0, "EUR", "1"),
        value(1, "USD", "{\"rate\": 1.08}"),
        value(2, "CHF", "0.95"),
        value(1, "USD", "{\"rate\": 1.11}"),
    ]);
    has(&trial, r#"{"CHF":0.95,"EUR":1,"USD":{"rate":1.11}}"#);
    trial.truth.send(&[(1, Some(b"USD"), None)]);
    has(&trial, r#"{"CHF":0.95,"EUR":1}"#);
    let trial = trial.restarted(|truth| truth.send(&[(2, Some(b"CHF"), None)]));
    has(&trial, r#"{"EUR":1}"#);
    trial.truth.send(&[(0, Some(b"EUR"), None)]);
    has(&trial, "{}");
}

#[test]
fn a_value_that_is_no_content_refuses_the_table_until_its_key_is_well() {
    let trial = Trial::of(mock("table"), EXAMINER);
    trial
        .truth
        .send_pairs(&[("EUR", Some("1")), ("USD", Some("2"))]);
    has(&trial, r#"{"EUR":1,"USD":2}"#);
    trial
        .truth
        .send_pairs(&[("USD", Some("{")), ("EUR", Some("3"))]);
    assert_eq!(
        refused(&trial, "the value of \"USD\" (message 0:2)"),
        Stage::Parsed
    );
    assert_eq!(content(&trial), r#"{"EUR":1,"USD":2}"#);
    // A host that starts now comes to the same.
    let trial = trial.restarted(|_| {});
    refused(&trial, "the value of \"USD\" (message 0:2)");
    trial.truth.send_pairs(&[("USD", None)]);
    has(&trial, r#"{"EUR":3}"#);
    until("nothing is refused", || {
        let status = trial.host.datasets().swap_remove(0);
        status.refusal.is_none().then_some(())
    });
}

#[test]
fn a_message_without_a_key_is_refused_and_passed_over() {
    let trial = Trial::of(mock("table"), EXAMINER);
    trial.truth.send_pairs(&[("EUR", Some("1"))]);
    has(&trial, r#"{"EUR":1}"#);
    trial.truth.send(&[(0, None, Some(b"2"))]);
    refused(&trial, "the message 0:1 has no key");
    trial.truth.send(&[(0, Some(b"\xff"), Some(b"2"))]);
    refused(&trial, "the key of the message 0:2 is not UTF-8");
    trial.truth.send_pairs(&[("EUR", Some("3"))]);
    has(&trial, r#"{"EUR":3}"#);
}

#[test]
fn a_slow_broker_is_no_lost_one() {
    let truth = mock("latest");
    let slow = Duration::from_millis(400);
    truth
        .cluster()
        .broker_round_trip_time(1, slow)
        .expect("it may");
    let mut trial = holding(truth);
    trial.truth.put(2);
    trial.holds(2);
    is_healthy(&trial);
}

#[test]
fn a_host_ends_at_once_though_its_brokers_are_gone_or_silent() {
    for silent in [false, true] {
        let mut trial = holding(mock("latest"));
        if silent {
            trial.proxy.freeze();
        } else {
            trial.truth.server().kill();
        }
        let begin = Instant::now();
        trial.host.shutdown(LIMIT);
        drop(trial.host);
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(5), "it took {took:?}");
    }
}

#[test]
fn an_operators_word_holds_until_the_topic_has_something_else() {
    let mut trial = holding(mock("latest"));
    trial.truth.put(2);
    trial.holds(2);
    let roll_back = |trial: &Trial<Kafka>, pin| {
        let done = trial.host.rollback_data("rates", Some(1), pin, "a test");
        done.expect("it is there").revision
    };
    let revision = roll_back(&trial, false);
    trial.host.rescan();
    trial.truth.put(3);
    trial.holds(3);
    let held = trial.host.data("rates").expect("it is held");
    assert_eq!(
        held.record.number,
        revision + 1,
        "2 was not published again"
    );
    roll_back(&trial, true);
    trial.truth.put(4);
    until("it came", || {
        let status = trial.host.datasets().swap_remove(0);
        (status.source?.state == SourceState::Healthy && status.pinned).then_some(())
    });
    assert_eq!(trial.held(), Some(1));
    roll_back(&trial, false);
    trial.holds(4);
}

/// The trials in which the broker need not end, at somebody's broker; those with a proxy if it is on this machine.
#[test]
fn an_external_broker_is_followed_like_any() {
    let truth = |mode| Kafka::external(mode);
    if truth("latest").is_none() {
        eprintln!("skipped: KAFKA_BOOTSTRAP names no broker; the mock cluster's trials were run");
        return;
    }
    for mode in ["latest", "table"] {
        let truth = || truth(mode).expect("it is named");
        trial::a_change_is_seen(truth(), EXAMINER);
        trial::what_comes_twice_is_one_revision(truth(), EXAMINER);
        trial::garbage_is_refused_and_the_last_good_serves(truth(), EXAMINER);
        trial::a_burst_comes_down_to_the_last(truth(), EXAMINER, number);
        trial::what_changed_meanwhile_is_there(truth(), EXAMINER);
        if is_here(&truth().bootstrap()) {
            trial::cut_connections_lose_nothing(truth(), EXAMINER, number);
            trial::a_silent_connection_is_noticed(truth(), EXAMINER);
        }
    }
}
