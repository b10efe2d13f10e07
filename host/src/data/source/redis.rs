//! Redis: a source whose truth is the value of a key.
//!
//! The server is asked to tell when what was read is no longer so (client tracking), and whoever publishes on `channel`
//! tells too. Either is a hint: the key is read again, and every `poll` without one. A subscription is confirmed before the
//! first read, and what comes during a read leads to another one.
//!
//! What is heard comes in on a connection of its own, since the server cuts off a subscriber to whom it has too much to
//! send, and the value may be that much. Each connection must answer a ping every `heartbeat`; when one of them is lost,
//! both are made anew, and the key is read again.

use super::{Circumstances, Delivery, Inbox, Kind, Source, tls, wait};
use crate::{
    config::{Key, Reads, SourceConfig, SourceSetting},
    data::{dataset::Stage, format::Mistake, publisher::too_large},
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, PushInfo, PushKind, RedisError, TlsCertificates, aio::MultiplexedConnection,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

/// The kind of source.
pub(super) const KIND: Kind = Kind {
    word: "redis",
    feature: Some("redis"),
    keys: &[
        Key::required("url", Reads::Secret),
        Key::required("key", Reads::Text),
        Key::optional("channel", Reads::Text),
        Key::optional("version_key", Reads::Text),
        Key::optional("heartbeat", Reads::Duration),
        Key::optional("ca_file", Reads::Path),
    ],
    place: "key",
    make: Some(make),
};

/// How often a connection must answer, where nothing else is said.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a connect may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a read may take, beside a second for each MiB that it may bring.
const READ: Duration = Duration::from_secs(10);
/// The longest version, in bytes.
const VERSION: isize = 32;
/// What to do about a login that is refused.
const LOGIN: &str = "check the user and the password in its url";
/// What a user needs to be allowed.
const PERMISSIONS: &str = "exists, strlen, getrange, multi, exec, ping, client|tracking on the key, subscribe on the channel";

fn make(config: &SourceConfig, circumstances: &Circumstances) -> Result<Box<dyn Source>> {
    let url = config.secret("url").context("it has no url")?.expose();
    let info = url.into_connection_info().map_err(|error| {
        let error = config.redacted(&error.to_string());
        anyhow!("its url is none of Redis ({error}); write redis://USER:PASSWORD@HOST:6379/DATABASE, or rediss:// for TLS")
    })?;
    let ca_file = config.path("ca_file").map(Into::into);
    ensure!(
        ca_file.is_none() || matches!(info.addr(), ConnectionAddr::TcpTls { .. }),
        "it has a ca_file, and no TLS; begin its url with rediss://"
    );
    let heartbeat = match config.settings.get("heartbeat") {
        Some(SourceSetting::Duration(heartbeat)) => *heartbeat,
        _ => HEARTBEAT,
    };
    let settings = info.redis_settings().clone();
    let settings = settings.set_protocol(ProtocolVersion::RESP3);
    let text = |key| config.text(key).map(ToOwned::to_owned);
    Ok(Box::new(RedisSource {
        info: info.set_redis_settings(settings),
        ca_file,
        key: text("key").context("it has no key")?,
        channel: text("channel"),
        version_key: text("version_key"),
        heartbeat,
        circumstances: *circumstances,
    }))
}

struct RedisSource {
    info: ConnectionInfo,
    ca_file: Option<PathBuf>,
    key: String,
    channel: Option<String>,
    version_key: Option<String>,
    heartbeat: Duration,
    circumstances: Circumstances,
}

/// What connections have told since it was last looked at. However much that is, it is one hint.
#[derive(Default)]
struct Told {
    something: Notify,
    is_lost: AtomicBool,
}

/// What a read has found.
enum Found {
    Content(Delivery),
    Unfit(Mistake),
}

/// The connections: one for reads, and one for what is published if there is a channel.
struct Connections {
    reading: MultiplexedConnection,
    hearing: Option<MultiplexedConnection>,
    told: Arc<Told>,
}

impl Source for RedisSource {
    fn follow(&mut self, inbox: &Inbox) -> Result<()> {
        wait::on_this_thread(inbox, self.run(inbox))
    }
}

impl RedisSource {
    async fn run(&self, inbox: &Inbox) -> Result<()> {
        let mut connections = self.connect(inbox).await?;
        loop {
            match self.read(&mut connections.reading, inbox).await? {
                Found::Content(delivery) => drop(inbox.deliver(delivery)?),
                Found::Unfit(mistake) => inbox.refuse(Stage::Received, mistake)?,
            }
            inbox.healthy();
            self.wait(&mut connections, inbox).await?;
        }
    }

    /// Both connections, with every subscription confirmed.
    async fn connect(&self, inbox: &Inbox) -> Result<Connections> {
        let told = Arc::new(Told::default());
        let client = self.client()?;
        let hearing = match &self.channel {
            None => None,
            Some(channel) => {
                let mut hearing = self.connection(&client, &told).await?;
                let subscribed = hearing.subscribe(channel).await;
                subscribed
                    .map_err(in_words)
                    .with_context(|| format!("subscribing to channel \"{channel}\""))?;
                Some(hearing)
            }
        };
        let mut reading = self.connection(&client, &told).await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON");
        if let Err(error) = tracking.exec_async(&mut reading).await {
            ensure!(!error.is_io_error(), in_words(error));
            let otherwise = match &self.channel {
                Some(_) => "only what is published on the channel tells of a change",
                None => "the key is only looked at every `poll`; name a channel",
            };
            inbox.remark(&format!("the server does not track reads ({error}); {otherwise}"));
        }
        Ok(Connections {
            reading,
            hearing,
            told,
        })
    }

    fn client(&self) -> Result<Client> {
        tls::settle_cryptography();
        let client = match &self.ca_file {
            None => Client::open(self.info.clone()),
            Some(ca_file) => {
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(tls::authorities(ca_file)?.into_bytes()),
                };
                Client::build_with_tls(self.info.clone(), certificates)
            }
        };
        client.map_err(in_words)
    }

    async fn connection(&self, client: &Client, told: &Arc<Told>) -> Result<MultiplexedConnection> {
        let mebibytes = self.circumstances.max_bytes >> 20;
        let told = Arc::clone(told);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(Some(READ + Duration::from_secs(mebibytes)))
            .set_push_sender(move |push: PushInfo| {
                told.hear(&push.kind);
                Ok::<(), ()>(())
            });
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let connection = timeout(CONNECT, connecting).await;
        connection
            .map_err(|_| anyhow!("it has not answered for {CONNECT:?}"))
            .and_then(|connection| connection.map_err(in_words))
            .with_context(|| format!("connecting to Redis at {}", self.info.addr()))
    }

    /// Waits until the key should be read again.
    async fn wait(&self, connections: &mut Connections, inbox: &Inbox) -> Result<()> {
        let poll = sleep(self.circumstances.poll);
        tokio::pin!(poll);
        loop {
            tokio::select! {
                () = connections.told.something.notified() => {
                    ensure!(
                        !connections.told.is_lost.load(Ordering::Acquire),
                        "the server has closed the connection: it has ended, or has cut it off"
                    );
                    return Ok(());
                }
                () = inbox.rung() => return Ok(()),
                () = &mut poll => return Ok(()),
                () = sleep(self.heartbeat) => self.ping(connections).await?,
            }
        }
    }

    /// Each connection answers.
    async fn ping(&self, connections: &mut Connections) -> Result<()> {
        let hearing = connections.hearing.iter_mut();
        for connection in hearing.chain([&mut connections.reading]) {
            let ping = redis::cmd("PING");
            match timeout(self.heartbeat, ping.exec_async(connection)).await {
                Ok(answer) => answer.map_err(in_words)?,
                Err(_) => bail!("the connection has not answered for {:?}", self.heartbeat),
            }
        }
        Ok(())
    }

    /// What the key holds now, up to one byte beyond what is allowed.
    async fn read(&self, connection: &mut MultiplexedConnection, inbox: &Inbox) -> Result<Found> {
        let most = self.circumstances.max_bytes;
        let mut reads = redis::pipe();
        reads.atomic().exists(&self.key).strlen(&self.key);
        reads.getrange(&self.key, 0, isize::try_from(most).unwrap_or(isize::MAX));
        // Without a version its place is taken by that of the key, and not looked at.
        let version_key = self.version_key.as_ref().unwrap_or(&self.key);
        reads.getrange(version_key, 0, VERSION);
        let read = reads.query_async(connection).await;
        let (exists, length, content, version): (bool, u64, Vec<u8>, Vec<u8>) = match read {
            Ok(read) => read,
            Err(error) if is_wrong_type(&error) => {
                return Ok(unfit(format!("{} holds no string; write it with SET", self.names())));
            }
            Err(error) => return Err(in_words(error).context(format!("reading {}", self.names()))),
        };
        if !exists {
            let database = self.info.redis_settings().db();
            let key = &self.key;
            return Ok(unfit(format!("there is no key \"{key}\" in database {database}")));
        }
        if length > most {
            return Ok(Found::Unfit(too_large(length, most)));
        }
        let cursor = match &self.version_key {
            None => None,
            Some(version_key) => match newer(version_key, &version, inbox) {
                Ok(version) => Some(version.to_string()),
                Err(reason) => return Ok(unfit(reason)),
            },
        };
        Ok(Found::Content(Delivery {
            content,
            format: None,
            cursor,
        }))
    }

    fn names(&self) -> String {
        match &self.version_key {
            None => format!("key \"{}\"", self.key),
            Some(version) => format!("key \"{}\" or key \"{version}\"", self.key),
        }
    }
}

