//! The trail: every name that decides which file a path means, and the notices that tell of a change to one of them.
//!
//! A path may lead over symbolic links; Kubernetes swaps a folder of files by renaming one of them. The trail of a path is
//! each link on the way, and what stands at the end; or the first name that is missing, so that it is noticed when it
//! comes. The folders of all these names are watched. A folder at the end is watched too, with the trails of its files.
//!
//! Signs are gathered, not queued: however many changes there are, at most one sign waits.

use crate::notices::{Depth, Notice, Notices};
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// Links that may lead to one another before it counts as a circle: as many as the system follows.
const MOST_LINKS: usize = 40;

/// How often the way may change while its folders are being watched.
const MOST_TURNS: usize = 8;

/// What a change looks like; the later ones go before the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sign {
    /// Somebody is writing.
    Writing,
    /// Somebody has written, and closed the file; or it cannot be told.
    Written,
    /// Something whole was put in place, or taken away.
    Moved,
}

/// The names on the way, and the folders with their device and inode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Way {
    names: BTreeSet<PathBuf>,
    folders: BTreeMap<PathBuf, (u64, u64)>,
    /// The folder at the end, all of whose names count.
    end: Option<PathBuf>,
}

/// Follows the trail of a path.
pub(super) struct Trail {
    path: PathBuf,
    notices: Result<Notices, String>,
    watched: BTreeMap<PathBuf, (u64, u64)>,
    signs: Arc<Mutex<Signs>>,
    told: Receiver<()>,
}

#[derive(Default)]
struct Signs {
    way: Way,
    sign: Option<Sign>,
}

impl Trail {
    /// The trail of a path from the root.
    pub(super) fn new(path: &Path) -> Trail {
        let signs: Arc<Mutex<Signs>> = Arc::default();
        let (tell, told) = bounded(1);
        let noted = Arc::clone(&signs);
        let notices = Notices::new(move |notice| note(&noted, &tell, &notice));
        Trail {
            path: path.to_owned(),
            notices: notices.map_err(|error| format!("{error:#}")),
            watched: BTreeMap::new(),
            signs,
            told,
        }
    }

    /// Why there are no notices, if there are none.
    pub(super) fn is_blind(&self) -> Option<&str> {
        self.notices.as_ref().err().map(String::as_str)
    }

    /// Rings when there is a sign.
    pub(super) fn told(&self) -> &Receiver<()> {
        &self.told
    }

    /// The sign of what has changed since it was last asked.
    pub(super) fn sign(&self) -> Sign {
        self.signs.lock().sign.take().unwrap_or(Sign::Written)
    }

    /// Watches the way as it is now, and gives it.
    pub(super) fn follow(&mut self) -> Way {
        for _ in 1..MOST_TURNS {
            let way = way_to(&self.path);
            self.signs.lock().way = way.clone();
            let Ok(notices) = &mut self.notices else {
                return way;
            };
            if self.watched == way.folders {
                return way;
            }
            for (folder, identity) in &self.watched {
                if way.folders.get(folder) != Some(identity) {
                    notices.unwatch(folder);
                }
            }
            for (folder, identity) in &way.folders {
                if self.watched.get(folder) != Some(identity)
                    && let Err(error) = notices.watch(folder, Depth::Folder)
                {
                    tracing::warn!("changes there are only noticed every `poll`: {error:#}");
                }
            }
            // Once more: what changed before it was watched was not noticed.
            self.watched.clone_from(&way.folders);
        }
        // It turns faster than it can be followed. Its changes are signs, and so it is looked at again.
        way_to(&self.path)
    }
}

/// Keeps a notice, if it is about the way.
fn note(signs: &Mutex<Signs>, tell: &Sender<()>, notice: &Notice) {
    let (sign, path) = match notice {
        Notice::Lost => (Sign::Written, None),
        Notice::Created(path) | Notice::Changed(path) => (Sign::Writing, Some(path)),
        Notice::Written(path) => (Sign::Written, Some(path)),
        Notice::Removed(path) | Notice::MovedAway(path) | Notice::MovedHere(path) => {
            (Sign::Moved, Some(path))
        }
    };
    let mut signs = signs.lock();
    if path.is_some_and(|path| !signs.way.concerns(path)) {
        return;
    }
    signs.sign = signs.sign.max(Some(sign));
    drop(signs);
    // A bell that rings already is enough.
    let _rings = tell.try_send(());
}

