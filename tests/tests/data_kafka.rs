//! Data from Kafka: the newest message of a topic, or a table of the newest value of each key.
//!
//! Against librdkafka's mock cluster, which speaks the protocol over TCP; and against the broker that `KAFKA_BOOTSTRAP` names,
//! if it names one.

use host::{
    config::{SourceConfig, SourceSetting},
    data::{Refusal, SourceState},
    event::Happening,
};
use rdkafka::{
    consumer::Consumer,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use std::time::{Duration, Instant};
use tests::{
    sources::{
        Serves, Truth,
        kafka::{Kafka, TOPIC, number},
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
