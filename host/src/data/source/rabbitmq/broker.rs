//! The broker: how it is reached, what is declared there, and where refused messages go.

use super::super::{Inbox, tls};
use crate::data::dataset::Refusal;
use anyhow::{Context, Result, anyhow, bail, ensure};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind,
    ExchangeKind,
    message::Delivery as Message,
    options::{
        BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    tcp::OwnedTLSConfig,
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};
use std::{path::PathBuf, time::Duration};
use tokio::time::timeout;

/// How long connecting and declaring may take, and putting a message aside.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages that are under way at once: one that a pin keeps out, and the next.
pub(super) const AT_ONCE: u16 = 2;
/// Messages that the broker keeps in a queue for a host that is away. Only the newest counts.
const KEPT: i32 = 1;
/// Refused messages that the broker keeps; the oldest goes first.
const KEPT_ASIDE: i32 = 1000;
/// What the broker says of a thing that is not there.
const NOT_FOUND: u16 = 404;
/// What it says of what may not be done, or not twice.
const ACCESS_REFUSED: u16 = 403;

/// Where the broker is, and the names there.
pub(super) struct Settings {
    pub(super) uri: AMQPUri,
    pub(super) ca_file: Option<PathBuf>,
    /// The queue of this host.
    pub(super) own: String,
    pub(super) exchange: String,
    pub(super) routing_key: String,
    /// The queue for refused messages.
    pub(super) dead_letter: String,
}

impl Settings {
    pub(super) fn names(&self) -> [&str; 4] {
        [
            &self.own,
            &self.exchange,
            &self.routing_key,
            &self.dead_letter,
        ]
    }
}

/// A connection to the broker.
pub(super) struct Broker<'a> {
    settings: &'a Settings,
    connection: Connection,
}

