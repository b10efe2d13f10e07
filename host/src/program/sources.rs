//! The sources: the folders that plugins are built from, watched for saves.
//!
//! Package folders are watched as deep as they go, but for what cargo builds and what is hidden; the folders around them
//! only for new packages. A save is often several events (a temporary file, a rename, a touch), so a change is told when
//! nothing has happened for a moment. What a dataset is read from is no source, wherever it lies, unless a plugin was
//! built from it too.

use super::{
    inputs::Inputs,
    packages::{Selection, is_beside_sources},
};
use crossbeam_channel::{Receiver, RecvTimeoutError, select, unbounded};
use host::notices::{Depth, Notice, Notices};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

/// Quiet that ends a save.
const QUIET: Duration = Duration::from_millis(50);
/// The longest that a save may go on until it is told.
const LONGEST_SAVE: Duration = Duration::from_secs(1);

/// The watched sources of a selection of packages.
pub(crate) struct Sources {
    notices: Notices,
    seen: Receiver<(SystemTime, Notice)>,
    watched: BTreeMap<PathBuf, Depth>,
    places: Places,
}

/// A save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// When it began.
    pub(crate) saved: SystemTime,
    /// Whether the packages themselves may be others now.
    pub(crate) packages: bool,
}

/// What a changed path can be, by where it is.
#[derive(Debug, Clone, Default)]
struct Places {
    /// The folders that were asked for: what appears in them may be a package.
    asked: Vec<PathBuf>,
    /// The folders of the workspaces.
    roots: Vec<PathBuf>,
    /// The folders of packages.
    packages: BTreeSet<PathBuf>,
    /// What datasets are read from.
    data: Vec<PathBuf>,
    /// What the last build read; unknown before it, and after one that failed.
    inputs: Option<Inputs>,
}

/// What a save has touched so far.
#[derive(Debug, Default)]
struct Touched {
    paths: BTreeSet<PathBuf>,
    /// Whether notices were lost.
    lost: bool,
}

/// What a changed path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Nothing,
    Source,
    Package,
}

impl Sources {
    /// Watches what the selection is built from, and the folders that were asked for. Datasets are read from `data`.
    pub(crate) fn watch(
        asked: &[PathBuf],
        selection: &Selection,
        data: &[&Path],
    ) -> anyhow::Result<Self> {
        let (tell, seen) = unbounded();
        let notices = Notices::new(move |notice| {
            // An error means that nobody listens any more.
            let _ = tell.send((SystemTime::now(), notice));
        })?;
        let asked = asked
            .iter()
            .filter_map(|folder| folder.canonicalize().ok())
            .collect();
        let mut sources = Sources {
            notices,
            seen,
            watched: BTreeMap::new(),
            places: Places {
                asked,
                data: data.iter().flat_map(|path| names_of(path)).collect(),
                ..Places::default()
            },
        };
        sources.set(selection);
        Ok(sources)
    }

    /// Watches what this selection is built from, instead of the one before.
    pub(crate) fn set(&mut self, selection: &Selection) {
        let workspaces = &selection.workspaces;
        self.places.roots = workspaces
            .iter()
            .map(|workspace| workspace.root.clone())
            .collect();
        self.places.packages = workspaces
            .iter()
            .flat_map(|workspace| workspace.folders.iter().cloned())
            .collect();
        self.arm();
    }

    /// What the last build has read, if that is known.
    pub(crate) fn built_from(&mut self, inputs: Option<Inputs>) {
        self.places.inputs = inputs;
    }

    /// Waits for the next change; `None` once `ended` is cut.
    pub(crate) fn next(&mut self, ended: &Receiver<()>) -> Option<Change> {
        loop {
            let (saved, meaning) = self.next_save(ended)?;
            if meaning != Meaning::Nothing {
                let packages = meaning == Meaning::Package;
                return Some(Change { saved, packages });
            }
        }
    }

