//! The snapshot: one revision of every dataset, as they were published together.
//!
//! It is immutable. Who takes one reads from it as long as it likes, and sees no later revision and no half of a change
//! set; taking one is one load of a pointer.

use super::{entry::Entry, revision::Revision};
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// One revision of every dataset.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// How many were published before it since the host started.
    pub number: u64,
    names: Arc<[String]>,
    revisions: Vec<Option<Arc<Revision>>>,
}

impl Snapshot {
    /// The first one, of the datasets with these names in their order.
    pub(crate) fn first(names: Arc<[String]>, revisions: Vec<Option<Arc<Revision>>>) -> Self {
        Snapshot {
            number: 0,
            names,
            revisions,
        }
    }

    /// The next one, with these revisions in their places.
    pub(crate) fn next(&self, new: impl IntoIterator<Item = (usize, Arc<Revision>)>) -> Self {
        let mut next = self.clone();
        next.number += 1;
        for (place, revision) in new {
            if let Some(held) = next.revisions.get_mut(place) {
                *held = Some(revision);
            }
        }
        next
    }

    /// The place of a dataset in every snapshot of its host; `None` where none of this name is declared.
    #[must_use]
    pub fn place(&self, dataset: &str) -> Option<usize> {
        let name = |name: &String| name.as_str().cmp(dataset);
        self.names.binary_search_by(name).ok()
    }

    /// The revision of the dataset in this place.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&Arc<Revision>> {
        self.revisions.get(place)?.as_ref()
    }

    /// The revision of the dataset with this name.
    #[must_use]
    pub fn get(&self, dataset: &str) -> Option<&Arc<Revision>> {
        self.at(self.place(dataset)?)
    }
}

/// The snapshot that is shown, of one host. One pointer: whoever loads it sees all of a change set, or nothing.
pub(crate) struct Shown {
    now: ArcSwap<Snapshot>,
    id: u64,
    /// What threads hold of it that is no reader's.
    entries: Mutex<Vec<Arc<Entry>>>,
}

/// A number that nothing else in this process has been given by this: threads keep what they see by it, of all hosts.
pub(super) fn next_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl Shown {
    /// This is shown.
    pub(super) fn new(first: Snapshot) -> Shown {
        Shown {
            now: ArcSwap::from_pointee(first),
            id: next_id(),
            entries: Mutex::default(),
        }
    }

    /// Its number.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.now.load()
    }

    pub(super) fn load_full(&self) -> Arc<Snapshot> {
        self.now.load_full()
    }

    /// Shows this from now on. What calls that have ended held of those before goes.
    pub(super) fn store(&self, next: Arc<Snapshot>) {
        self.now.store(Arc::clone(&next));
        self.entries.lock().retain(|entry| {
            drop(entry.take_free(&next));
            !Entry::is_left(entry)
        });
    }

    /// It has begun to hold something.
    pub(super) fn list(&self, entry: &Arc<Entry>) {
        self.entries.lock().push(Arc::clone(entry));
    }
}

/// A look at the present snapshot: cheaper than taking it, and meant to be short.
pub struct View(Guard<Arc<Snapshot>>);

impl View {
    pub(super) fn of(shown: &Shown) -> Self {
        View(shown.load())
    }
}

impl Deref for View {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}
