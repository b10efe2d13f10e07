//! The kept artifacts: copies of what served, so that a rollback or a restart has something to go back to.
//!
//! A copy stands under the digest of the author's file, and may serve several plugins' memories; it goes when none
//! refers to it any more. It is the *staged* copy that is kept, so that its own digest is the record's `staged_digest`.

use super::{
    Store,
    rows::{self, ARTIFACTS, MEMORIES},
};
use crate::{artifact::Digest, journal::Memory};
use anyhow::Context;
use redb::{ReadableTable, WriteTransaction};
use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

impl Store {
    /// Keeps the staged copy of the artifact with this digest for the plugin.
    ///
    /// It may be the same file on disk as the staged one (a hard link): whoever loads it makes a copy first.
    pub(crate) fn keep_artifact(
        &self,
        plugin: &str,
        digest: Digest,
        staged: &Path,
    ) -> anyhow::Result<()> {
        let text = digest.to_string();
        let _files = self.artifact_files.lock();
        // The reference first: a crash in between leaves a reference without a file, which the next prune removes.
        self.write("keeping an artifact", |write| {
            let mut artifacts = write.open_table(ARTIFACTS)?;
            let key = (plugin, text.as_str());
            if artifacts.get(key)?.is_none() {
                artifacts.insert(key, 0)?;
            }
            Ok(())
        })?;
        let path = self.artifact_path(&text);
        if path.exists() {
            return Ok(());
        }
        let keep = || -> io::Result<()> {
            File::open(staged)?.sync_all()?;
            match fs::hard_link(staged, &path) {
                Ok(()) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(_) => copy(staged, &path),
            }
        };
        keep().with_context(|| format!("keeping {} as {}", staged.display(), path.display()))?;
        super::sync_dir(&self.artifacts)
    }

    /// The kept copy of the artifact with this digest.
    pub(crate) fn artifact(&self, digest: Digest) -> Option<PathBuf> {
        let path = self.artifact_path(&digest.to_string());
        path.is_file().then_some(path)
    }

    /// Of the plugin's artifacts, keeps the last `keep` that served, and `serving`. Then removes the copies that no
    /// plugin refers to.
    pub(crate) fn prune_artifacts(
        &self,
        plugin: &str,
        keep: usize,
        serving: Digest,
    ) -> anyhow::Result<()> {
        let serving = serving.to_string();
        let _files = self.artifact_files.lock();
        let referred = self.write("pruning artifacts", |write| {
            let mut digests = of(write, plugin)?;
            digests.sort_unstable_by_key(|(_, sequence)| std::cmp::Reverse(*sequence));
            let served = digests
                .iter()
                .take_while(|(_, sequence)| *sequence > 0)
                .count();
            let mut artifacts = write.open_table(ARTIFACTS)?;
            for (digest, _) in digests.iter().skip(keep.min(served)) {
                if *digest != serving {
                    artifacts.remove((plugin, digest.as_str()))?;
                }
            }
            drop(artifacts);
            let mut referred = all(write)?;
            referred.insert(serving.clone());
            Ok(referred)
        })?;
        for path in super::files(&self.artifacts)? {
            let name = path.file_stem().and_then(|name| name.to_str());
            if !name.is_some_and(|name| referred.contains(name)) {
                super::remove(&path)?;
            }
        }
        Ok(())
    }

    fn artifact_path(&self, digest: &str) -> PathBuf {
        self.artifacts.join(digest).with_extension("so")
    }
}

/// The artifacts a plugin refers to, with the last sequence they served under.
pub(super) fn of(write: &WriteTransaction, plugin: &str) -> anyhow::Result<Vec<(String, u64)>> {
    let artifacts = write.open_table(ARTIFACTS)?;
    let mut digests = Vec::new();
    for entry in artifacts.range((plugin, "")..)? {
        let (key, sequence) = entry?;
        let (owner, digest) = key.value();
        if owner != plugin {
            break;
        }
        digests.push((digest.to_owned(), sequence.value()));
    }
    Ok(digests)
}

/// Every digest that a plugin refers to, by its artifacts or by its memory.
fn all(write: &WriteTransaction) -> anyhow::Result<HashSet<String>> {
    let mut digests = HashSet::new();
    for entry in write.open_table(ARTIFACTS)?.iter()? {
        digests.insert(entry?.0.value().1.to_owned());
    }
    for entry in write.open_table(MEMORIES)?.iter()? {
        let memory: Memory = rows::read(entry?.1.value(), "a memory")?;
        digests.extend(memory.last_good.map(|good| good.digest.to_string()));
    }
    Ok(digests)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let part = to.with_extension(super::UNFINISHED);
    fs::copy(from, &part)?;
    File::open(&part)?.sync_all()?;
    fs::rename(&part, to)
}