    /// Waits for the next save, whatever it means, and for its end.
    fn next_save(&mut self, ended: &Receiver<()>) -> Option<(SystemTime, Meaning)> {
        let seen = self.seen.clone();
        let (saved, notice) = select! {
            recv(seen) -> seen => seen.ok()?,
            recv(ended) -> _ => return None,
        };
        let mut touched = Touched::default();
        self.take(notice, &mut touched);
        let began = Instant::now();
        while began.elapsed() < LONGEST_SAVE {
            match self.seen.recv_timeout(QUIET) {
                Ok((_, notice)) => self.take(notice, &mut touched),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        // Folders may have come and gone.
        self.arm();
        Some((saved, self.places.meaning_of(&touched)))
    }

    fn take(&mut self, notice: Notice, touched: &mut Touched) {
        let (path, moves) = match notice {
            Notice::Lost => {
                touched.lost = true;
                return;
            }
            Notice::Created(path)
            | Notice::Removed(path)
            | Notice::MovedAway(path)
            | Notice::MovedHere(path) => (path, true),
            Notice::Changed(path) => (path, false),
            // The change itself was told.
            _ => return,
        };
        // A watch follows the folder, not its name.
        if moves && self.watched.remove(&path).is_some() {
            self.notices.unwatch(&path);
        }
        touched.paths.insert(path);
    }

    /// Brings the watches in line with the folders that there are.
    fn arm(&mut self) {
        let wanted = self.places.wanted();
        let unwanted: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(folder, mode)| wanted.get(*folder) != Some(mode))
            .map(|(folder, _)| folder.clone())
            .collect();
        for folder in unwanted {
            self.watched.remove(&folder);
            self.notices.unwatch(&folder);
        }
        for (folder, mode) in wanted {
            if self.watched.contains_key(&folder) {
                continue;
            }
            match self.notices.watch(&folder, mode) {
                Ok(()) => {
                    self.watched.insert(folder, mode);
                }
                Err(error) => {
                    tracing::warn!("a folder of sources: {error:#}");
                }
            }
        }
    }
}

impl Places {
    /// The folders to watch, and whether with all that is below them.
    fn wanted(&self) -> BTreeMap<PathBuf, Depth> {
        let mut wanted = BTreeMap::new();
        let around = self.asked.iter().chain(&self.roots);
        for folder in around.chain(&self.packages) {
            wanted.insert(folder.clone(), Depth::Folder);
        }
        // A package may be about to appear in any folder of those that were asked for.
        for folder in self.asked.iter().flat_map(|folder| below(folder)) {
            wanted.insert(folder, Depth::Folder);
        }
        for folder in self.packages.iter().flat_map(|folder| below(folder)) {
            if !self.packages.contains(&folder) {
                wanted.insert(folder, Depth::Tree);
            }
        }
        wanted.retain(|folder, _| folder.is_dir());
        wanted
    }

    /// The most that the touched paths ask for, by what is there once all is quiet.
    fn meaning_of(&self, touched: &Touched) -> Meaning {
        if touched.lost {
            return Meaning::Package;
        }
        let meanings = touched.paths.iter().map(|path| {
            let meaning = self.meaning(path);
            tracing::debug!(path = %path.display(), ?meaning, "seen");
            meaning
        });
        meanings.max().unwrap_or(Meaning::Nothing)
    }

    fn meaning(&self, path: &Path) -> Meaning {
        if path.ends_with("Cargo.toml") || self.may_be_an_input(path) {
            self.meaning_by_place(path)
        } else {
            Meaning::Nothing
        }
    }

    /// Whether the next build may read it, or miss it: not what only a dataset is read from, nor what came and went
    /// (programs that change a file write another one first).
    fn may_be_an_input(&self, path: &Path) -> bool {
        let Some(inputs) = &self.inputs else {
            return true;
        };
        let is_data = self.data.iter().any(|data| path.starts_with(data));
        // A build script may read anything in its package, and need not say so.
        let has_script = |folder: &&PathBuf| folder.join("build.rs").exists();
        let mut packages = self.packages.iter().filter(has_script);
        inputs.have(path)
            || packages.any(|folder| path.starts_with(folder))
            || !is_data && path.symlink_metadata().is_ok()
    }

    fn meaning_by_place(&self, path: &Path) -> Meaning {
        let package = self
            .packages
            .iter()
            .filter_map(|folder| path.strip_prefix(folder).ok())
            .min_by_key(|rest| rest.components().count());
        if let Some(rest) = package {
            return if rest.iter().any(|part| is_beside_sources(Path::new(part)))
                || is_of_an_editor(path)
                || is_unfinished_target(path)
            {
                Meaning::Nothing
            } else if path.ends_with("Cargo.toml") {
                Meaning::Package
            } else if path.ends_with("Cargo.lock") {
                // Cargo writes it itself, at the beginning of a build.
                Meaning::Nothing
            } else {
                Meaning::Source
            };
        }
        let may_be_a_package = self.asked.iter().any(|folder| path.starts_with(folder))
            && !is_beside_sources(path)
            && !is_of_an_editor(path)
            && !path.ends_with("Cargo.lock");
        if path.ends_with("Cargo.toml") || may_be_a_package {
            Meaning::Package
        } else {
            Meaning::Nothing
        }
    }
}

/// The folders in a folder that may hold sources.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|folder| !is_beside_sources(folder))
        .collect()
}