impl<'a> Broker<'a> {
    pub(super) async fn connect(settings: &'a Settings) -> Result<Self> {
        tls::settle_cryptography();
        let authorities = settings.ca_file.as_deref().map(tls::authorities);
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: authorities.transpose()?,
        };
        let name = format!("host, for {}", settings.own);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = lapin::runtime::default_runtime().map_err(in_words)?;
        let uri = settings.uri.clone();
        let connecting = Connection::connect_uri_with_config(uri, properties, tls, runtime);
        let authority = &settings.uri.authority;
        let connection = in_time(connecting).await.with_context(|| {
            format!("connecting to RabbitMQ at {}:{}", authority.host, authority.port)
        })?;
        Ok(Broker {
            settings,
            connection,
        })
    }

    /// Makes sure that this host's queue is there, bound to the exchange. What is there is taken as it is.
    pub(super) async fn declare(&self, inbox: &Inbox) -> Result<()> {
        let Settings {
            own,
            exchange,
            routing_key,
            ..
        } = self.settings;
        self.declare_exchange().await?;
        if self.declare_queue(own, KEPT).await? {
            inbox.remark(&format!(
                "queue \"{own}\" was not there and is declared now; what was published on \"{exchange}\" with the key \
                 \"{routing_key}\" before is not known here: publish it once more"
            ));
        }
        let channel = self.channel().await?;
        let binding = channel.queue_bind(
            own.as_str().into(),
            exchange.as_str().into(),
            routing_key.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        in_time(binding)
            .await
            .with_context(|| format!("binding queue \"{own}\" to exchange \"{exchange}\""))?;
        close(&channel).await;
        Ok(())
    }

    async fn declare_exchange(&self) -> Result<()> {
        let exchange = &self.settings.exchange;
        for passive in [true, false] {
            let channel = self.channel().await?;
            let options = ExchangeDeclareOptions {
                passive,
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            let declaring = channel.exchange_declare(
                exchange.as_str().into(),
                ExchangeKind::Topic,
                options,
                FieldTable::default(),
            );
            match timely(declaring).await? {
                Err(error) if passive && code(&error) == Some(NOT_FOUND) => {}
                declared => {
                    declared
                        .map_err(in_words)
                        .with_context(|| format!("declaring exchange \"{exchange}\""))?;
                    close(&channel).await;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Declares a durable queue that keeps this many messages, if it is not there; whether it was not.
    async fn declare_queue(&self, name: &str, kept: i32) -> Result<bool> {
        for passive in [true, false] {
            let channel = self.channel().await?;
            let options = QueueDeclareOptions {
                passive,
                durable: true,
                ..QueueDeclareOptions::default()
            };
            let mut arguments = FieldTable::default();
            arguments.insert("x-max-length".into(), AMQPValue::LongInt(kept));
            arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
            match timely(channel.queue_declare(name.into(), options, arguments)).await? {
                Err(error) if passive && code(&error) == Some(NOT_FOUND) => {}
                declared => {
                    declared
                        .map_err(in_words)
                        .with_context(|| format!("declaring queue \"{name}\""))?;
                    close(&channel).await;
                    return Ok(!passive);
                }
            }
        }
        Ok(false)
    }

    /// Subscribes to this host's queue, as its only consumer.
    pub(super) async fn consume(&self) -> Result<(Channel, Consumer)> {
        let own = &self.settings.own;
        let channel = self.channel().await?;
        in_time(channel.basic_qos(AT_ONCE, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions {
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let consuming =
            channel.basic_consume(own.as_str().into(), "".into(), options, FieldTable::default());
        let consumer = match timely(consuming).await? {
            Ok(consumer) => consumer,
            Err(error) if code(&error) == Some(ACCESS_REFUSED) => bail!(
                "subscribing to queue \"{own}\": {error}; if another host has it, give each a name of its own with `host`"
            ),
            Err(error) => {
                return Err(in_words(error).context(format!("subscribing to queue \"{own}\"")));
            }
        };
        Ok((channel, consumer))
    }

    async fn channel(&self) -> Result<Channel> {
        in_time(self.connection.create_channel()).await
    }
}

/// How many messages wait in this host's queue.
pub(super) async fn waiting(channel: &Channel, settings: &Settings) -> Result<u32> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let own = settings.own.as_str().into();
    let looking = channel.queue_declare(own, options, FieldTable::default());
    Ok(in_time(looking).await?.message_count())
}

/// Puts a refused message into the dead letter, with the reason, and waits until the broker has it.
///
/// It has a connection of its own: a broker that runs out of memory or disk stops to read from those that publish, and
/// would not hear acknowledgements either.
pub(super) async fn put_aside(
    settings: &Settings,
    message: &Message,
    refusal: &Refusal,
    inbox: &Inbox,
) -> Result<()> {
    let broker = Broker::connect(settings).await?;
    let dead_letter = &settings.dead_letter;
    if broker.declare_queue(dead_letter, KEPT_ASIDE).await? {
        inbox.remark(&format!("queue \"{dead_letter}\" is declared for refused messages"));
    }
    let channel = broker.channel().await?;
    in_time(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = with_reason(settings, message, refusal);
    let publishing = async {
        let name = dead_letter.as_str().into();
        let publish = channel.basic_publish("".into(), name, options, &message.data, properties);
        publish.await?.await
    };
    match in_time(publishing).await {
        Ok(Confirmation::Ack(None)) => {}
        Ok(_) => bail!("the broker has not taken it"),
        Err(error) => {
            let blocked = broker.connection.status().blocked();
            ensure!(
                !blocked,
                "the broker takes no messages now: it runs out of memory or disk"
            );
            return Err(error);
        }
    }
    let closing = broker.connection.close(200, "done".into());
    // It is there, however this ends.
    let _closed = timely(closing).await;
    Ok(())
}

/// What a message is put aside with: its own properties but those that would expire it, and why it was refused.
fn with_reason(
    settings: &Settings,
    message: &Message,
    refusal: &Refusal,
) -> BasicProperties {
    const PERSISTENT: u8 = 2;
    let own = &message.properties;
    let mut headers = own.headers().clone().unwrap_or_default();
    for (name, value) in [
        ("x-refused-by", settings.own.as_str()),
        ("x-refused-stage", refusal.stage.word()),
        ("x-refused-reason", &refusal.mistake.to_string()),
        ("x-refused-exchange", message.exchange.as_str()),
        ("x-refused-routing-key", message.routing_key.as_str()),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    if let Some(id) = own.message_id() {
        properties = properties.with_message_id(id.clone());
    }
    if let Some(content_type) = own.content_type() {
        properties = properties.with_content_type(content_type.clone());
    }
    if let Some(timestamp) = own.timestamp() {
        properties = properties.with_timestamp(*timestamp);
    }
    properties
}

/// Closes a channel that has done its work.
pub(super) async fn close(channel: &Channel) {
    // The broker closes it with the connection otherwise.
    let _closed = timely(channel.close(200, "done".into())).await;
}

/// What comes of it, within the patience.
async fn timely<T>(work: impl Future<Output = T>) -> Result<T> {
    let outcome = timeout(PATIENCE, work).await;
    outcome.map_err(|_| anyhow!("the broker has not answered for {PATIENCE:?}"))
}

async fn in_time<T>(work: impl Future<Output = lapin::Result<T>>) -> Result<T> {
    timely(work).await?.map_err(in_words)
}

/// The number of the broker's error, if it is one.
fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// The error, with what to do about it.
pub(super) fn in_words(error: lapin::Error) -> anyhow::Error {
    let text = match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        _ => error.to_string(),
    };
    if text.starts_with("ACCESS_REFUSED - Login") {
        anyhow!("{text}; check the user and the password in its url")
    } else if text.starts_with("ACCESS_REFUSED") {
        anyhow!("{text}; its user needs the permissions to configure, write and read them")
    } else if text.contains("vhost") {
        anyhow!("{text}; check what follows the port in its url, where %2f is the vhost /")
    } else {
        anyhow!(text)
    }
}