impl Way {
    fn concerns(&self, path: &Path) -> bool {
        self.names.contains(path)
            || self.folders.contains_key(path)
            || self
                .end
                .as_deref()
                .is_some_and(|end| path.parent() == Some(end))
    }

    fn add(&mut self, name: PathBuf) {
        if let Some(folder) = name.parent() {
            self.add_folder(folder);
        }
        self.names.insert(name);
    }

    fn add_folder(&mut self, folder: &Path) {
        if let Ok(metadata) = fs::metadata(folder) {
            let identity = (metadata.dev(), metadata.ino());
            self.folders.insert(folder.to_owned(), identity);
        }
    }
}

/// The way to what a path means, and to the files in it if it is a folder.
fn way_to(path: &Path) -> Way {
    let mut way = Way::default();
    let end = walk(path, &mut way);
    if let Some(end) = end.filter(|end| end.is_dir()) {
        way.add_folder(&end);
        for entry in fs::read_dir(&end).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                walk(&entry.path(), &mut way);
            }
        }
        way.end = Some(end);
    }
    way
}

/// Walks a path from the root, over links; gives where it ends, if it does.
fn walk(path: &Path, way: &mut Way) -> Option<PathBuf> {
    let mut here = PathBuf::from("/");
    let mut ahead = parts(path);
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(part);
        let Ok(metadata) = fs::symlink_metadata(&next) else {
            way.add(next);
            return None;
        };
        if metadata.is_symlink() {
            let target = fs::read_link(&next).ok()?;
            way.add(next);
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            let mut parts = parts(&target);
            parts.append(&mut ahead);
            ahead = parts;
        } else {
            here = next;
        }
    }
    way.add(here.clone());
    Some(here)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(part) => Some(part.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(way: &Way, below: &Path) -> Vec<String> {
        way.names
            .iter()
            .filter_map(|name| name.strip_prefix(below).ok())
            .map(|name| name.display().to_string())
            .collect()
    }

    #[test]
    fn the_way_has_each_link_and_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let top = folder.path().canonicalize().expect("it is there");
        fs::create_dir(top.join("..1")).expect("it is made");
        fs::write(top.join("..1/rates.json"), "1").expect("it is written");
        symlink("..1", top.join("..data")).expect("it is linked");
        symlink("..data/rates.json", top.join("rates.json")).expect("it is linked");
        let way = way_to(&top.join("rates.json"));
        assert_eq!(
            names(&way, &top),
            ["..1/rates.json", "..data", "rates.json"]
        );
        assert!(way.folders.contains_key(&top.join("..1")));
    }

    #[test]
    fn what_is_missing_is_waited_for_and_a_circle_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let top = folder.path().canonicalize().expect("it is there");
        let way = way_to(&top.join("later/rates.json"));
        assert_eq!(names(&way, &top), ["later"]);
        symlink("round", top.join("round")).expect("it is linked");
        assert_eq!(names(&way_to(&top.join("round")), &top), ["round"]);
    }

    #[test]
    fn lost_notices_are_a_sign_and_those_about_others_are_none() {
        let signs = Mutex::new(Signs::default());
        signs
            .lock()
            .way
            .names
            .insert(PathBuf::from("/a/rates.json"));
        let (tell, told) = bounded(1);
        let sign_of = |notice| {
            note(&signs, &tell, &notice);
            (told.try_recv().is_ok(), signs.lock().sign.take())
        };
        assert_eq!(sign_of(Notice::Lost), (true, Some(Sign::Written)));
        let other = Notice::Written("/a/other.json".into());
        assert_eq!(sign_of(other), (false, None));
        let ours = Notice::MovedHere("/a/rates.json".into());
        assert_eq!(sign_of(ours), (true, Some(Sign::Moved)));
    }
}