/// The names under which notices tell of what a dataset is read from: its own and, behind links, the real one; those of the
/// files that SQLite keeps beside a database too.
fn names_of(data: &Path) -> Vec<PathBuf> {
    let in_real_folder = || {
        let data = std::path::absolute(data).ok()?;
        let folder = data.parent()?.canonicalize().ok()?;
        Some(folder.join(data.file_name()?))
    };
    let names = data.canonicalize().ok().into_iter().chain(in_real_folder());
    let with = |name: &Path, end: &str| {
        let mut name = name.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    names
        .flat_map(|name| ["", "-journal", "-shm", "-wal"].map(|end| with(&name, end)))
        .collect()
}

/// Whether this was cargo's target folder, before it got its name.
fn is_unfinished_target(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let random = name.strip_prefix("target").unwrap_or_default();
    random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !path.exists()
}

/// Whether an editor keeps this file for itself.
fn is_of_an_editor(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with('~')
        || name.starts_with('#')
        || name == "4913"
        || [".swp", ".swx", ".tmp", ".bak"]
            .iter()
            .any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::packages::Workspace;
    use std::fs;

    fn places() -> Places {
        Places {
            asked: vec!["/w/plugins".into()],
            roots: vec!["/w".into()],
            packages: ["/w/plugins/counter".into(), "/w/api".into()].into(),
            ..Places::default()
        }
    }

    #[test]
    fn a_path_means_what_its_place_says() {
        let meaning = |path: &str| places().meaning(Path::new(path));
        for source in [
            "/w/plugins/counter/src/lib.rs",
            "/w/api/src/a/b.rs",
            "/w/api/table.csv",
        ] {
            assert_eq!(meaning(source), Meaning::Source, "{source}");
        }
        for package in [
            "/w/Cargo.toml",
            "/w/plugins/counter/Cargo.toml",
            "/w/plugins/new",
        ] {
            assert_eq!(meaning(package), Meaning::Package, "{package}");
        }
        for nothing in [
            "/w/Cargo.lock",
            "/w/README.md",
            "/w/plugins/counter/target/debug/a",
            "/w/plugins/counter/targetBBtQL5",
            "/w/plugins/counter/src/.lib.rs.swp",
            "/w/plugins/counter/src/lib.rs~",
            "/w/plugins/counter/src/4913",
            "/w/plugins/.git",
        ] {
            assert_eq!(meaning(nothing), Meaning::Nothing, "{nothing}");
        }
    }

    fn selection(root: &Path) -> Selection {
        Selection {
            workspaces: vec![Workspace {
                root: root.to_path_buf(),
                target: root.join("target"),
                plugins: Vec::new(),
                folders: [root.to_path_buf()].into(),
            }],
            troubles: Vec::new(),
        }
    }

    /// Is cut after a limit.
    fn limit() -> Receiver<()> {
        let (cut, ended) = crossbeam_channel::bounded(0);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(10));
            drop(cut);
        });
        ended
    }

    /// The next change within a limit.
    fn next(sources: &mut Sources) -> Option<Change> {
        sources.next(&limit())
    }

    #[test]
    fn what_only_a_dataset_is_read_from_is_no_source() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let [source, rates, both, database] =
            ["lib.rs", "rates.json", "both.json", "shop.db"].map(|name| root.join(name));
        for file in [&source, &rates, &both, &database] {
            fs::write(file, "").unwrap();
        }
        let data = [rates.as_path(), &both, &database];
        let mut sources =
            Sources::watch(std::slice::from_ref(&root), &selection(&root), &data).unwrap();
        sources.built_from(Some(Inputs::from([source.clone(), both.clone()])));
        let as_programs_write = |file: &Path| {
            fs::write(root.join("unfinished"), "1").unwrap();
            fs::rename(root.join("unfinished"), file).unwrap();
        };
        let mut meaning = || sources.next_save(&limit()).map(|(_, meaning)| meaning);
        as_programs_write(&rates);
        assert_eq!(meaning(), Some(Meaning::Nothing));
        fs::write(root.join("shop.db-journal"), "1").unwrap();
        assert_eq!(meaning(), Some(Meaning::Nothing));
        for file in [&both, &source] {
            as_programs_write(file);
            assert!(next(&mut sources).is_some(), "{}", file.display());
        }
        fs::remove_file(&source).unwrap();
        assert!(next(&mut sources).is_some());
        // After a build that failed nobody knows.
        sources.built_from(None);
        as_programs_write(&rates);
        assert!(next(&mut sources).is_some());
    }

    #[test]
    fn a_save_is_told_once_and_what_cargo_builds_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("src/deep")).unwrap();
        fs::create_dir_all(root.join("target/debug")).unwrap();
        let mut sources =
            Sources::watch(std::slice::from_ref(&root), &selection(&root), &[]).unwrap();
        fs::write(root.join("target/debug/libx.so"), "").unwrap();
        fs::write(root.join("src/deep/a.rs"), "1").unwrap();
        fs::write(root.join("src/deep/a.rs"), "2").unwrap();
        assert!(!next(&mut sources).unwrap().packages);
        assert!(sources.seen.is_empty());
    }

    #[test]
    fn a_folder_that_was_replaced_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir(root.join("src")).unwrap();
        let mut sources =
            Sources::watch(std::slice::from_ref(&root), &selection(&root), &[]).unwrap();
        fs::rename(root.join("src"), root.join("old")).unwrap();
        fs::create_dir(root.join("src")).unwrap();
        next(&mut sources).unwrap();
        fs::write(root.join("src/lib.rs"), "").unwrap();
        assert!(!next(&mut sources).unwrap().packages);
    }
}
