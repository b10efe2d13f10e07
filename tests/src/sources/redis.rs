//! A truth in Redis: the number under the key `rates`, on a server of the test's own.
//!
//! The test reaches the server through a Unix socket, so that it needs neither TLS nor a login.

use super::{Counts, Latencies, Server, Serves, Truth, as_nobody, certificates, faults, latency};
use anyhow::Result;
use crossbeam_channel::{Receiver, unbounded};
use host::{
    config::{Secret, SourceConfig, SourceSetting},
    data::Revision,
};
use redis::{Client, Commands, Connection, Pipeline};
use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// The key whose value is the truth.
pub const KEY: &str = "rates";
/// The channel on which a truth that has one tells of changes.
pub const CHANNEL: &str = "changes";
/// The password of every user.
pub const PASSWORD: &str = "a-word-nobody-says";
/// Changes that go over the socket at once in a burst.
const AT_ONCE: usize = 500;

/// Who may log in: the host by tracking, by a channel, by neither; with everything but the key; and with everything.
const USERS: &str = "
user tracks on >a-word-nobody-says ~rates ~rates:version +exists +strlen +getrange +multi +exec +ping +client|tracking
user hears on >a-word-nobody-says ~rates &changes +exists +strlen +getrange +multi +exec +ping +subscribe
user polls on >a-word-nobody-says ~rates +exists +strlen +getrange +multi +exec +ping
user elsewhere on >a-word-nobody-says ~other +@all
";

/// How a server keeps its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Each write is on disk before it is answered.
    All,
    /// A restart begins with nothing.
    Nothing,
}

/// A number in Redis.
pub struct RedisTruth {
    /// In this order: the connection ends before its server.
    connection: Option<Connection>,
    server: Server,
    user: &'static str,
    /// Settings of the source beside `url` and `key`.
    pub settings: Vec<(&'static str, SourceSetting)>,
    /// How the dataset is declared.
    pub dataset: host::config::DatasetConfig,
    /// Whether the host connects by TLS.
    pub tls: bool,
}

impl RedisTruth {
    /// A server whose host logs in as this user: `tracks`, `hears`, `polls`, `elsewhere`.
    #[must_use]
    pub fn of(user: &'static str, keeps: Keeps) -> Self {
        let prepare = move |folder: &Path| prepare(folder, keeps, false);
        RedisTruth::with(user, Server::start(prepare, command, is_ready))
    }

    /// A server that is told of changes by its own tracking.
    #[must_use]
    pub fn tracked() -> Self {
        RedisTruth::of("tracks", Keeps::All)
    }

    /// A server whose changes are published on a channel, and told in no other way.
    #[must_use]
    pub fn published() -> Self {
        let mut truth = RedisTruth::of("hears", Keeps::All);
        let channel = SourceSetting::Text(CHANNEL.to_owned());
        truth.settings.push(("channel", channel));
        truth
    }

    /// A server that speaks TLS on its port, with a certificate of an authority of its own.
    #[must_use]
    pub fn behind_tls() -> Self {
        let prepare = |folder: &Path| prepare(folder, Keeps::All, true);
        let mut truth = RedisTruth::with("tracks", Server::start(prepare, command, is_ready));
        truth.tls = true;
        truth
    }

    fn with(user: &'static str, server: Server) -> Self {
        RedisTruth {
            connection: None,
            server,
            user,
            settings: Vec::new(),
            dataset: host::config::DatasetConfig {
                poll: std::time::Duration::from_secs(3600),
                ..host::config::DatasetConfig::default()
            },
            tls: false,
        }
    }

    /// Where the authority's certificate is.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        certificates::authority(self.server.folder())
    }

    /// Does this at the server, on a connection that is made anew where it was lost.
    ///
    /// # Panics
    /// When it cannot be done.
    pub fn ask<A: redis::FromRedisValue>(
        &mut self,
        ask: impl Fn(&mut Connection) -> redis::RedisResult<A>,
    ) -> A {
        if let Some(answer) = self.connection.as_mut().and_then(|lost| ask(lost).ok()) {
            return answer;
        }
        let connection = connect(self.server.folder());
        let connection = self.connection.insert(connection);
        ask(connection).expect("it is done")
    }

    /// A bare client of the channel: when it was told of each change.
    ///
    /// # Panics
    /// When it cannot subscribe.
    #[must_use]
    pub fn hears(&self) -> Receiver<Instant> {
        let (told, heard) = unbounded();
        let mut connection = connect(self.server.folder());
        std::thread::spawn(move || {
            let mut subscription = connection.as_pubsub();
            subscription.subscribe(CHANNEL).expect("it subscribes");
            told.send(Instant::now()).expect("the test waits");
            while subscription.get_message().is_ok() && told.send(Instant::now()).is_ok() {}
        });
        heard.recv().expect("it has subscribed");
        heard
    }
}

