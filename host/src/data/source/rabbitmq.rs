//! RabbitMQ: a source whose truth is the newest message of a queue.
//!
//! A message is the whole dataset. Each host has a durable queue of its own, bound to an exchange, in which the broker keeps
//! the newest message for a host that is away. What was published or refused is acknowledged; what was refused is first put
//! into the dead letter, with the reason. A message that a pin keeps out is kept unacknowledged until the pin is lifted, or
//! a newer one comes. Since a broker does not wait for ever, it is given back at each `poll`, with the whole subscription: one
//! message given back by itself would come again behind newer ones that were on their way.
//!
//! # Why nothing older is brought
//! 1. The host is the only consumer of its queue, so what it has of a lost connection is back in its place before it hears
//!    again, and the order is that of the queue.
//! 2. After each connect all that was in the queue is taken before anything is decided on: what is delivered again for want of
//!    an acknowledgement comes down to the newest, which is known by its digest.
//! 3. Where publishers count their messages in the header `x-version`, one with a lower number than that of what was brought
//!    is acknowledged as outdated.

mod broker;

use super::{Circumstances, Delivery, Inbox, Kind, Source, wait};
use crate::{
    config::{Key, Reads, SourceConfig, SourceSetting},
    data::publisher::Decision,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use broker::{Broker, Settings, in_words};
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Consumer,
    message::Delivery as Message,
    options::BasicAckOptions,
    types::AMQPValue,
    uri::{AMQPScheme, AMQPUri},
};
use std::time::Duration;
use tokio::time::sleep;

/// The kind of source.
pub(super) const KIND: Kind = Kind {
    word: "rabbitmq",
    feature: Some("rabbitmq"),
    keys: &[
        Key::required("url", Reads::Secret),
        Key::required("queue", Reads::Text),
        Key::optional("host", Reads::Text),
        Key::optional("exchange", Reads::Text),
        Key::optional("routing_key", Reads::Text),
        Key::optional("dead_letter", Reads::Text),
        Key::optional("heartbeat", Reads::Duration),
        Key::optional("ca_file", Reads::Path),
    ],
    place: "queue",
    make: Some(make),
};

/// How often each side must be heard, where nothing else is said. After twice that the connection is lost.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The exchange of brokers that is always there and that publishers need not declare.
const EXCHANGE: &str = "amq.topic";
/// The longest name, in bytes.
const LONGEST_NAME: usize = 255;
/// The header in which a publisher counts its messages.
const VERSION: &str = "x-version";

fn make(config: &SourceConfig, circumstances: &Circumstances) -> Result<Box<dyn Source>> {
    let url = config.secret("url").context("it has no url")?.expose();
    let mut uri: AMQPUri = url.parse().map_err(|error: String| {
        let error = config.redacted(&error);
        anyhow!("its url is none of AMQP ({error}); write amqp://USER:PASSWORD@HOST:5672/VHOST, or amqps:// for TLS")
    })?;
    let ca_file = config.path("ca_file").map(Into::into);
    ensure!(
        ca_file.is_none() || uri.scheme == AMQPScheme::AMQPS,
        "it has a ca_file, and no TLS; begin its url with amqps://"
    );
    let heartbeat = match config.settings.get("heartbeat") {
        Some(SourceSetting::Duration(heartbeat)) => *heartbeat,
        _ => HEARTBEAT,
    };
    let seconds = u16::try_from(heartbeat.as_secs()).unwrap_or(u16::MAX);
    uri.query.heartbeat = Some(seconds.max(1));
    let text = |key| config.text(key).map(ToOwned::to_owned);
    let queue = text("queue").context("it has no queue")?;
    let host = text("host").unwrap_or_else(machine);
    let settings = Settings {
        own: format!("{queue}.{host}"),
        exchange: text("exchange").unwrap_or_else(|| EXCHANGE.to_owned()),
        routing_key: text("routing_key").unwrap_or_else(|| queue.clone()),
        dead_letter: text("dead_letter").unwrap_or_else(|| format!("{queue}.dead")),
        uri,
        ca_file,
    };
    for name in settings.names() {
        ensure!(
            name.len() <= LONGEST_NAME,
            "\"{name}\" is too long for a name at a broker; it has more than {LONGEST_NAME} bytes"
        );
    }
    Ok(Box::new(RabbitSource {
        settings,
        circumstances: *circumstances,
    }))
}

/// The name of this machine.
fn machine() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

struct RabbitSource {
    settings: Settings,
    circumstances: Circumstances,
}

impl Source for RabbitSource {
    fn follow(&mut self, inbox: &Inbox) -> Result<()> {
        wait::on_this_thread(inbox, self.run(inbox))
    }
}

impl RabbitSource {
    async fn run(&self, inbox: &Inbox) -> Result<()> {
        let broker = Broker::connect(&self.settings).await?;
        loop {
            broker.declare(inbox).await?;
            self.hear(&broker, inbox).await?;
        }
    }

