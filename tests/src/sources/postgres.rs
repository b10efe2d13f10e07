//! PostgreSQL: a server of its own for each test, with a table `rates` that has a number, and triggers as the host installs
//! them.

use super::{
    Counts, Server, Serves, Truth, as_nobody, certificates, faults,
    latency::{self, Latencies},
    standing,
};
use crate::{scene::Scene, waiting::until};
use ::postgres::{Client, Config, NoTls, fallible_iterator::FallibleIterator as _};
use anyhow::Result;
use crossbeam_channel::{Receiver, unbounded};
use host::{
    config::{DatasetConfig, Secret, SourceConfig, SourceSetting},
    data::Revision,
};
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Who owns everything, and its password.
pub const OWNER: &str = "postgres";
/// The password of the owner.
pub const PASSWORD: &str = "s3cret of the owner";
/// What the trial's dataset is read by.
pub const QUERY: &str = "select number::bigint as number from rates";

/// A server with the table `rates`.
pub struct Postgres {
    server: Server,
    client: Option<Client>,
}

impl Postgres {
    /// A server, and a table with triggers; `examiner` as for [`Scene::new`].
    ///
    /// # Panics
    /// When PostgreSQL is not installed, or does not start.
    #[must_use]
    pub fn start(examiner: &str) -> Self {
        let mut truth = Postgres::without_triggers();
        truth.install_triggers(examiner);
        truth
    }

    /// A server, and a table without triggers.
    ///
    /// # Panics
    /// As [`Postgres::start`].
    #[must_use]
    pub fn without_triggers() -> Self {
        let server = Server::start(prepare, command, is_ready);
        let mut truth = Postgres {
            server,
            client: None,
        };
        truth.execute("create table rates (id bigserial primary key, number text); insert into rates (number) values ('0')");
        truth
    }

    /// Has a host install the triggers of `rates`.
    ///
    /// # Panics
    /// When it cannot.
    pub fn install_triggers(&mut self, examiner: &str) {
        let mut scene = Scene::new(examiner);
        let dataset = self.followed(&[]);
        scene.config.data.insert("rates".to_owned(), dataset);
        let host = scene.start();
        let done = host.data_triggers("rates", false, false);
        assert!(done.expect("they are installed").done);
        host.shutdown(Duration::from_secs(60));
    }

    /// A dataset that follows `rates` without a proxy, with these settings beside or in place of the usual ones.
    #[must_use]
    pub fn followed(&self, settings: &[(&str, SourceSetting)]) -> DatasetConfig {
        let mut source = self.source(self.server.port());
        for (key, setting) in settings {
            source.settings.insert((*key).to_owned(), setting.clone());
        }
        DatasetConfig {
            source: Some(source),
            ..self.dataset()
        }
    }

    /// A connection of the test's own.
    ///
    /// # Panics
    /// When there is none to be had.
    #[must_use]
    pub fn connect(&self) -> Client {
        connect(self.server.port()).expect("the server can be reached")
    }

    /// Executes statements on a connection that is made anew when it is lost.
    ///
    /// # Panics
    /// When they fail.
    pub fn execute(&mut self, statements: &str) {
        self.client()
            .batch_execute(statements)
            .unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }

    /// How many rows this query counts.
    ///
    /// # Panics
    /// When it fails.
    pub fn count(&mut self, query: &str) -> i64 {
        let row = self.client().query_one(query, &[]);
        row.unwrap_or_else(|error| panic!("{query}: {error:?}"))
            .get(0)
    }

    /// The connection of [`Postgres::execute`].
    pub fn client(&mut self) -> &mut Client {
        let port = self.server.port();
        let client = self.client.take().filter(|client| !client.is_closed());
        let checked = client.and_then(|mut client| {
            let is_there = client.is_valid(Duration::from_secs(10)).is_ok();
            is_there.then_some(client)
        });
        self.client.insert(
            checked.unwrap_or_else(|| until("the server can be reached", || connect(port).ok())),
        )
    }

    /// Has the server speak TLS with a certificate of an authority of its own, whose file is given.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn speak_tls(&mut self) -> PathBuf {
        let folder = self.server.folder().to_owned();
        certificates::make(&folder);
        let owner = fs::metadata(&folder).expect("it has an owner");
        let [certificate, key] = certificates::server(&folder);
        for path in [&certificate, &key] {
            chown(path, Some(owner.uid()), Some(owner.gid())).expect("root may give it away");
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is private");
        }
        // Each on its own: they are no part of a transaction.
        for statement in [
            format!(
                "alter system set ssl_cert_file = '{}'",
                certificate.display()
            ),
            format!("alter system set ssl_key_file = '{}'", key.display()),
            "alter system set ssl = on".to_owned(),
            "select pg_reload_conf()".to_owned(),
        ] {
            self.execute(&statement);
        }
        until("the server speaks TLS", || {
            let row = self.client().query_one("show ssl", &[]).ok()?;
            (row.get::<_, &str>(0) == "on").then_some(())
        });
        certificates::authority(&folder)
    }
}

