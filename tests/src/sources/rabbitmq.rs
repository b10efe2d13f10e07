//! A truth in RabbitMQ: the number in the newest message with a routing key of the test's own.
//!
//! A broker takes seconds to start, so one is [shared](RabbitTruth::shared) by the tests that leave it alone. What is put is
//! put until a queue has it: before a host has declared one, there is none.

mod broker;

use super::{Counts, Latencies, Server, Serves, Truth, certificates, faults, latency};
use crate::waiting::until;
use anyhow::Result;
use broker::Broker;
use crossbeam_channel::{Receiver, unbounded};
use futures_util::StreamExt;
use host::{
    config::{DatasetConfig, Secret, SourceConfig, SourceSetting},
    data::Revision,
};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    message::BasicGetMessage,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    tcp::OwnedTLSConfig,
    types::FieldTable,
};
use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// The exchange that sources are bound to where nothing else is said.
pub const EXCHANGE: &str = "amq.topic";
/// The password of the user that brokers have at first.
pub const PASSWORD: &str = "guest";
/// A number in RabbitMQ.
pub struct RabbitTruth {
    broker: Broker,
    runtime: Runtime,
    client: Option<(Connection, Channel)>,
    /// The routing key, and what queues are named after.
    pub name: String,
    /// Settings of the source beside `url`, `queue` and `host`.
    pub settings: Vec<(&'static str, SourceSetting)>,
    /// How the dataset is declared.
    pub dataset: DatasetConfig,
    /// The URL of the source; `{}` stands for the port.
    pub url: String,
}

impl RabbitTruth {
    /// On the broker that tests share.
    #[must_use]
    pub fn shared() -> Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        let server = SHARED.get_or_init(|| broker::start(false));
        RabbitTruth::on(Broker::Shared(server))
    }

    /// On a broker of its own, which may be killed.
    #[must_use]
    pub fn alone() -> Self {
        RabbitTruth::on(Broker::Own(broker::start(false)))
    }

    /// On a broker of its own that speaks TLS, with a certificate of an authority of its own.
    #[must_use]
    pub fn behind_tls() -> Self {
        let mut truth = RabbitTruth::on(Broker::Own(broker::start(true)));
        truth.url = truth.url.replace("amqp:", "amqps:");
        truth
    }

    fn on(broker: Broker) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        RabbitTruth {
            broker,
            runtime,
            client: None,
            name: format!("rates-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            settings: Vec::new(),
            dataset: DatasetConfig {
                poll: Duration::from_secs(3600),
                ..DatasetConfig::default()
            },
            url: format!("amqp://guest:{PASSWORD}@127.0.0.1:{{}}"),
        }
    }

    fn folder(&self) -> &Path {
        self.broker.server().folder()
    }

    /// The queue of the host.
    #[must_use]
    pub fn queue(&self) -> String {
        format!("{}.here", self.name)
    }

    /// The queue for what was refused.
    #[must_use]
    pub fn dead_letter(&self) -> String {
        format!("{}.dead", self.name)
    }

