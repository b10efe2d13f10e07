//! The directory: where authors put finished files, and what the system says of it.
//!
//! Raw notices, since debouncing would add its window to every swap. Their meaning for files is decided here, whether to
//! act on them elsewhere. The folders above are watched too: `cargo clean` removes the directory and the one above.

use crate::notices::{Depth, Notice, Notices};
use anyhow::{Context, Result};
use crossbeam_channel::{Sender, TrySendError};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How many folders above the directory are watched.
const ABOVE: usize = 2;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sight {
    /// A file got its name by a rename: it is complete.
    Placed(PathBuf),
    /// A file appeared; whether it is complete shows by its number of names.
    Created(PathBuf),
    /// A file that was open for writing was closed.
    Written(PathBuf),
    /// A name is gone.
    Removed(PathBuf),
    /// Notices were lost, or the directory itself came or went: look at all of it.
    LookAgain,
}

/// A watched directory.
pub(crate) struct Directory {
    path: PathBuf,
    notices: Notices,
    /// Set where a notice found no room; whoever reads sights takes it as [`Sight::LookAgain`].
    lost: Arc<AtomicBool>,
}

impl Directory {
    /// Watches `path`, which must be absolute, and passes on what is seen.
    ///
    /// # Errors
    /// Neither the directory nor a folder above it can be watched.
    pub(crate) fn watch(path: &Path, sights: Sender<Sight>) -> Result<Directory> {
        let lost = Arc::new(AtomicBool::new(false));
        let (directory, was_lost) = (path.to_owned(), Arc::clone(&lost));
        let notices = Notices::new(move |notice| {
            if let Some(sight) = read(notice, &directory)
                && let Err(TrySendError::Full(_)) = sights.try_send(sight)
            {
                was_lost.store(true, Ordering::Release);
            }
        })?;
        let mut directory = Directory {
            path: path.to_owned(),
            notices,
            lost,
        };
        directory.attach().with_context(|| {
            format!(
                "watching {} (it, or the folder above it, must exist)",
                path.display()
            )
        })?;
        Ok(directory)
    }

    /// Watches whatever exists of the directory and the folders above it. Called again when one of them came or went.
    pub(crate) fn attach(&mut self) -> Result<()> {
        let folders: Vec<&Path> = self.path.ancestors().take(ABOVE + 1).collect();
        // From above: what is made below in the meantime is noticed above.
        let mut nearest = None;
        for folder in folders.iter().rev() {
            match self.notices.watch(folder, Depth::Folder) {
                Ok(()) => nearest = Some(*folder),
                Err(error) if *folder == self.path && nearest.is_none() => return Err(error),
                Err(_) => {}
            }
        }
        let parent = self.path.parent();
        anyhow::ensure!(
            nearest == Some(self.path.as_path()) || nearest == parent || self.was_there(),
            "there is no such directory"
        );
        Ok(())
    }

    /// Whether sights were lost since this was last asked.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost.swap(false, Ordering::AcqRel)
    }

    /// The directory's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn was_there(&self) -> bool {
        self.path.ancestors().skip(1).take(ABOVE).any(Path::is_dir)
    }
}

/// What a notice means for the files of the directory.
fn read(notice: Notice, directory: &Path) -> Option<Sight> {
    let is_of_folders = |path: &Path| directory.starts_with(path);
    let is_of_files = |path: &PathBuf| path.parent() == Some(directory) && is_library(path);
    match notice {
        Notice::Lost => Some(Sight::LookAgain),
        Notice::Created(path)
        | Notice::Removed(path)
        | Notice::MovedAway(path)
        | Notice::MovedHere(path)
            if is_of_folders(&path) =>
        {
            Some(Sight::LookAgain)
        }
        Notice::Created(path) => Some(path).filter(is_of_files).map(Sight::Created),
        Notice::Written(path) => Some(path).filter(is_of_files).map(Sight::Written),
        Notice::MovedHere(path) => Some(path).filter(is_of_files).map(Sight::Placed),
        Notice::Removed(path) | Notice::MovedAway(path) => {
            Some(path).filter(is_of_files).map(Sight::Removed)
        }
        // Half of a file is no news; its end will be.
        Notice::Changed(_) => None,
    }
}

/// Whether a file may be a plugin, by its name.
pub(crate) fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "so")
        && !path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether there is surely no such file: one that cannot be looked for may be there.
pub(crate) fn is_gone(file: &Path) -> bool {
    matches!(file.try_exists(), Ok(false))
}

/// The files of the directory that may be plugins, by name.
pub(crate) fn libraries(directory: &Path) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!("{} cannot be read: {error}", directory.display());
            }
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_library(path) && path.is_file())
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, bounded};
    use std::{fs, time::Duration};

    /// The next sight that is not of folders.
    fn next(sights: &Receiver<Sight>) -> Sight {
        loop {
            match sights
                .recv_timeout(Duration::from_secs(20))
                .expect("something is seen")
            {
                Sight::LookAgain => {}
                sight => return sight,
            }
        }
    }

    fn watched(name: &str) -> (PathBuf, Directory, Receiver<Sight>) {
        let folder = std::env::temp_dir().join(format!("host-{name}-{}", std::process::id()));
        let path = folder.join("target/debug");
        fs::create_dir_all(&path).expect("a folder of our own");
        let (sender, sights) = bounded(64);
        let directory = Directory::watch(&path, sender).expect("it exists");
        (folder, directory, sights)
    }

    #[test]
    fn what_cargo_cp_and_mv_do_is_told_apart() {
        let (folder, directory, sights) = watched("sights");
        let path = directory.path().to_owned();
        let (deps, file) = (path.join("deps"), path.join("liba.so"));
        fs::create_dir(&deps).expect("made");
        fs::write(deps.join("liba.so"), "a").expect("written");
        fs::hard_link(deps.join("liba.so"), &file).expect("linked");
        assert_eq!(next(&sights), Sight::Created(file.clone()));
        fs::remove_file(&file).expect("removed");
        assert_eq!(next(&sights), Sight::Removed(file.clone()));
        fs::write(path.join("note.txt"), "not looked at").expect("written");
        fs::write(&file, "b").expect("written");
        assert_eq!(next(&sights), Sight::Created(file.clone()));
        assert_eq!(next(&sights), Sight::Written(file.clone()));
        fs::rename(&file, path.join("libb.so")).expect("renamed");
        assert_eq!(next(&sights), Sight::Removed(file));
        assert_eq!(next(&sights), Sight::Placed(path.join("libb.so")));
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_directory_that_was_removed_and_made_again_is_watched_again() {
        let (folder, mut directory, sights) = watched("again");
        let path = directory.path().to_owned();
        fs::remove_dir_all(folder.join("target")).expect("removed");
        while sights.recv_timeout(Duration::from_secs(20)).expect("seen") != Sight::LookAgain {}
        directory.attach().expect("the folder above is there");
        fs::create_dir_all(&path).expect("made");
        while sights.recv_timeout(Duration::from_secs(20)).expect("seen") != Sight::LookAgain {}
        directory.attach().expect("it is there");
        fs::write(path.join("liba.so"), "a").expect("written");
        assert_eq!(next(&sights), Sight::Created(path.join("liba.so")));
        fs::remove_dir_all(folder).expect("removed");
    }
}
