//! The store: what a host keeps on disk from one life to the next.
//!
//! It is a folder, the state directory, with the journal (`journal.redb`), the artifacts that a rollback may need
//! (`artifacts/<digest>.so`), the saved states (`snapshots/<plugin>-<generation>.state`), the staged copies of this
//! life (`staged/`), and a lock that keeps a second host out.
//!
//! # Invariants
//! 1. One host at a time: the lock is held as long as the store is open, and falls with the process.
//! 2. What a method has answered `Ok` to is on disk; a kept verdict with what is written next.
//! 3. A file under `artifacts/` or `snapshots/` is whole from the moment it has its name: it is written under another
//!    one, or linked from a finished file.
//! 4. Everything is bounded: records of a plugin, kept verdicts, artifacts, and one saved state a plugin.
//!
//! The journal is the only table of contents: an artifact that no plugin refers to is removed, a saved state is found by
//! its name.

mod artifacts;
mod database;
mod journal;
mod releases;
mod rows;
mod snapshots;
#[cfg(test)]
mod tests;
mod verdicts;

use anyhow::{Context, bail};
pub(crate) use database::Database;
use parking_lot::Mutex;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The journal's share of memory. Records are small, and read rarely.
const CACHE: usize = 4 << 20;
/// What a file under way is called until it is whole.
const UNFINISHED: &str = "part";
/// How much is kept.
const LIMITS: Limits = Limits {
    records: 10_000,
    verdicts: 1_000,
};

/// How much is kept at most; the oldest goes first.
#[derive(Clone, Copy)]
struct Limits {
    /// Records of one plugin.
    records: u64,
    /// Verdicts of all artifacts.
    verdicts: u64,
}

/// What a host keeps on disk from one life to the next.
pub(crate) struct Store {
    database: Database,
    artifacts: PathBuf,
    snapshots: PathBuf,
    staged: PathBuf,
    limits: Limits,
    generations: Mutex<journal::Reserved>,
    /// Held while artifacts are linked or removed, so that none goes between its reference and its file.
    artifact_files: Mutex<()>,
    /// Holds the lock until the store is dropped; the last field, so that the journal is closed by then.
    _lock: Lock,
}

/// The lock on a state directory.
///
/// Given back by name: a child process that is just being started shares it until it runs its own program.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // It falls with the process at the latest.
        let _falls = self.0.unlock();
    }
}

impl Store {
    /// Opens the store in `state_dir`, which is made if it is missing.
    ///
    /// Fails when another host is using it, or when the journal is damaged.
    pub(crate) fn open(state_dir: &Path) -> anyhow::Result<Store> {
        Store::open_within(state_dir, LIMITS)
    }

    fn open_within(state_dir: &Path, limits: Limits) -> anyhow::Result<Store> {
        make_dir(state_dir)?;
        // By the names that the kernel has for it: that is how mapped copies are found again.
        let state_dir = &state_dir
            .canonicalize()
            .with_context(|| format!("finding {} from the root", state_dir.display()))?;
        let lock = lock(state_dir)?;
        let artifacts = state_dir.join("artifacts");
        let snapshots = state_dir.join("snapshots");
        let staged = state_dir.join("staged");
        for dir in [&artifacts, &snapshots, &staged] {
            make_dir(dir)?;
        }
        empty(&staged, |_| true)?;
        for dir in [&artifacts, &snapshots] {
            empty(dir, |path| {
                path.extension().is_some_and(|end| end == UNFINISHED)
            })?;
        }
        let database = Database::open(&state_dir.join("journal.redb"), CACHE)?;
        let generations = Mutex::new(journal::prepare(&database)?);
        Ok(Store {
            database,
            artifacts,
            snapshots,
            staged,
            limits,
            generations,
            artifact_files: Mutex::new(()),
            _lock: lock,
        })
    }

    /// Where staged copies are put. It is empty when the store is opened.
    pub(crate) fn staged_dir(&self) -> &Path {
        &self.staged
    }
}

fn make_dir(dir: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("making the directory {}", dir.display()))
}

/// Takes the lock, and leaves this process's number in it for whoever comes second.
fn lock(state_dir: &Path) -> anyhow::Result<Lock> {
    let path = state_dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).ok();
            let holder = match holder.trim() {
                "" => "another host".to_owned(),
                pid => format!("another host, process {pid}"),
            };
            bail!(
                "the state directory {} is in use by {holder}; stop it, or name another directory with --state-dir",
                state_dir.display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("locking {}", path.display()));
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(Lock(file))
}

/// Removes the files of `dir` that `goes` picks.
fn empty(dir: &Path, goes: impl Fn(&Path) -> bool) -> anyhow::Result<()> {
    for path in files(dir)? {
        if goes(&path) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// What stands in `dir`.
fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || {
        fs::read_dir(dir)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    };
    let paths: std::io::Result<Vec<PathBuf>> = read();
    paths.with_context(|| format!("reading the directory {}", dir.display()))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    };
    removed.with_context(|| format!("removing {}", path.display()))
}

/// Makes the names in `dir` durable.
fn sync_dir(dir: &Path) -> anyhow::Result<()> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .with_context(|| format!("writing the directory {}", dir.display()))
}
