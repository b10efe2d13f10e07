//! SQLite: a database in a file for each test, with a table `rates` that has a number, and triggers as the host installs
//! them.

use super::{
    Counts, Truth, faults,
    latency::{Course, Latencies},
    standing,
};
use crate::scene::Scene;
use anyhow::Result;
use crossbeam_channel::{Receiver, unbounded};
use host::{
    config::{DatasetConfig, SourceConfig, SourceSetting},
    data::Revision,
};
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What the trial's dataset is read by.
pub const QUERY: &str = "select number from rates";
/// How often the bare client looks.
const LOOK: Duration = Duration::from_millis(1);

/// How the database keeps what is being changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// A log beside it that is written on.
    Wal,
    /// What was there before, in a file that is removed at the commit.
    Delete,
}

/// A database with the table `rates`.
pub struct Sqlite {
    folder: TempDir,
    connection: Connection,
}

impl Sqlite {
    /// A database, and a table with triggers; `examiner` as for [`Scene::new`].
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn start(journal: Journal, examiner: &str) -> Self {
        let truth = Sqlite::without_triggers(journal);
        let mut scene = Scene::new(examiner);
        scene
            .config
            .data
            .insert("rates".to_owned(), truth.followed(&[]));
        let host = scene.start();
        let done = host.data_triggers("rates", false, false);
        assert!(done.expect("they are installed").done);
        host.shutdown(Duration::from_secs(60));
        truth
    }

    /// A database, and a table without triggers.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn without_triggers(journal: Journal) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let connection = create(&folder.path().join("rates.db"), journal, 0);
        Sqlite { folder, connection }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("rates.db")
    }

    /// A dataset that follows `rates`, with these settings beside or in place of the usual ones.
    #[must_use]
    pub fn followed(&self, settings: &[(&str, SourceSetting)]) -> DatasetConfig {
        let mut source = self.source(0);
        for (key, setting) in settings {
            source.settings.insert((*key).to_owned(), setting.clone());
        }
        DatasetConfig {
            source: Some(source),
            ..self.dataset()
        }
    }

    /// Executes statements.
    ///
    /// # Panics
    /// When they fail.
    pub fn execute(&self, statements: &str) {
        let done = self.connection.execute_batch(statements);
        done.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// How many rows this query counts.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn count(&self, query: &str) -> i64 {
        let row = self.connection.query_row(query, [], |row| row.get(0));
        row.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Opens the file again, which may be another one by now.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn open_again(&mut self) {
        self.connection = open(&self.path());
    }
}

/// Makes a database with a table `rates` and this number in it.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn create(path: &Path, journal: Journal, number: u64) -> Connection {
    let connection = open(path);
    let mode = match journal {
        Journal::Wal => "wal",
        Journal::Delete => "delete",
    };
    let done = connection.execute_batch(&format!(
        "pragma journal_mode = {mode}; pragma synchronous = off;
         create table rates (number any); insert into rates values ({number})"
    ));
    done.expect("the table is made");
    connection
}

fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("it is opened");
    let patient = connection.busy_timeout(Duration::from_secs(60));
    patient.expect("it waits for others");
    connection
}

impl Truth for Sqlite {
    fn source(&self, _no_port: u16) -> SourceConfig {
        let text = |text: &str| SourceSetting::Text(text.to_owned());
        SourceConfig::of(
            "sqlite",
            [
                ("path", SourceSetting::Path(self.path())),
                ("table", text("rates")),
                ("query", text(QUERY)),
            ],
        )
    }

    fn port(&mut self) -> u16 {
        0
    }

    fn put(&mut self, number: u64) {
        self.execute(&format!("update rates set number = {number}"));
    }

    fn put_garbage(&mut self) {
        self.execute("update rates set number = x'00'");
    }

    fn number(&self, revision: &Revision) -> Option<u64> {
        standing::number(revision)
    }
}

/// How long so many changes take, beside a client that does nothing but ask the database every millisecond whether something
/// has changed. There is no server whose recovery could be measured.
///
/// # Errors
/// A change does not come through.
pub fn latencies(changes: u64, done: &mut dyn FnMut()) -> Result<Latencies> {
    let truth = Sqlite::start(Journal::Wal, "/proc/self/exe");
    let mut course = Course::of(truth);
    course.changes(|truth| hear(&truth.path()), changes, done)
}

/// Counts what calls see while everything goes wrong that can.
pub fn faults(rounds: u64, done: &mut dyn FnMut()) -> Counts {
    faults::count(
        Sqlite::start(Journal::Wal, "/proc/self/exe"),
        faults::OF_A_FILE,
        rounds,
        done,
    )
}

/// Tells when the database is seen to be changed; ends with who listens.
fn hear(path: &Path) -> Receiver<Instant> {
    let (tell, heard) = unbounded();
    let connection = open(path);
    let version = move || -> i64 {
        let version = connection.pragma_query_value(None, "data_version", |row| row.get(0));
        version.expect("it can be asked")
    };
    let mut last = version();
    thread::spawn(move || {
        loop {
            let now = version();
            if now != last && tell.send(Instant::now()).is_err() {
                return;
            }
            last = now;
            thread::sleep(LOOK);
        }
    });
    heard
}
