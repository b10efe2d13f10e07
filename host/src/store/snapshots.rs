//! The saved states: one file a plugin, written so that it is whole or not there, and read so that damage is noticed.
//!
//! A file is [`MAGIC`], the BLAKE3 digest of all that follows, the length of the header (four bytes, little-endian), the
//! header (JSON: everything about the state but its bytes), and the bytes.

use super::Store;
use crate::journal::SavedState;
use anyhow::{Context, bail, ensure};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// How a file with a saved state begins.
const MAGIC: &[u8; 8] = b"HOSTST\x00\x01";
const DIGEST: usize = 32;
const LENGTH: usize = 4;
const EXTENSION: &str = "state";

impl Store {
    /// Saves a plugin's state. Older states of the plugin go only when this one is on disk.
    pub(crate) fn save_state(&self, plugin: &str, state: &SavedState) -> anyhow::Result<()> {
        let path = self.state_path(plugin, state.generation)?;
        let header = serde_json::to_vec(state).context("writing the header of a saved state")?;
        let length = u32::try_from(header.len())?.to_le_bytes();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&length).update(&header).update(&state.bytes);
        let digest = hasher.finalize();
        write_whole(
            &path,
            &[MAGIC, digest.as_bytes(), &length, &header, &state.bytes],
        )
        .with_context(|| format!("saving the state of \"{plugin}\" as {}", path.display()))?;
        super::sync_dir(&self.snapshots)?;
        for (_, older) in self.states(plugin)? {
            if older != path {
                self.discard(plugin, &older)?;
            }
        }
        Ok(())
    }

    /// The plugin's saved state. A damaged one is an error, and left in place.
    pub(crate) fn state(&self, plugin: &str) -> anyhow::Result<Option<SavedState>> {
        let newest = self.states(plugin)?.into_iter().max();
        let Some((generation, path)) = newest else {
            return Ok(None);
        };
        let reading = || {
            format!(
                "reading the saved state of \"{plugin}\" in {}",
                path.display()
            )
        };
        let file = fs::read(&path).with_context(reading)?;
        match understand(&file) {
            Ok(state) if state.generation == generation => Ok(Some(state)),
            Ok(state) => bail!(
                "{} holds the state of generation {}, not of the one in its name; it was left in place",
                path.display(),
                state.generation
            ),
            Err(error) => Err(error).with_context(|| {
                format!(
                    "{}: the file is damaged and was left in place; move it away to begin with an empty state",
                    reading()
                )
            }),
        }
    }

    /// Removes an older state, unless it is damaged: that one is kept for whoever wants to look into it.
    fn discard(&self, plugin: &str, path: &Path) -> anyhow::Result<()> {
        let sound = fs::read(path).is_ok_and(|file| understand(&file).is_ok());
        if sound {
            return super::remove(path);
        }
        tracing::warn!(plugin, file = %path.display(), "a damaged saved state is left in place");
        Ok(())
    }

    /// The files that hold states of the plugin, each with its generation.
    fn states(&self, plugin: &str) -> anyhow::Result<Vec<(u64, PathBuf)>> {
        let mut states = Vec::new();
        for path in super::files(&self.snapshots)? {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let is_state = path.extension().is_some_and(|end| end == EXTENSION);
            // A name may end in "-1" itself: the generation is what follows the last hyphen.
            let parts = stem
                .filter(|_| is_state)
                .and_then(|stem| stem.rsplit_once('-'));
            if let Some((name, generation)) = parts
                && name == plugin
                && let Ok(generation) = generation.parse()
            {
                states.push((generation, path));
            }
        }
        Ok(states)
    }

    fn state_path(&self, plugin: &str, generation: u64) -> anyhow::Result<PathBuf> {
        let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        ensure!(
            (1..=64).contains(&plugin.len()) && plugin.chars().all(safe),
            "\"{plugin}\" cannot be a plugin's name, and so not part of a file's name"
        );
        Ok(self
            .snapshots
            .join(format!("{plugin}-{generation}.{EXTENSION}")))
    }
}

/// The state in a file, if all of it is there as it was written.
fn understand(file: &[u8]) -> anyhow::Result<SavedState> {
    let rest = file
        .strip_prefix(MAGIC)
        .context("it is not a saved state")?;
    let (digest, rest) = rest
        .split_at_checked(DIGEST)
        .context("it is cut off in its digest")?;
    ensure!(
        blake3::hash(rest).as_bytes() == digest,
        "its content does not fit its digest"
    );
    let (length, rest) = rest
        .split_first_chunk::<LENGTH>()
        .context("it has no header")?;
    let (header, bytes) = rest
        .split_at_checked(u32::from_le_bytes(*length) as usize)
        .context("its header is cut off")?;
    let mut state: SavedState = serde_json::from_slice(header).context("reading its header")?;
    state.bytes = bytes.to_vec();
    Ok(state)
}

/// Writes a file that has its name only when it is whole and on disk.
fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let unfinished = path.with_extension(super::UNFINISHED);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    fs::rename(&unfinished, path)
}
