//! Watch: takes a private copy of a finished file, which everything later reads instead of the file.
//!
//! Takes a path. Gives a [`Staged`] copy, named for its digest, with its manifest.
//! Fails when the file is not all there (it will be looked at again), is no plugin, or claims to be one this host cannot
//! take. Callers notice nothing.

use crate::artifact::{
    Digest,
    elf::{self, Unfit},
};
use anyhow::{Context, Result, anyhow};
use plugin_api::manifest::Manifest;
use std::{
    fs::{File, Metadata},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

/// The largest file that is looked at.
const LARGEST: u64 = 2 << 30;

/// A private copy of an artifact.
pub(crate) struct Staged {
    /// The copy.
    pub(crate) copy: StagedCopy,
    /// The digest of the author's file.
    pub(crate) digest: Digest,
    /// The digest of the copy, which differs where a flag had to be cleared.
    pub(crate) staged_digest: Digest,
    /// The author's file; `None` where it came out of the store.
    pub(crate) file: Option<PathBuf>,
    /// What it says of itself.
    pub(crate) manifest: Manifest,
    /// How long it took to read and copy it.
    pub(crate) took: Duration,
}

/// A file in the staging directory; removed with this.
#[derive(Debug)]
pub(crate) struct StagedCopy(PathBuf);

impl StagedCopy {
    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it another name in the same directory.
    pub(crate) fn rename(&mut self, name: &str) -> Result<()> {
        let to = self.0.with_file_name(name);
        std::fs::rename(&self.0, &to)
            .with_context(|| format!("renaming {} to {name}", self.0.display()))?;
        self.0 = to;
        Ok(())
    }
}

impl Drop for StagedCopy {
    fn drop(&mut self) {
        // Already gone is as good.
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Why a file was not staged.
#[derive(Debug)]
pub(crate) enum NotStaged {
    /// The file itself.
    Unfit(Unfit),
    /// The platform.
    Platform(anyhow::Error),
}

impl From<anyhow::Error> for NotStaged {
    fn from(error: anyhow::Error) -> Self {
        NotStaged::Platform(error)
    }
}

/// What tells whether a file has changed between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
    /// Names of the file: two or more where cargo has put a finished one in place by a hard link.
    pub(crate) names: u64,
}

impl Look {
    /// Looks at the file of this name; `None` where there is none.
    pub(crate) fn at(path: &Path) -> Option<Look> {
        std::fs::metadata(path)
            .ok()
            .filter(Metadata::is_file)
            .map(|metadata| Look::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Look {
        Look {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            names: metadata.nlink(),
        }
    }

    /// Whether the same bytes are to be expected.
    pub(crate) fn is_same_file(&self, other: &Look) -> bool {
        (self.inode, self.length, self.modified) == (other.inode, other.length, other.modified)
    }
}

/// Copies the author's file into `directory`.
pub(crate) fn stage(file: &Path, directory: &Path) -> Result<Staged, NotStaged> {
    let began = Instant::now();
    let bytes = read_whole(file)?;
    place(bytes, Some(file.to_owned()), directory, began)
}

/// Copies an artifact that the store has kept into `directory`. `kept_digest` is what it was kept with, as far as that is
/// known.
pub(crate) fn stage_kept(
    kept: &Path,
    digest: Digest,
    kept_digest: Option<Digest>,
    file: Option<PathBuf>,
    directory: &Path,
) -> Result<Staged, NotStaged> {
    let began = Instant::now();
    let bytes = std::fs::read(kept).with_context(|| format!("reading {}", kept.display()))?;
    if kept_digest.is_some_and(|expected| expected != Digest::of(&bytes)) {
        return Err(NotStaged::Platform(anyhow!(
            "the kept artifact {} is damaged: its content does not fit its digest; remove it, and load that version from \
             its own file again",
            kept.display()
        )));
    }
    let mut staged = place(bytes, file, directory, began)?;
    // The store keeps the staged form; it goes by the digest of the author's file.
    staged.digest = digest;
    Ok(staged)
}

fn place(
    mut bytes: Vec<u8>,
    file: Option<PathBuf>,
    directory: &Path,
    began: Instant,
) -> Result<Staged, NotStaged> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let manifest = elf::manifest(&bytes).map_err(NotStaged::Unfit)?;
    let digest = Digest::of(&bytes);
    let staged_digest = if elf::clear_nodelete(&mut bytes) {
        Digest::of(&bytes)
    } else {
        digest
    };
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("{}-{number}.so", digest.short()));
    let copy = StagedCopy(path);
    write(copy.path(), &bytes)
        .with_context(|| format!("writing the staged copy {}", copy.path().display()))?;
    Ok(Staged {
        copy,
        digest,
        staged_digest,
        file,
        manifest,
        took: began.elapsed(),
    })
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(bytes)
}

/// The bytes of a file that did not change while it was read.
fn read_whole(path: &Path) -> Result<Vec<u8>, NotStaged> {
    if path.to_str().is_none() {
        let reason = "its path is not UTF-8, which the journal is written in".to_owned();
        return Err(NotStaged::Unfit(Unfit::Stranger(reason)));
    }
    let reading = || format!("reading {}", path.display());
    // Opening a pipe would wait for somebody to write to it; files do not care.
    let mut file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .with_context(reading)?;
    let metadata = file.metadata().with_context(reading)?;
    if !metadata.is_file() {
        return Err(NotStaged::Unfit(Unfit::Stranger(
            "it is not a file".to_owned(),
        )));
    }
    if metadata.len() > LARGEST {
        return Err(NotStaged::Unfit(Unfit::Stranger(format!(
            "it is larger than {} GiB",
            LARGEST >> 30
        ))));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.read_to_end(&mut bytes).with_context(reading)?;
    let before = Look::of(&metadata);
    match Look::at(path) {
        Some(after) if after.is_same_file(&before) && after.length == bytes.len() as u64 => {
            Ok(bytes)
        }
        _ => Err(NotStaged::Unfit(Unfit::Incomplete(
            "it changed while it was read".to_owned(),
        ))),
    }
}

impl NotStaged {
    /// The same as an error's cause.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            NotStaged::Unfit(unfit) => anyhow!(unfit),
            NotStaged::Platform(error) => error,
        }
    }
}
