//! The file: a source whose truth is a file, or a folder of files.
//!
//! A folder is one content: an object with the parsed content of each file under the file's stem. Which files belong to it
//! is told by the endings of the dataset's format.
//!
//! A notice of the system is a hint to look, and each look reads the truth anew; without a hint it is looked at every
//! `poll`. What was renamed into place is whole, and taken at once. What is being written is left alone until it was quiet
//! for a moment, and so is what was just written and does not parse. What is gone for longer than an editor takes to put
//! a new file in its place is refused as missing. How to find all that is the [`trail`]'s affair.

mod trail;

use super::{Circumstances, Delivery, Inbox, Kind, Source};
use crate::{
    config::{Key, Reads, SourceConfig},
    data::{
        dataset::Stage,
        format::{Format, Mistake},
        publisher::too_large,
    },
};
use anyhow::{Context, Result};
use crossbeam_channel::select;
use serde_json::{Map, Value};
use std::{
    fs::{self, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};
use trail::{Sign, Trail};

/// The kind of source.
pub(super) const KIND: Kind = Kind {
    word: "file",
    feature: None,
    keys: &[Key::required("path", Reads::Path)],
    place: "path",
    make: Some(make),
};

/// How long a file that is being written must be quiet.
const QUIET: Duration = Duration::from_millis(50);
/// After how long one that is never quiet is refused.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// How long a file may be gone before it counts as missing.
const GONE: Duration = Duration::from_millis(250);
/// Files that a folder may have.
const MOST_FILES: usize = 10_000;

fn make(config: &SourceConfig, circumstances: &Circumstances) -> Result<Box<dyn Source>> {
    let path = config.path("path").context("it has no path")?;
    let path = std::path::absolute(path)
        .with_context(|| format!("finding {} from the root", path.display()))?;
    Ok(Box::new(FileSource {
        path,
        circumstances: *circumstances,
        gone_since: None,
        written_since: None,
    }))
}

struct FileSource {
    path: PathBuf,
    circumstances: Circumstances,
    /// Since when there is no such file.
    gone_since: Option<Instant>,
    /// Since when it is being written.
    written_since: Option<Instant>,
}

/// What a look has found.
enum Found {
    /// Content.
    Content(Delivery),
    /// It is being written, or was until just now.
    Unsettled,
    /// It is not there.
    Gone(String),
    /// It cannot be used.
    Unfit(Stage, Mistake),
}

impl Source for FileSource {
    fn follow(&mut self, inbox: &Inbox) -> Result<()> {
        let mut trail = Trail::new(&self.path);
        if let Some(reason) = trail.is_blind() {
            inbox.remark(&format!(
                "{reason}; the file is only looked at every `poll`"
            ));
        }
        let mut next = Instant::now();
        let mut sign = Sign::Written;
        loop {
            select! {
                recv(trail.told()) -> _ => {
                    sign = trail.sign();
                    next = match sign {
                        Sign::Writing => self.when_quiet(),
                        Sign::Moved | Sign::Written => Instant::now(),
                    };
                }
                recv(inbox.bell()) -> rung => match rung {
                    Ok(()) => next = Instant::now(),
                    Err(_) => return Ok(()),
                },
                default(next.saturating_duration_since(Instant::now())) => {}
            }
            if Instant::now() >= next {
                next = Instant::now() + self.look(inbox, &mut trail, sign)?;
                sign = Sign::Writing;
            }
        }
    }
}

impl FileSource {
    /// When a file that is being written may be looked at.
    fn when_quiet(&mut self) -> Instant {
        let now = Instant::now();
        let since = *self.written_since.get_or_insert(now);
        (now + QUIET).min(since + LONGEST_WRITE).max(now)
    }

    /// Looks at the truth, brings it, and says after how long to look again.
    fn look(&mut self, inbox: &Inbox, trail: &mut Trail, sign: Sign) -> Result<Duration> {
        // Notices first, then the look: what changes in between is noticed.
        let way = trail.follow();
        let found = self.find(sign, self.is_overdue());
        if trail.follow() != way {
            return Ok(Duration::ZERO);
        }
        if !matches!(found, Found::Gone(_)) {
            self.gone_since = None;
        }
        if !matches!(found, Found::Unsettled) {
            self.written_since = None;
        }
        match found {
            Found::Content(delivery) => drop(inbox.deliver(delivery)?),
            Found::Unfit(stage, mistake) => inbox.refuse(stage, mistake)?,
            Found::Unsettled => {
                self.written_since.get_or_insert_with(Instant::now);
                return Ok(QUIET);
            }
            Found::Gone(reason) => {
                let gone = self.gone_since.get_or_insert_with(Instant::now).elapsed();
                if gone < GONE {
                    return Ok(GONE - gone);
                }
                inbox.refuse(Stage::Received, Mistake::of_all(reason))?;
            }
        }
        inbox.healthy();
        Ok(self.circumstances.poll)
    }

    /// Whether it has been written for so long that it is refused.
    fn is_overdue(&self) -> bool {
        self.written_since
            .is_some_and(|since| since.elapsed() >= LONGEST_WRITE)
    }

    fn find(&self, sign: Sign, overdue: bool) -> Found {
        let found = match fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_dir() => self.find_folder(sign),
            Ok(metadata) => self.find_file(&metadata, sign),
            Err(error) => Err(error),
        };
        match found {
            Ok(Found::Unsettled) if overdue => {
                let mistake = Mistake::of_all("it is being written all the time");
                Found::Unfit(Stage::Received, mistake)
            }
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Found::Gone(format!("there is no file {}", self.path.display()))
            }
            Err(error) => {
                let reason = format!("{} cannot be read: {error}", self.path.display());
                Found::Unfit(Stage::Received, Mistake::of_all(reason))
            }
        }
    }

    fn find_file(&self, metadata: &Metadata, sign: Sign) -> io::Result<Found> {
        let Some(content) = self.read(&self.path, metadata, sign)? else {
            return Ok(Found::Unsettled);
        };
        if let Some(unfit) = self.unfit(content.len() as u64) {
            return Ok(unfit);
        }
        let format = self.circumstances.format;
        let is_young = sign == Sign::Written && age(metadata) < QUIET;
        if is_young && format.parse(&content).is_err() {
            return Ok(Found::Unsettled);
        }
        Ok(Found::Content(Delivery {
            content,
            format: None,
            cursor: None,
        }))
    }

    fn find_folder(&self, sign: Sign) -> io::Result<Found> {
        let format = self.circumstances.format;
        if format == Format::Bytes {
            let mistake = Mistake::of_all("a folder needs a format that is parsed, not \"bytes\"");
            return Ok(Found::Unfit(Stage::Received, mistake));
        }
        let files = files_of(&self.path, format)?;
        if files.len() > MOST_FILES {
            let mistake = Mistake::of_all(format!("it has more than {MOST_FILES} files"));
            return Ok(Found::Unfit(Stage::Received, mistake));
        }
        let (mut object, mut length) = (Map::new(), 0);
        for path in &files {
            let metadata = fs::metadata(path)?;
            let Some(content) = self.read(path, &metadata, sign)? else {
                return Ok(Found::Unsettled);
            };
            length += content.len() as u64;
            if let Some(unfit) = self.unfit(length) {
                return Ok(unfit);
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            match format.parse(&content) {
                Err(_) if age(&metadata) < QUIET => return Ok(Found::Unsettled),
                Err(mistake) => {
                    let reason = format!("in {name}: {}", mistake.reason);
                    let mistake = Mistake::new(mistake.position, reason);
                    return Ok(Found::Unfit(Stage::Parsed, mistake));
                }
                Ok(parsed) => {
                    if object
                        .insert(stem.to_string(), parsed.unwrap_or_default())
                        .is_some()
                    {
                        let mistake = Mistake::of_all(format!("two files are called {stem}"));
                        return Ok(Found::Unfit(Stage::Parsed, mistake));
                    }
                }
            }
        }
        // Files that came or went meanwhile belong to another content.
        if files_of(&self.path, format)? != files {
            return Ok(Found::Unsettled);
        }
        Ok(Found::Content(Delivery {
            content: serde_json::to_vec(&Value::Object(object))?,
            format: Some(Format::Json),
            cursor: None,
        }))
    }

    /// What the file holds, up to one byte beyond what is allowed; `None` while it is being written.
    fn read(&self, path: &Path, before: &Metadata, sign: Sign) -> io::Result<Option<Vec<u8>>> {
        if !before.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        if sign == Sign::Writing && age(before) < QUIET {
            return Ok(None);
        }
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let mut content = Vec::new();
        let most = self.circumstances.max_bytes.saturating_add(1);
        Read::by_ref(&mut &file)
            .take(most)
            .read_to_end(&mut content)?;
        let is_same = looks(&file.metadata()?) == looks(before);
        Ok(is_same.then_some(content))
    }

    fn unfit(&self, length: u64) -> Option<Found> {
        let most = self.circumstances.max_bytes;
        (length > most).then(|| Found::Unfit(Stage::Received, too_large(length, most)))
    }
}

/// What changes when a file is written, or another one is put in its place.
fn looks(metadata: &Metadata) -> (u64, u64, u64, i64, i64) {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    )
}

/// How long ago it was written. A file from the future is old.
fn age(metadata: &Metadata) -> Duration {
    let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let age = SystemTime::now().duration_since(written);
    age.unwrap_or(LONGEST_WRITE)
}

/// The files of a folder in this format, by name. Hidden ones are none of it.
fn files_of(folder: &Path, format: Format) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && ending.is_some_and(|ending| format.endings().contains(&ending)) {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            break;
        }
    }
    files.sort();
    Ok(files)
}
