//! Kafka under trial: librdkafka's own mock cluster, or the broker that `KAFKA_BOOTSTRAP` names.

use super::{Counts, Latencies, Serves, Truth, faults, latency::Course};
use crate::waiting::{LIMIT, until};
use anyhow::Result;
use crossbeam_channel::{Receiver, unbounded};
use host::{
    config::{DatasetConfig, SourceConfig, SourceSetting},
    data::Revision,
};
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    consumer::{BaseConsumer, Consumer},
    message::DeliveryResult,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer, ProducerContext},
};
use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

/// The topic of a mock cluster.
pub const TOPIC: &str = "rates";
/// The key in a table.
const KEY: &str = "number";
/// The only broker of a mock cluster.
const BROKER: i32 = 1;
/// How often a bare client looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// A topic, and the brokers that have it.
pub struct Kafka {
    /// The brokers.
    pub brokers: Brokers,
    topic: String,
    mode: &'static str,
    /// Settings of the source beside those that lead to the topic.
    pub more: Vec<(&'static str, SourceSetting)>,
    /// The largest content of the dataset.
    pub max_bytes: u64,
    producer: BaseProducer<Deliveries>,
}

/// Brokers.
pub enum Brokers {
    /// Those of librdkafka, in this process.
    Mock(MockCluster<'static, DefaultProducerContext>, u16),
    /// Somebody else's, which no test may end.
    External(String),
}

/// A message: partition, key, value.
pub type Sent<'a> = (i32, Option<&'a [u8]>, Option<&'a [u8]>);

/// Counts what could not be delivered.
#[derive(Default)]
struct Deliveries {
    failed: AtomicU64,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        self.failed
            .fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
    }
}

impl Kafka {
    /// A topic with so many partitions at a mock cluster of one broker, in this mode.
    ///
    /// # Panics
    /// When there is no cluster.
    #[must_use]
    pub fn mock(mode: &'static str, partitions: i32) -> Self {
        let cluster = MockCluster::new(1).expect("a cluster");
        cluster.create_topic(TOPIC, partitions, 1).expect("a topic");
        let bootstrap = cluster.bootstrap_servers();
        let port = bootstrap.rsplit_once(':').expect("it has a port").1;
        let port = port.parse().expect("a number");
        Kafka {
            producer: producer(&bootstrap),
            brokers: Brokers::Mock(cluster, port),
            topic: TOPIC.to_owned(),
            mode,
            more: Vec::new(),
            max_bytes: DatasetConfig::default().max_bytes,
        }
    }

    /// A new topic at the broker that `KAFKA_BOOTSTRAP` names; `None` if it names none.
    ///
    /// # Panics
    /// When the topic cannot be made.
    #[must_use]
    pub fn external(mode: &'static str) -> Option<Self> {
        let bootstrap = std::env::var("KAFKA_BOOTSTRAP").ok()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let topic = format!("rates-{mode}-{}", now.expect("after 1970").as_nanos());
        create(&bootstrap, &topic, mode);
        Some(Kafka {
            producer: producer(&bootstrap),
            brokers: Brokers::External(bootstrap),
            topic,
            mode,
            more: Vec::new(),
            max_bytes: DatasetConfig::default().max_bytes,
        })
    }

    /// Exchanges the mock cluster for another one, whose topic has no message yet.
    ///
    /// # Panics
    /// When there is none.
    pub fn make_anew(&mut self) {
        *self = Kafka::mock(self.mode, 1);
    }

    /// The mock cluster.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn cluster(&self) -> &MockCluster<'static, DefaultProducerContext> {
        match &self.brokers {
            Brokers::Mock(cluster, _) => cluster,
            Brokers::External(_) => panic!("only a mock cluster does that"),
        }
    }

    /// Where the brokers are, without a proxy.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        match &self.brokers {
            Brokers::Mock(cluster, _) => cluster.bootstrap_servers(),
            Brokers::External(bootstrap) => bootstrap.clone(),
        }
    }

    /// Sends messages.
    ///
    /// # Panics
    /// When one is not delivered.
    pub fn send(&self, messages: &[Sent<'_>]) {
        for (partition, key, value) in messages {
            let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(*partition);
            record.key = *key;
            record.payload = *value;
            while let Err((_, again)) = self.producer.send(record) {
                self.producer.poll(Duration::from_millis(1));
                record = again;
            }
        }
        self.producer.flush(LIMIT).expect("all is delivered");
        let failed = &self.producer.context().failed;
        assert_eq!(failed.load(Ordering::Relaxed), 0, "all is delivered");
    }

    /// Sends messages to the first partition: key, value.
    pub fn send_pairs(&self, pairs: &[(&str, Option<&str>)]) {
        let messages: Vec<_> = pairs
            .iter()
            .map(|(key, value)| (0, Some(key.as_bytes()), value.map(str::as_bytes)))
            .collect();
        self.send(&messages);
    }

    /// A consumer without a host, in this group.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn consumer(&self, group: &str) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.bootstrap())
            .set("group.id", group)
            .set("enable.auto.commit", "false");
        config.create().expect("a consumer")
    }

    /// What is committed for this group in the first partition.
    ///
    /// # Panics
    /// When it is not said.
    #[must_use]
    pub fn committed(&self, group: &str) -> Option<i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, 0);
        let list = self.consumer(group).committed_offsets(list, LIMIT);
        let list = list.expect("it is said");
        match list.elements().first().map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        }
    }

    /// The moments in which a bare consumer is handed its messages.
    fn notices(&self) -> Receiver<Instant> {
        let consumer = self.consumer("bare");
        let mut list = TopicPartitionList::new();
        let ends = until("the end of the partition is known", || {
            consumer.fetch_watermarks(&self.topic, 0, LIMIT).ok()
        });
        list.add_partition_offset(&self.topic, 0, Offset::Offset(ends.1))
            .expect("it is one");
        consumer.assign(&list).expect("it is there");
        let (told, notices) = unbounded();
        thread::spawn(move || {
            loop {
                match consumer.poll(LOOK) {
                    Some(Ok(message)) => {
                        if told.send(Instant::now()).is_err() {
                            return;
                        }
                        drop(message);
                    }
                    // The broker was killed.
                    Some(Err(_)) => return,
                    None => {}
                }
            }
        });
        notices
    }

    /// A message with this value, under the key of a table if it is one.
    fn message<'a>(&self, value: &'a str) -> Sent<'a> {
        let key = (self.mode == "table").then_some(KEY.as_bytes());
        (0, key, Some(value.as_bytes()))
    }
}

