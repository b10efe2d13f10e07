//! The file of a release: what an operator writes down to have applied.
//!
//! ```toml
//! name = "summer prices"
//!
//! [plugins]
//! pricing = "target/release/libpricing.so"
//! counter = { version = "1.2.0" }
//! discounts = { unload = true }
//!
//! [data]
//! rates = "rates.json"
//! limits = { revision = 7 }
//! ```
//!
//! Relative paths start at the folder of the file.

use super::{ArtifactOf, ContentOf, Release};
use crate::host::RollbackTarget;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    #[serde(default)]
    plugins: BTreeMap<String, Plugin>,
    #[serde(default)]
    data: BTreeMap<String, Data>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "write the path of a library, { version = \"1.2.0\" }, { generation = 7 } or { unload = true }"
)]
enum Plugin {
    File(PathBuf),
    Served(Served),
    Unload(Unload),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Served {
    version: Option<String>,
    generation: Option<u64>,
}

impl Served {
    fn target(self) -> Option<RollbackTarget> {
        match (self.version, self.generation) {
            (Some(version), None) => Some(RollbackTarget::Version(version)),
            (None, Some(generation)) => Some(RollbackTarget::Generation(generation)),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unload {
    unload: bool,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "write the path of a file, or { revision = 7 }")]
enum Data {
    File(PathBuf),
    Kept(Kept),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    revision: u64,
}

/// What a regular file holds, up to one byte beyond `most`. Nothing else is read: a pipe would keep the host waiting, and a
/// device may have no end.
pub(super) fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Release {
    /// Reads a release from its file.
    ///
    /// # Errors
    /// The file cannot be read, or is not written as one; with the place in it.
    pub fn read(path: &Path) -> Result<Release> {
        let reading = || format!("reading the release {}", path.display());
        let text = read_regular(path, LARGEST).with_context(reading)?;
        ensure!(
            text.len() as u64 <= LARGEST,
            "{} has more than {LARGEST} bytes, more than any release; is it the right file?",
            path.display()
        );
        let text = String::from_utf8(text).with_context(reading)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Release::parse(&text, folder).with_context(|| path.display().to_string())
    }

    /// The release that this text is, with paths that start at `folder`.
    fn parse(text: &str, folder: &Path) -> Result<Release> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            anyhow::anyhow!("line {line}: {}", error.message())
        })?;
        let mut release = Release {
            name: written.name,
            ..Release::default()
        };
        for (plugin, wanted) in written.plugins {
            let wanted = match wanted {
                Plugin::File(path) => ArtifactOf::File(folder.join(path)),
                Plugin::Unload(Unload { unload: true }) => ArtifactOf::None,
                Plugin::Unload(_) => bail!("plugins.{plugin}: leave it out, or write unload = true"),
                Plugin::Served(served) => ArtifactOf::Served(served.target().with_context(|| {
                    format!(
                        "plugins.{plugin}: write {{ version = \"1.2.0\" }} or {{ generation = 7 }}, one of the two"
                    )
                })?),
            };
            release.plugins.insert(plugin, wanted);
        }
        for (dataset, wanted) in written.data {
            let wanted = match wanted {
                Data::File(path) => ContentOf::File(folder.join(path)),
                Data::Kept(Kept { revision }) => ContentOf::Revision(revision),
            };
            release.data.insert(dataset, wanted);
        }
        ensure!(
            !release.plugins.is_empty() || !release.data.is_empty(),
            "it names neither plugins nor data; write [plugins] with `name = \"path\"`, [data] likewise, or both"
        );
        Ok(release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Release> {
        Release::parse(text, Path::new("/releases"))
    }

    #[test]
    fn what_has_no_end_or_is_no_file_is_not_read() {
        let error = Release::read(Path::new("/dev/zero")).expect_err("it has no end");
        assert!(format!("{error:#}").contains("it is no file"), "{error:#}");
        let folder = tempfile::tempdir().expect("a folder");
        let long = folder.path().join("long.toml");
        let comment = vec![b'#'; LARGEST as usize + 1];
        std::fs::write(&long, comment).expect("it is written");
        let error = Release::read(&long).expect_err("it is too long");
        assert!(error.to_string().contains("the right file?"), "{error:#}");
    }

    #[test]
    fn paths_start_at_the_folder_of_the_file() {
        let release = parsed(
            "name = \"summer\"\n[plugins]\npricing = \"libpricing.so\"\ncounter = { version = \"1.2.0\" }\n\
             monitor = { generation = 7 }\nold = { unload = true }\n[data]\nrates = \"/data/rates.json\"\nlimits = { revision = 3 }\n",
        )
        .expect("it is a release");
        assert_eq!(release.name.as_deref(), Some("summer"));
        let artifact = |name: &str| release.plugins.get(name).cloned();
        let file = ArtifactOf::File("/releases/libpricing.so".into());
        assert_eq!(artifact("pricing"), Some(file));
        let version = RollbackTarget::Version("1.2.0".to_owned());
        assert_eq!(artifact("counter"), Some(ArtifactOf::Served(version)));
        let generation = RollbackTarget::Generation(7);
        assert_eq!(artifact("monitor"), Some(ArtifactOf::Served(generation)));
        assert_eq!(artifact("old"), Some(ArtifactOf::None));
        let content = |name: &str| release.data.get(name).cloned();
        assert_eq!(
            content("rates"),
            Some(ContentOf::File("/data/rates.json".into()))
        );
        assert_eq!(content("limits"), Some(ContentOf::Revision(3)));
    }

    #[test]
    fn what_is_not_written_as_a_release_says_where_and_what_to_write() {
        let said = |text: &str| format!("{:#}", parsed(text).expect_err("it is no release"));
        let nothing = said("name = \"empty\"\n");
        assert!(nothing.contains("[plugins]"), "{nothing}");
        let unknown = said("name = \"x\"\n[plugin]\na = \"b\"\n");
        assert!(
            unknown.contains("line 2") && unknown.contains("plugins"),
            "{unknown}"
        );
        let number = said("[plugins]\na = 7\n");
        assert!(
            number.contains("line 2") && number.contains("{ version = "),
            "{number}"
        );
        let both = said("[plugins]\na = { version = \"1.0.0\", generation = 1 }\n");
        assert!(both.contains("one of the two"), "{both}");
        let revision = said("[data]\na = { revison = 7 }\n");
        assert!(revision.contains("{ revision = 7 }"), "{revision}");
    }
}
