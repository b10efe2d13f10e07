//! SQLite: a source whose truth is what a query gives of a database in a file.
//!
//! A database tells nobody of changes but who made them. So its files are looked at often, and after each notice of the
//! system; where they were written, the database is asked whether another connection has changed something, and only then
//! the query is read, in one transaction. With the triggers installed a change that is not the table's costs no read.
//!
//! What others put in the place of the file is another database: a connection is made anew when the file is another one,
//! when it was written without a change that the database tells of, and every `poll`. A database that cannot be read is
//! refused with the reason, and looked at on.

mod database;
mod triggers;

use super::{Circumstances, Delivery, Inbox, Kind, Source, changes};
use crate::{
    config::{Key, Reads, SourceConfig, SourceSetting},
    data::{
        dataset::Stage,
        format::{Format, Mistake},
        triggers::TriggerOrder,
    },
    notices::{Depth, Notice, Notices},
};
use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, bounded, select};
use database::{Database, Found, Gate, Looks};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The kind of source.
pub(super) const KIND: Kind = Kind {
    word: "sqlite",
    feature: Some("sqlite"),
    keys: &[
        Key::required("path", Reads::Path),
        Key::required("table", Reads::Text),
        Key::required("query", Reads::Text),
        Key::optional("key", Reads::Text),
        Key::optional("look", Reads::Duration),
        Key::optional("timeout", Reads::Duration),
    ],
    place: "path",
    make: Some(make),
};

/// How often the files are looked at, where nobody says otherwise.
const LOOK: Duration = Duration::from_millis(50);
/// How long the query may take, and how long a writer may keep it out.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a file may be gone before it counts as missing.
const GONE: Duration = Duration::from_millis(250);
/// How soon a query that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long after a write it may become visible, or another one leave the same time on a file: meanwhile the database is asked
/// at each look.
const SETTLED: Duration = Duration::from_secs(1);
/// Until when after a write looks are frequent, and how frequent.
const FREQUENT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(5));
/// How often the database itself is asked, whatever its files look like.
const ASK: Duration = Duration::from_secs(1);

/// What the source was declared with.
struct Settings {
    path: PathBuf,
    table: String,
    query: String,
    key: Option<String>,
    look: Duration,
    timeout: Duration,
    max_bytes: u64,
    poll: Duration,
}

fn make(config: &SourceConfig, circumstances: &Circumstances) -> Result<Box<dyn Source>> {
    if circumstances.format != Format::Json {
        bail!("what a query gives is JSON; leave out `format`");
    }
    let text = |word| config.text(word).map(str::to_owned);
    let duration = |word, default| match config.settings.get(word) {
        Some(SourceSetting::Duration(duration)) => *duration,
        _ => default,
    };
    let path = config.path("path").context("it has no path")?;
    let settings = Settings {
        path: std::path::absolute(path)
            .with_context(|| format!("finding {} from the root", path.display()))?,
        table: text("table").context("it has no table")?,
        query: text("query").context("it has no query")?,
        key: text("key"),
        look: duration("look", LOOK),
        timeout: duration("timeout", TIMEOUT),
        max_bytes: circumstances.max_bytes,
        poll: circumstances.poll,
    };
    Ok(Box::new(Sqlite(settings)))
}

struct Sqlite(Settings);

/// How far a source has come.
#[derive(Default)]
struct Progress {
    database: Option<Database>,
    /// How the files looked before the last read.
    looks: Option<Looks>,
    /// How the database stood at the last read.
    gate: Option<Gate>,
    /// When the database was asked last.
    asked: Option<Instant>,
    /// When it is to be read again, whatever has changed.
    due: Option<Instant>,
    /// Since when there is no file.
    gone_since: Option<Instant>,
    /// Since when a writer keeps it locked.
    locked_since: Option<Instant>,
}

impl Source for Sqlite {
    fn follow(&mut self, inbox: &Inbox) -> Result<()> {
        let mut hints = Hints::of(&self.0.path);
        let mut progress = Progress::default();
        loop {
            if progress.database.is_none() {
                hints.watch();
            }
            self.look(inbox, &mut progress)?;
            let looks = progress.looks.as_ref();
            let pause = match looks.is_some_and(|looks| looks.are_younger_than(FREQUENT.0)) {
                true => self.0.look.min(FREQUENT.1),
                false => self.0.look,
            };
            select! {
                recv(hints.told) -> _ => {}
                recv(inbox.bell()) -> rung => match rung {
                    Ok(()) => progress.due = None,
                    Err(_) => return Ok(()),
                },
                default(pause) => {}
            }
        }
    }

    fn triggers(&mut self, order: &TriggerOrder) -> Result<String> {
        triggers::execute(&self.0, order)
    }
}

