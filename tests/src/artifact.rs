//! An artifact to load: an example's library, as it is or with a small change, put where a host finds it.
//!
//! Another build of the same plugin would take the compiler seconds; bytes behind the end of the ELF file make another
//! digest as well, and the version in the manifest can be written over.

use crate::built::library;
use host::artifact::Digest;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// How far into the file the manifest is looked for: notes come first.
const BEGINNING: usize = 64 << 10;
/// Where the ELF header names the machine.
const ELF_MACHINE: usize = 18;

/// An artifact to load.
#[derive(Debug, Clone)]
pub struct Artifact {
    bytes: Vec<u8>,
    file: String,
}

impl Artifact {
    /// The library of an example, under the name that cargo gives it.
    ///
    /// # Panics
    /// When there is no such example.
    #[must_use]
    pub fn of(example: &str) -> Self {
        Artifact {
            bytes: fs::read(library(example)).expect("the library can be read"),
            file: format!("lib{example}.so"),
        }
    }

    /// A file that is what these bytes are.
    #[must_use]
    pub fn made_of(bytes: &[u8], file: &str) -> Self {
        Artifact {
            bytes: bytes.to_vec(),
            file: file.to_owned(),
        }
    }

    /// Under another name.
    #[must_use]
    pub fn named(mut self, file: &str) -> Self {
        self.file = file.to_owned();
        self
    }

    /// Another build of the same: other bytes, same behaviour.
    #[must_use]
    pub fn build(mut self, number: u64) -> Self {
        self.bytes.extend_from_slice(b"build\0\0\0");
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// With this version in its manifest, which must be as long as the one it has.
    ///
    /// # Panics
    /// When the version has another length, or the manifest is not found.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        let begin = find(&self.bytes, b"\"version\":\"").expect("the manifest has a version") + 11;
        let length = find(&self.bytes[begin..], b"\"").expect("the version has an end");
        let old = String::from_utf8_lossy(&self.bytes[begin..begin + length]).into_owned();
        self.with(
            &format!("\"version\":\"{old}\""),
            &format!("\"version\":\"{version}\""),
        )
    }

    /// With one text of the manifest written over by another of the same length.
    ///
    /// # Panics
    /// When the lengths differ, or the text is not there.
    #[must_use]
    pub fn with(mut self, old: &str, new: &str) -> Self {
        assert_eq!(old.len(), new.len(), "{old} and {new} must be equally long");
        let at = find(&self.bytes, old.as_bytes());
        let at =
            at.unwrap_or_else(|| panic!("the manifest of {} does not contain {old}", self.file));
        self.bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
        self
    }

    /// As it looks while half of it is written.
    #[must_use]
    pub fn half(mut self) -> Self {
        self.bytes.truncate(self.bytes.len() / 2);
        self
    }

    /// As if it were built for a machine that nobody has.
    #[must_use]
    pub fn for_another_machine(mut self) -> Self {
        self.bytes[ELF_MACHINE..ELF_MACHINE + 2].copy_from_slice(&[0xfe, 0xfe]);
        self
    }

    /// As if it were built with `panic = "abort"`, as far as it says itself.
    #[must_use]
    pub fn that_aborts(self) -> Self {
        self.with("\"panic\":\"unwind\"", "\"panic\":\"abort\" ")
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// Puts it into `dir` as cargo would: written to `deps` first, then linked under its name in place of what was there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn place(&self, dir: &Path) -> PathBuf {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let deps = dir.join("deps");
        fs::create_dir_all(&deps).expect("the folder can be made");
        let built = deps.join(format!("{number}-{}", self.file));
        let path = dir.join(&self.file);
        fs::write(&built, &self.bytes).expect("the artifact can be written");
        if path.exists() {
            fs::remove_file(&path).expect("the former one can be unlinked");
        }
        fs::hard_link(&built, &path).expect("the artifact can be linked");
        path
    }
}

/// Where `text` stands in the beginning of `bytes`.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let beginning = &bytes[..bytes.len().min(BEGINNING)];
    beginning
        .windows(text.len())
        .position(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_written_into_the_manifest() {
        let old = Artifact::of("steady");
        let new = old.clone().version("1.0.7");
        assert_ne!(new.digest(), old.digest());
        assert_eq!(new.bytes.len(), old.bytes.len());
        assert!(find(&new.bytes, b"\"version\":\"1.0.7\"").is_some());
        assert!(find(&new.bytes, b"\"version\":\"1.0.0\"").is_none());
    }

    #[test]
    fn a_placed_artifact_is_a_link_to_what_is_in_deps() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let artifact = Artifact::made_of(b"content", "libsome.so");
        artifact.place(folder.path());
        let path = artifact.build(1).place(folder.path());
        let metadata = fs::metadata(&path).expect("it is there");
        assert_eq!(metadata.nlink(), 2);
        assert!(
            fs::read(&path)
                .expect("it can be read")
                .starts_with(b"contentbuild")
        );
    }
}