impl Told {
    fn hear(&self, kind: &PushKind) {
        match kind {
            PushKind::Disconnection => self.is_lost.store(true, Ordering::Release),
            PushKind::Invalidate | PushKind::Message => {}
            _ => return,
        }
        self.something.notify_one();
    }
}

fn unfit(reason: String) -> Found {
    Found::Unfit(Mistake::of_all(reason))
}

/// The version, if it is not older than what was brought before.
fn newer(version_key: &str, version: &[u8], inbox: &Inbox) -> Result<u64, String> {
    let text = String::from_utf8_lossy(version);
    let version: u64 = text.parse().map_err(|_| {
        format!("key \"{version_key}\" holds no version but \"{text}\"; raise it with INCR when the key is set")
    })?;
    let (_, before) = inbox.held();
    match before.and_then(|before| before.parse::<u64>().ok()) {
        Some(before) if version < before => Err(format!(
            "version {version} is older than {before}, which was brought before: this is a replica that lags behind, \
             or the count was begun anew; in that case set \"{version_key}\" above {before}"
        )),
        _ => Ok(version),
    }
}

/// The error, with what to do about it.
fn in_words(error: RedisError) -> anyhow::Error {
    let kind = error.kind();
    let errors = error.clone().into_server_errors();
    // Of a transaction whose commands all fail for one reason, the first says it.
    let Some((_, first)) = errors.as_deref().and_then(<[_]>::first) else {
        return match kind {
            ErrorKind::RESP3NotSupported => anyhow!("{error}; Redis 6 or later is needed"),
            ErrorKind::AuthenticationFailed => anyhow!("{error}; {LOGIN}"),
            _ => anyhow!("{error}"),
        };
    };
    let (code, details) = (first.code(), first.details().unwrap_or_default());
    match code {
        "WRONGPASS" | "NOAUTH" => anyhow!("{code} {details}; {LOGIN}"),
        "NOPERM" => anyhow!("{code} {details}; its user needs: {PERMISSIONS}"),
        _ => anyhow!("{code} {details}"),
    }
}

/// Whether the server says that a key holds something else than a string.
fn is_wrong_type(error: &RedisError) -> bool {
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == "WRONGTYPE"))
}