impl Truth for RedisTruth {
    fn source(&self, port: u16) -> SourceConfig {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let url = format!("{scheme}://{}:{PASSWORD}@127.0.0.1:{port}", self.user);
        let own = [
            ("url", SourceSetting::Secret(Secret::new(url))),
            ("key", SourceSetting::Text(KEY.to_owned())),
        ];
        SourceConfig::of("redis", own.into_iter().chain(self.settings.clone()))
    }

    fn dataset(&self) -> host::config::DatasetConfig {
        self.dataset.clone()
    }

    fn server(&mut self) -> &mut dyn Serves {
        &mut self.server
    }

    fn put(&mut self, number: u64) {
        let mut changes = redis::pipe();
        change(changes.atomic(), &number.to_string());
        self.ask(|connection| changes.exec(connection));
    }

    fn put_all(&mut self, numbers: Range<u64>) {
        let numbers: Vec<u64> = numbers.collect();
        for numbers in numbers.chunks(AT_ONCE) {
            let mut changes = redis::pipe();
            for number in numbers {
                change(&mut changes, &number.to_string());
            }
            self.ask(|connection| changes.exec(connection));
        }
    }

    fn put_garbage(&mut self) {
        let mut changes = redis::pipe();
        change(&mut changes, "{");
        self.ask(|connection| changes.exec(connection));
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

/// How long changes take that the server's tracking tells; the bare client is a subscriber.
///
/// # Errors
/// A change does not come through.
pub fn tracked_latencies(changes: u64, done: &mut dyn FnMut()) -> Result<Latencies> {
    latency::measure(RedisTruth::tracked(), RedisTruth::hears, changes, done)
}

/// Counts what calls see while everything goes wrong that can: changes that the server's tracking tells.
pub fn tracked_faults(rounds: u64, done: &mut dyn FnMut()) -> Counts {
    faults::count(RedisTruth::tracked(), faults::OF_A_SERVER, rounds, done)
}

/// How long changes take that are told on a channel; the bare client is a subscriber.
///
/// # Errors
/// A change does not come through.
pub fn published_latencies(changes: u64, done: &mut dyn FnMut()) -> Result<Latencies> {
    latency::measure(RedisTruth::published(), RedisTruth::hears, changes, done)
}

/// Counts what calls see while everything goes wrong that can: changes that are published on a channel.
pub fn published_faults(rounds: u64, done: &mut dyn FnMut()) -> Counts {
    faults::count(RedisTruth::published(), faults::OF_A_SERVER, rounds, done)
}

fn change(changes: &mut Pipeline, content: &str) {
    changes.set(KEY, content).ignore();
    changes.publish(CHANNEL, "").ignore();
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

fn connect(folder: &Path) -> Connection {
    let socket = socket(folder);
    let client = Client::open(format!("unix://{}", socket.display())).expect("it is a URL");
    client.get_connection().expect("the server is there")
}

fn prepare(folder: &Path, keeps: Keeps, tls: bool) {
    let shown = folder.display();
    let mut settings = format!(
        "dir {shown}\nunixsocket {}\nbind 127.0.0.1\nsave \"\"\ndaemonize no\n{USERS}",
        socket(folder).display()
    );
    if keeps == Keeps::All {
        settings += "appendonly yes\nappendfsync always\n";
    }
    if tls {
        certificates::make(folder);
        let [certificate, key] = certificates::server(folder);
        settings += &format!(
            "tls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\ntls-auth-clients no\n",
            certificates::authority(folder).display(),
            certificate.display(),
            key.display()
        );
    }
    let path = folder.join("redis.conf");
    fs::write(&path, settings).expect("it is written");
}

fn command(folder: &Path, port: u16) -> Command {
    let mut command = Command::new("redis-server");
    command.arg(folder.join("redis.conf"));
    let port = port.to_string();
    if certificates::authority(folder).exists() {
        command.args(["--port", "0", "--tls-port", &port]);
    } else {
        command.args(["--port", &port]);
    }
    as_nobody(&mut command);
    command
}

fn is_ready(folder: &Path, port: u16) -> bool {
    let client = Client::open(format!("unix://{}", socket(folder).display()));
    let answer = client
        .and_then(|client| client.get_connection())
        .and_then(|mut connection| connection.exists::<_, bool>(KEY));
    answer.is_ok() && Server::accepts(folder, port)
}
