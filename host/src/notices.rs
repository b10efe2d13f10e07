//! Notices: what the system tells of changed files, the moment it tells it.
//!
//! Nothing is gathered or delayed here, and nothing decided. Looking at files gives no notices, so that who looks
//! whenever something has happened does not keep itself busy.

use anyhow::{Context, Result};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode},
};
use std::path::{Path, PathBuf};

/// What the system tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Notices were lost, or could not be had: only looking tells.
    Lost,
    /// A file or folder of this name was made.
    Created(PathBuf),
    /// The content or the properties of a file changed.
    Changed(PathBuf),
    /// A file that was open for writing was closed.
    Written(PathBuf),
    /// A name is gone.
    Removed(PathBuf),
    /// A name is gone, since what had it was renamed.
    MovedAway(PathBuf),
    /// What had another name has this one now.
    MovedHere(PathBuf),
}

/// How far below a folder notices are wanted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// From the folder itself.
    Folder,
    /// From all that is below it too.
    Tree,
}

/// Where notices come from. Dropping it ends them.
#[derive(Debug)]
pub struct Notices(RecommendedWatcher);

impl Notices {
    /// Asks the system for notices; `tell` is called with each, on a thread of its own, and must not wait.
    ///
    /// # Errors
    /// The system has no more to give.
    pub fn new(mut tell: impl FnMut(Notice) + Send + 'static) -> Result<Notices> {
        let handler = move |event: notify::Result<Event>| match event {
            Ok(event) if !event.need_rescan() => read(event).into_iter().for_each(&mut tell),
            _ => tell(Notice::Lost),
        };
        let watcher = notify::recommended_watcher(handler)
            .context("asking the system for notices of changed files")?;
        Ok(Notices(watcher))
    }

    /// Wants notices from this folder.
    ///
    /// # Errors
    /// There is no such folder, or the system has no more to give.
    pub fn watch(&mut self, folder: &Path, depth: Depth) -> Result<()> {
        let mode = match depth {
            Depth::Folder => RecursiveMode::NonRecursive,
            Depth::Tree => RecursiveMode::Recursive,
        };
        self.0
            .watch(folder, mode)
            .with_context(|| format!("watching {}", folder.display()))
    }

    /// Wants no more notices from this folder.
    pub fn unwatch(&mut self, folder: &Path) {
        // One that is gone is not watched any more.
        let _gone = self.0.unwatch(folder);
    }
}

fn read(event: Event) -> Vec<Notice> {
    let notice: fn(PathBuf) -> Notice = match event.kind {
        EventKind::Create(
            CreateKind::Any | CreateKind::File | CreateKind::Folder | CreateKind::Other,
        ) => Notice::Created,
        EventKind::Remove(
            RemoveKind::Any | RemoveKind::File | RemoveKind::Folder | RemoveKind::Other,
        ) => Notice::Removed,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Notice::Written,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Notice::MovedAway,
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Notice::MovedHere,
        // Told of once more as one event, after its two halves.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return Vec::new(),
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => Notice::Changed,
        EventKind::Access(_) => return Vec::new(),
    };
    event.paths.into_iter().map(notice).collect()
}