impl Truth for Kafka {
    fn source(&self, port: u16) -> SourceConfig {
        let text = |text: &str| SourceSetting::Text(text.to_owned());
        let brokers = match &self.brokers {
            Brokers::External(bootstrap) if !is_here(bootstrap) => bootstrap.clone(),
            _ => format!("127.0.0.1:{port}"),
        };
        let settings = [
            ("brokers", text(&brokers)),
            ("topic", text(&self.topic)),
            ("mode", text(self.mode)),
        ];
        SourceConfig::of("kafka", settings.into_iter().chain(self.more.clone()))
    }

    fn dataset(&self) -> DatasetConfig {
        DatasetConfig {
            // So long that only what the brokers send can be in time.
            poll: Duration::from_secs(3600),
            max_bytes: self.max_bytes,
            ..DatasetConfig::default()
        }
    }

    fn server(&mut self) -> &mut dyn Serves {
        &mut self.brokers
    }

    fn address(&self, port: u16) -> Option<Vec<u8>> {
        Some([b"127.0.0.1", &i32::from(port).to_be_bytes()[..]].concat())
    }

    fn put(&mut self, number: u64) {
        self.put_all(number..number + 1);
    }

    fn put_all(&mut self, numbers: Range<u64>) {
        let values: Vec<String> = numbers.map(|number| number.to_string()).collect();
        let messages: Vec<Sent<'_>> = values.iter().map(|value| self.message(value)).collect();
        self.send(&messages);
    }

    fn put_garbage(&mut self) {
        self.send(&[self.message("{")]);
    }

    fn number(&self, revision: &Revision) -> Option<u64> {
        number(revision)
    }
}

/// The number in a content, in both modes.
#[must_use]
pub fn number(revision: &Revision) -> Option<u64> {
    let parsed = revision.parsed.as_ref()?;
    parsed.get(KEY).unwrap_or(parsed).as_u64()
}

impl Serves for Brokers {
    fn port(&self) -> u16 {
        match self {
            Brokers::Mock(_, port) => *port,
            Brokers::External(bootstrap) => {
                let port = bootstrap.rsplit_once(':').and_then(|it| it.1.parse().ok());
                port.expect("KAFKA_BOOTSTRAP is one host:port")
            }
        }
    }

    fn kill(&mut self) {
        match self {
            Brokers::Mock(cluster, _) => cluster.broker_down(BROKER).expect("it goes down"),
            Brokers::External(_) => panic!("it is not this test's to end"),
        }
    }

    fn start_again(&mut self) {
        match self {
            Brokers::Mock(cluster, _) => cluster.broker_up(BROKER).expect("it comes up"),
            Brokers::External(_) => panic!("it is not this test's to start"),
        }
    }
}

/// Measures it, in the mode `latest`: the changes at the broker that `KAFKA_BOOTSTRAP` names, if it names one. A mock cluster
/// answers a waiting client only when the client's patience is over, and not when there is something to tell.
///
/// # Errors
/// A change does not come through.
pub fn latencies(count: u64, done: &mut dyn FnMut()) -> Result<Latencies> {
    let mock = || Kafka::mock("latest", 1);
    let truth = Kafka::external("latest").unwrap_or_else(mock);
    let mut latencies = Course::of(truth).changes(Kafka::notices, count, done)?;
    latencies.recovery = Course::of(mock()).recoveries()?;
    Ok(latencies)
}

/// Counts what calls see while everything goes wrong that can: mode `latest`, at a mock cluster.
pub fn faults(rounds: u64, done: &mut dyn FnMut()) -> Counts {
    faults::count(Kafka::mock("latest", 1), faults::OF_A_SERVER, rounds, done)
}

/// Whether a proxy on this machine leads there.
#[must_use]
pub fn is_here(bootstrap: &str) -> bool {
    bootstrap.starts_with("127.0.0.1:")
}

fn producer(bootstrap: &str) -> BaseProducer<Deliveries> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("linger.ms", "0")
        // In order, whatever is sent again.
        .set("max.in.flight.requests.per.connection", "1")
        .set("reconnect.backoff.max.ms", "100");
    let producer = config.create_with_context(Deliveries::default());
    producer.expect("a producer")
}

/// Makes a topic with one partition.
fn create(bootstrap: &str, topic: &str, mode: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let admin: AdminClient<_> = config.create().expect("a client");
    let policy = if mode == "table" { "compact" } else { "delete" };
    let topic = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let topic = topic.set("cleanup.policy", policy);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let made = runtime.block_on(admin.create_topics([&topic], &options));
    for made in made.expect("the broker answers") {
        made.expect("the topic is made");
    }
}