impl Sqlite {
    /// Looks whether something has changed, and brings it.
    fn look(&self, inbox: &Inbox, progress: &mut Progress) -> Result<()> {
        let path = &self.0.path;
        let Some(looks) = Looks::of(path) else {
            progress.database = None;
            progress.due = None;
            let gone = progress.gone_since.get_or_insert_with(Instant::now);
            if gone.elapsed() >= GONE {
                let reason = format!("there is no database {}", path.display());
                inbox.refuse(Stage::Received, Mistake::of_all(reason))?;
                inbox.healthy();
            }
            return Ok(());
        };
        progress.gone_since = None;
        let now = Instant::now();
        let is_due = progress.due.is_none_or(|due| due <= now);
        let last = progress.looks.as_ref();
        let is_another = last.is_none_or(|last| !last.is_same_file(&looks));
        let was_written = looks.are_younger_than(SETTLED) || last != Some(&looks);
        let was_asked = progress.asked.is_some_and(|asked| asked.elapsed() < ASK);
        // Where there is no connection there is nobody to ask.
        let was_asked = was_asked || progress.database.is_none();
        if !(is_due || is_another || was_written) && was_asked {
            return Ok(());
        }
        if is_due || is_another {
            progress.database = None;
        }
        let found = self.find(progress, &looks);
        progress.asked = Some(now);
        if matches!(found, Found::Locked) {
            let since = progress.locked_since.get_or_insert(now);
            if since.elapsed() < self.0.timeout {
                return Ok(());
            }
        } else {
            progress.locked_since = None;
            progress.looks = Some(looks);
        }
        self.bring(inbox, progress, found)
    }

    /// What the database has that is new since the connection was made.
    fn find(&self, progress: &mut Progress, looks: &Looks) -> Found {
        if progress.database.is_none() {
            progress.gate = None;
            match Database::open(&self.0) {
                Ok(database) => progress.database = Some(database),
                Err(found) => return found,
            }
            // Another file may have been put there in between.
            if !Looks::of(&self.0.path).is_some_and(|now| looks.is_same_file(&now)) {
                progress.database = None;
                return Found::Locked;
            }
        }
        let Some(database) = &mut progress.database else {
            return Found::Same;
        };
        let (found, gate) = database.find(&self.0, progress.gate.as_ref());
        // The file was written and the database knows of no change: it was not written by one.
        let is_foreign = matches!(found, Found::Same)
            && gate.is_none()
            && (progress.looks.as_ref()).is_some_and(|last| !last.has_same_content(looks));
        if is_foreign {
            progress.database = None;
            return self.find(progress, looks);
        }
        if matches!(found, Found::Unfit(_)) {
            // What the connection has in its memory may be what is wrong.
            progress.database = None;
        }
        if let Some(gate) = gate {
            progress.gate = Some(gate);
        }
        found
    }

    fn bring(&self, inbox: &Inbox, progress: &mut Progress, found: Found) -> Result<()> {
        let mut again = self.0.poll;
        match found {
            Found::Same => {
                // Nothing is new, and so nothing is confirmed that was refused.
                return Ok(());
            }
            Found::Content(delivery) => match changes::behind(inbox, &delivery) {
                Some(mistake) => inbox.refuse(Stage::Received, mistake)?,
                None => drop(inbox.deliver(delivery)?),
            },
            Found::Unfit(mistake) => {
                again = again.min(RETRY);
                inbox.refuse(Stage::Received, mistake)?;
            }
            Found::Locked => {
                let reason = format!(
                    "a writer has kept {} locked for {:?}; it is read when it lets go",
                    self.0.path.display(),
                    self.0.timeout
                );
                inbox.refuse(Stage::Received, Mistake::of_all(reason))?;
                inbox.healthy();
                // Though nothing may have changed by then.
                progress.due = None;
                return Ok(());
            }
        }
        progress.due = Some(crate::deadline::after(again));
        inbox.healthy();
        Ok(())
    }
}

/// Notices of the system that files of the database have changed.
struct Hints {
    folder: PathBuf,
    notices: Option<Notices>,
    told: Receiver<()>,
}

impl Hints {
    fn of(path: &Path) -> Hints {
        let (tell, told) = bounded(1);
        let name = path.file_name().unwrap_or_default().to_owned();
        let notices = Notices::new(move |notice| {
            let is_ours = |path: &Path| {
                let other = path.file_name().unwrap_or_default();
                (other.as_encoded_bytes()).starts_with(name.as_encoded_bytes())
            };
            let concerns = match &notice {
                Notice::Lost => true,
                Notice::Created(path)
                | Notice::Changed(path)
                | Notice::Written(path)
                | Notice::Removed(path)
                | Notice::MovedAway(path)
                | Notice::MovedHere(path) => is_ours(path),
            };
            if concerns {
                // A bell that rings already is enough.
                let _rings = tell.try_send(());
            }
        });
        Hints {
            folder: path.parent().unwrap_or(Path::new("/")).to_owned(),
            // Without notices there are still the looks.
            notices: notices.ok(),
            told,
        }
    }

    /// Watches the folder that has the name of the database's now.
    fn watch(&mut self) {
        if let Some(notices) = &mut self.notices {
            notices.unwatch(&self.folder);
            let _looks_are_enough = notices.watch(&self.folder, Depth::Folder);
        }
    }
}