impl Postgres {
    /// Has the server, which speaks TLS, let in a role of this name by nothing but a certificate; gives the client's and its
    /// key.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn ask_for_certificates(&mut self, role: &str) -> [PathBuf; 2] {
        let folder = self.server.folder().to_owned();
        let row = self.client().query_one("show hba_file", &[]);
        let rules: String = row.expect("it is told").get(0);
        let others = fs::read_to_string(&rules).expect("it is read");
        let rule = format!("hostssl all {role} 127.0.0.1/32 cert\n{others}");
        fs::write(&rules, rule).expect("it is written");
        let authority = certificates::authority(&folder);
        for statement in [
            format!("alter system set ssl_ca_file = '{}'", authority.display()),
            format!("create role {role} login"),
            format!("grant select on rates to {role}"),
            "select pg_reload_conf()".to_owned(),
        ] {
            self.execute(&statement);
        }
        certificates::client(&folder)
    }
}

impl Truth for Postgres {
    fn source(&self, port: u16) -> SourceConfig {
        let password = PASSWORD.replace(' ', "%20");
        let url = format!("postgres://{OWNER}:{password}@127.0.0.1:{port}/postgres");
        let text = |text: &str| SourceSetting::Text(text.to_owned());
        SourceConfig::of(
            "postgres",
            [
                ("url", SourceSetting::Secret(Secret::new(url))),
                ("table", text("rates")),
                ("query", text(QUERY)),
            ],
        )
    }

    fn server(&mut self) -> &mut dyn Serves {
        &mut self.server
    }

    fn put(&mut self, number: u64) {
        self.execute(&format!("update rates set number = '{number}'"));
    }

    fn put_all(&mut self, numbers: std::ops::Range<u64>) {
        let client = self.client();
        let update = client.prepare("update rates set number = $1");
        let update = update.expect("it is prepared");
        for number in numbers {
            let done = client.execute(&update, &[&number.to_string()]);
            done.expect("it is updated");
        }
    }

    fn put_garbage(&mut self) {
        self.execute("update rates set number = 'garbage'");
    }

    fn number(&self, revision: &Revision) -> Option<u64> {
        standing::number(revision)
    }
}

fn connect(port: u16) -> Result<Client, ::postgres::Error> {
    Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(OWNER)
        .password(PASSWORD)
        .dbname("postgres")
        .connect(NoTls)
}

/// The folder with the programs of the newest installed version.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .collect();
    found.sort();
    // Elsewhere they are on the path, perhaps.
    found.pop().map_or_else(PathBuf::new, |(_, folder)| folder)
}

fn prepare(folder: &Path) {
    let password = folder.join("password");
    fs::write(&password, PASSWORD).expect("it is written");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).expect("it is readable");
    let mut initdb = Command::new(programs().join("initdb"));
    initdb
        .arg("--pgdata")
        .arg(folder.join("data"))
        .args(["--username", OWNER, "--auth", "scram-sha-256", "--no-sync"])
        .args(["--encoding", "UTF8", "--locale", "C"])
        .arg("--pwfile")
        .arg(&password);
    let output = as_nobody(&mut initdb).current_dir(folder).output();
    let output = output.expect("PostgreSQL is installed (apt install postgresql)");
    assert!(output.status.success(), "{output:?}");
}

fn command(folder: &Path, port: u16) -> Command {
    let mut command = Command::new(programs().join("postgres"));
    // What only the end of the machine could lose need not be waited for here.
    command
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""])
        .args(["-c", "fsync=off", "-c", "max_connections=20"])
        .current_dir(folder);
    as_nobody(&mut command);
    command
}

fn is_ready(_folder: &Path, port: u16) -> bool {
    connect(port).is_ok()
}

/// How long so many changes take, beside a client that does nothing but listen.
///
/// # Errors
/// A change does not come through.
pub fn latencies(changes: u64, done: &mut dyn FnMut()) -> Result<Latencies> {
    let truth = Postgres::start("/proc/self/exe");
    latency::measure(truth, |truth| hear(truth.connect()), changes, done)
}

/// Counts what calls see while everything goes wrong that can.
pub fn faults(rounds: u64, done: &mut dyn FnMut()) -> Counts {
    faults::count(
        Postgres::start("/proc/self/exe"),
        faults::OF_A_SERVER,
        rounds,
        done,
    )
}

/// Tells when a notice comes; ends with who listens, or with the connection.
fn hear(mut client: Client) -> Receiver<Instant> {
    let (tell, heard) = unbounded();
    let listens = client.batch_execute("listen \"host.public.rates\"");
    listens.expect("it listens");
    thread::spawn(move || {
        let mut notifications = client.notifications();
        let mut notices = notifications.blocking_iter();
        while let Ok(Some(_)) = notices.next() {
            if tell.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    heard
}