    /// Follows one subscription, until a pin has kept a message out when it is time to look for the binding.
    async fn hear(&self, broker: &Broker<'_>, inbox: &Inbox) -> Result<()> {
        let (channel, consumer) = broker.consume().await?;
        let mut newest = Newest {
            inbox,
            consumer,
            message: None,
        };
        newest.take_all(&channel, &self.settings).await?;
        loop {
            newest.take_present().await?;
            if let Some(message) = newest.message.take() {
                newest.message = self.decide(message, inbox).await?;
            }
            inbox.healthy();
            tokio::select! {
                next = newest.consumer.next() => newest.take(next).await?,
                () = inbox.rung() => {}
                () = sleep(self.circumstances.poll) => {
                    if newest.message.is_some() {
                        // What is not acknowledged is back in its place then.
                        broker::close(&channel).await;
                        return Ok(());
                    }
                    // Nobody tells of a binding that was removed.
                    broker.declare(inbox).await?;
                }
            }
        }
    }

    /// Brings the message, and acknowledges it when all is done with it. Returns it if it is kept out by a pin.
    async fn decide(&self, message: Message, inbox: &Inbox) -> Result<Option<Message>> {
        let decision = inbox.deliver(Delivery {
            content: message.data.clone(),
            format: None,
            cursor: cursor(&message),
        })?;
        if decision == Decision::Pinned {
            return Ok(Some(message));
        }
        // What was published before the queue was there does not matter any more.
        inbox.no_remark();
        if let Decision::Refused(refusal) = decision {
            let put = broker::put_aside(&self.settings, &message, &refusal, inbox).await;
            let dead_letter = &self.settings.dead_letter;
            put.with_context(|| {
                format!("putting a refused message into \"{dead_letter}\"; until then it is not acknowledged")
            })?;
        }
        acknowledge(&message).await?;
        Ok(None)
    }
}

/// The newest message that was heard and is not done with.
struct Newest<'a> {
    inbox: &'a Inbox,
    consumer: Consumer,
    message: Option<Message>,
}

impl Newest<'_> {
    /// Takes what was in the queue when it was subscribed to.
    async fn take_all(&mut self, channel: &Channel, settings: &Settings) -> Result<()> {
        let waiting = broker::waiting(channel, settings).await?;
        let mut left = u64::from(waiting) + u64::from(broker::AT_ONCE);
        // What is on its way while the queue is looked at is here after the next look.
        let mut empty = 0;
        while empty < 2 && left > 0 {
            let waiting = broker::waiting(channel, settings).await?;
            let came = self.take_present().await?;
            left = left.saturating_sub(came);
            empty = if waiting == 0 && came == 0 { empty + 1 } else { 0 };
        }
        Ok(())
    }

    /// Takes what is here already, and says how much that was.
    async fn take_present(&mut self) -> Result<u64> {
        let mut came = 0;
        while let Some(next) = self.consumer.next().now_or_never() {
            self.take(next).await?;
            came += 1;
        }
        Ok(came)
    }

    /// Takes one more; the older one is done with.
    async fn take(&mut self, next: Option<lapin::Result<Message>>) -> Result<()> {
        let Some(message) = next else {
            bail!("the broker has ended the subscription: the queue was deleted, perhaps");
        };
        let message = message.map_err(in_words)?;
        let before = match &self.message {
            Some(before) => cursor(before),
            None => self.inbox.held().1,
        };
        let is_outdated = match (version(&message), before.as_deref().and_then(version_of)) {
            (Some(now), Some(before)) => now < before,
            _ => false,
        };
        if is_outdated {
            return acknowledge(&message).await;
        }
        match self.message.replace(message) {
            Some(older) => acknowledge(&older).await,
            None => Ok(()),
        }
    }
}

async fn acknowledge(message: &Message) -> Result<()> {
    let acknowledged = message.ack(BasicAckOptions::default()).await;
    acknowledged.map(drop).map_err(in_words)
}

/// What tells a message from others: its version, or else its id.
fn cursor(message: &Message) -> Option<String> {
    let id = message.properties.message_id().as_ref();
    version(message)
        .map(|version| format!("version {version}"))
        .or_else(|| id.map(|id| format!("message {id}")))
}

/// The version in a cursor.
fn version_of(cursor: &str) -> Option<i64> {
    cursor.strip_prefix("version ")?.parse().ok()
}

/// The number in which the publisher counts its messages, if it does.
fn version(message: &Message) -> Option<i64> {
    let headers = message.properties.headers().as_ref()?;
    match headers.inner().get(VERSION)? {
        AMQPValue::ShortShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => Some((*number).into()),
        AMQPValue::ShortUInt(number) => Some((*number).into()),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::LongLongInt(number) => Some(*number),
        AMQPValue::LongString(text) => text.to_string().parse().ok(),
        _ => None,
    }
}
