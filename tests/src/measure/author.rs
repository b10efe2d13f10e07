//! An author: finishes one build of a plugin after another, and puts each where cargo would, in cargo's own manner.

use anyhow::{Context, Result};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// What cargo takes between the removal of the old file and the link of the new one.
const BETWEEN: Duration = Duration::from_millis(1);

/// Somebody who builds one plugin again and again.
#[derive(Debug)]
pub struct Author {
    dir: PathBuf,
    file: String,
    versions: Vec<Vec<u8>>,
    builds: u64,
}

impl Author {
    /// An author who finishes builds in `dir` under the name of the first of `libraries`, in turns of each of them.
    ///
    /// # Errors
    /// A library cannot be read.
    pub fn new(dir: &Path, libraries: &[&Path]) -> Result<Self> {
        let read = |path: &&Path| {
            fs::read(path).with_context(|| format!("reading the library {}", path.display()))
        };
        let file = libraries.first().and_then(|first| first.file_name());
        let file = file.context("an author needs a library")?;
        fs::create_dir_all(dir.join("deps"))
            .with_context(|| format!("making {}", dir.join("deps").display()))?;
        Ok(Author {
            dir: dir.to_owned(),
            file: file.to_string_lossy().into_owned(),
            versions: libraries.iter().map(read).collect::<Result<_>>()?,
            builds: 0,
        })
    }

    /// The size of the library in bytes; of the largest, where there are several.
    #[must_use]
    pub fn size(&self) -> usize {
        self.versions.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Finishes another build, with a digest of its own: written to `deps`, then linked under its name in place of what
    /// was there. Gives the moment just before the link.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn build(&mut self) -> Result<Instant> {
        let turn = self.builds % self.versions.len() as u64;
        let mut bytes = self.versions[turn as usize].clone();
        self.builds += 1;
        // Behind the end of the ELF file: another digest, the same behaviour.
        bytes.extend_from_slice(b"build\0\0\0");
        bytes.extend_from_slice(&self.builds.to_le_bytes());
        let (built, path) = (
            self.dir.join("deps").join(&self.file),
            self.dir.join(&self.file),
        );
        // A new file: the old one lives on under the other name.
        remove(&built)?;
        fs::write(&built, bytes).with_context(|| format!("writing {}", built.display()))?;
        remove(&path)?;
        thread::sleep(BETWEEN);
        let moment = Instant::now();
        fs::hard_link(&built, &path).with_context(|| format!("linking {}", path.display()))?;
        Ok(moment)
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}