    /// Where the authority's certificate is.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        certificates::authority(self.folder())
    }

    /// Does this at the broker, on a channel that is made anew where it was lost.
    ///
    /// # Errors
    /// The broker refuses it.
    ///
    /// # Panics
    /// When there is no broker.
    pub fn ask<A>(
        &mut self,
        ask: impl AsyncFnOnce(&Channel) -> lapin::Result<A>,
    ) -> lapin::Result<A> {
        let lives = |(connection, channel): &(Connection, Channel)| {
            connection.status().connected() && channel.status().connected()
        };
        if !self.client.as_ref().is_some_and(lives) {
            self.client = None;
            self.client = Some(until("the broker lets in", || self.connect().ok()));
        }
        let (_, channel) = self.client.as_ref().expect("it is connected");
        self.runtime.block_on(ask(channel))
    }

    fn connect(&self) -> lapin::Result<(Connection, Channel)> {
        let scheme = if self.ca_file().exists() {
            "amqps"
        } else {
            "amqp"
        };
        let url = format!(
            "{scheme}://guest:{PASSWORD}@127.0.0.1:{}",
            self.broker.port()
        );
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: fs::read_to_string(self.ca_file()).ok(),
        };
        self.runtime.block_on(async {
            let runtime = lapin::runtime::default_runtime()?;
            let properties = ConnectionProperties::default();
            let connection =
                Connection::connect_with_config(&url, properties, tls, runtime).await?;
            let channel = connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            Ok((connection, channel))
        })
    }

    /// Publishes this with these headers until a queue has it.
    pub fn publish(&mut self, content: &str, headers: &FieldTable) {
        until("a queue has the message", || {
            let key = self.name.as_str().into();
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let properties = properties().with_headers(headers.clone());
            let confirmed = self.ask(async |channel| {
                channel
                    .basic_publish(
                        EXCHANGE.into(),
                        key,
                        options,
                        content.as_bytes(),
                        properties,
                    )
                    .await?
                    .await
            });
            (confirmed.ok()? == Confirmation::Ack(None)).then_some(())
        });
    }

    /// How many messages wait in a queue; none, if there is no such queue.
    pub fn waiting(&mut self, queue: &str) -> u32 {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = queue.into();
        let declared = self.ask(async |channel| {
            channel
                .queue_declare(queue, options, FieldTable::default())
                .await
        });
        declared.map_or(0, |queue| queue.message_count())
    }

    /// The next message of a queue, if there is one.
    pub fn get(&mut self, queue: &str) -> Option<BasicGetMessage> {
        let options = BasicGetOptions { no_ack: true };
        let queue = queue.into();
        let got = self.ask(async |channel| channel.basic_get(queue, options).await);
        got.ok().flatten()
    }

    /// Has the broker run out of memory, or not any more.
    ///
    /// # Panics
    /// When its tool does not reach it.
    pub fn alarm(&self, is_on: bool) {
        let share = if is_on { "0" } else { "0.8" };
        self.broker.tool(&["set_vm_memory_high_watermark", share]);
    }

    /// Lets in this user, who may configure, write and read what these expressions name.
    ///
    /// # Panics
    /// When the broker's tool does not reach it.
    pub fn let_in(&self, user: &str, permissions: [&str; 3]) {
        self.broker.tool(&["add_user", user, PASSWORD]);
        let [configure, write, read] = permissions;
        self.broker
            .tool(&["set_permissions", user, configure, write, read]);
    }

    /// A bare client with a queue of its own: when it was told of each change.
    ///
    /// # Panics
    /// When it cannot subscribe.
    #[must_use]
    pub fn hears(&self) -> Receiver<Instant> {
        let (told, heard) = unbounded();
        let (connection, channel) = self.connect().expect("the broker lets in");
        let mut consumer = self
            .runtime
            .block_on(hear(&channel, &self.name))
            .expect("it subscribes");
        self.runtime.spawn(async move {
            let _both_live_as_long = (connection, channel);
            while let Some(Ok(_)) = consumer.next().await {
                if told.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
        heard
    }
}

/// Subscribes to what is published with this key.
async fn hear(channel: &Channel, key: &str) -> lapin::Result<Consumer> {
    let none = FieldTable::default;
    let options = QueueDeclareOptions::exclusive();
    let queue = channel.queue_declare("".into(), options, none()).await?;
    let (queue, key) = (queue.name().clone(), key.into());
    let bind = QueueBindOptions::default();
    channel
        .queue_bind(queue.clone(), EXCHANGE.into(), key, bind, none())
        .await?;
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    channel
        .basic_consume(queue, "".into(), options, none())
        .await
}

impl Truth for RabbitTruth {
    fn source(&self, port: u16) -> SourceConfig {
        let url = self.url.replace("{}", &port.to_string());
        let own = [
            ("url", SourceSetting::Secret(Secret::new(url))),
            ("queue", SourceSetting::Text(self.name.clone())),
            ("host", SourceSetting::Text("here".to_owned())),
        ];
        SourceConfig::of("rabbitmq", own.into_iter().chain(self.settings.clone()))
    }

    fn dataset(&self) -> DatasetConfig {
        self.dataset.clone()
    }

    fn server(&mut self) -> &mut dyn Serves {
        &mut self.broker
    }

    fn put(&mut self, number: u64) {
        self.publish(&number.to_string(), &FieldTable::default());
    }

    fn put_all(&mut self, numbers: Range<u64>) {
        let key = self.name.clone();
        let published = self.ask(async |channel| {
            for number in numbers {
                let content = number.to_string();
                let options = BasicPublishOptions::default();
                // Whether the broker has it is asked once for all.
                drop(
                    channel
                        .basic_publish(
                            EXCHANGE.into(),
                            key.as_str().into(),
                            options,
                            content.as_bytes(),
                            properties(),
                        )
                        .await?,
                );
            }
            channel.wait_for_confirms().await
        });
        published.expect("the broker has them");
    }

    fn put_garbage(&mut self) {
        self.publish("{", &FieldTable::default());
    }

    fn number(&self, revision: &Revision) -> Option<u64> {
        number(revision)
    }
}

/// The number in a content.
#[must_use]
pub fn number(revision: &Revision) -> Option<u64> {
    revision.parsed.as_ref()?.as_u64()
}

/// How long changes take, beside what a bare client with a queue of its own needs.
///
/// # Errors
/// A change does not come through.
pub fn latencies(changes: u64, done: &mut dyn FnMut()) -> Result<Latencies> {
    latency::measure(RabbitTruth::alone(), RabbitTruth::hears, changes, done)
}

/// Counts what calls see while everything goes wrong that can.
pub fn faults(rounds: u64, done: &mut dyn FnMut()) -> Counts {
    faults::count(RabbitTruth::alone(), faults::OF_A_SERVER, rounds, done)
}

fn properties() -> BasicProperties {
    const PERSISTENT: u8 = 2;
    BasicProperties::default().with_delivery_mode(PERSISTENT)
}
