//! An entry: one thread's hold on what one reader has prepared of one snapshot.
//!
//! See the header of [`frame`](super::frame) for its states, and for who may touch what of it.

use super::{prepared::Prepared, snapshot::Snapshot};
use crate::gate::{Brief, Stay};
use parking_lot::Mutex;
use plugin_api::contract::{Address, Glance};
use std::{
    ptr,
    sync::{
        Arc,
        atomic::{AtomicPtr, AtomicU32, Ordering},
    },
};

/// Looks that may be counted on an entry. One that has so many, which a plugin can only have by forgetting them, takes no
/// more: the next ones have an entry of their own, since a count that began at 0 again would say that nobody looks.
const MOST: u32 = u32::MAX / 2;

/// One thread's hold on what a reader has prepared.
pub(super) struct Entry {
    /// The ids of reader (0 where it is none's) and publisher: entries outlive both.
    pub(super) reader: u64,
    pub(super) publisher: u64,
    looks: AtomicU32,
    /// Where the values of `held` lie.
    addresses: AtomicPtr<Address>,
    held: Mutex<Option<Held>>,
}

/// What an entry holds.
pub(super) struct Held {
    stay: Option<Stay>,
    snapshot: Arc<Snapshot>,
    prepared: Arc<Prepared>,
}

impl Held {
    /// What is prepared of a snapshot, for the length of a stay, if it has the value of this read.
    pub(super) fn new(
        prepared: Arc<Prepared>,
        snapshot: &Arc<Snapshot>,
        stay: Option<Brief>,
        read: usize,
    ) -> Option<Held> {
        let mut held = Held {
            stay: None,
            snapshot: Arc::clone(snapshot),
            prepared,
        };
        if let Some(brief) = stay {
            brief.keep(&mut held.stay);
        }
        (read < held.prepared.addresses().len()).then_some(held)
    }

    /// A snapshot alone, for the length of a stay.
    pub(super) fn bare(snapshot: &Arc<Snapshot>, stay: Brief) -> Held {
        let mut held = Held {
            stay: None,
            snapshot: Arc::clone(snapshot),
            prepared: Arc::default(),
        };
        stay.keep(&mut held.stay);
        held
    }

    /// Whether no call of its thread sees it any more. In this order: a call that is over has counted all its looks.
    fn is_free(&self, looks: &AtomicU32) -> bool {
        self.stay.as_ref().is_none_or(Stay::is_over) && looks.load(Ordering::Acquire) == 0
    }
}

impl Entry {
    /// An empty one of the calling thread's.
    pub(super) fn new(reader: u64, publisher: u64) -> Arc<Entry> {
        Arc::new(Entry {
            reader,
            publisher,
            looks: AtomicU32::new(0),
            addresses: AtomicPtr::new(ptr::null_mut()),
            held: Mutex::new(None),
        })
    }

    /// Counts one more look, unless there are too many. By its thread only.
    #[inline(always)]
    pub(super) fn takes_a_look(&self) -> bool {
        let takes = self.looks.load(Ordering::Relaxed) < MOST;
        if takes {
            self.count(1);
        }
        takes
    }

    /// Counts something like looks, one more or one less. By its thread only.
    #[inline(always)]
    pub(super) fn count(&self, by: i32) {
        let looks = self.looks.load(Ordering::Relaxed).wrapping_add_signed(by);
        self.looks.store(looks, Ordering::Release);
    }

    /// A look at the value for the read with this number, counted already.
    #[inline(always)]
    pub(super) fn glance(&self, read: usize) -> Glance {
        let addresses = self.addresses.load(Ordering::Relaxed);
        // SAFETY: They are the addresses that `put` found in `held`, which are there while it is not free (protocol 2); there
        // is one for each of the reader's windows.
        let address = unsafe { addresses.add(read) };
        // SAFETY: As above.
        let address = unsafe { *address };
        Glance {
            value: address.pointer(),
            looks: &raw const self.looks,
        }
    }

    /// Counts a look where this snapshot is held. By its thread.
    pub(super) fn share(&self, snapshot: &Arc<Snapshot>, stay: Option<Brief>) -> bool {
        let mut held = self.held.lock();
        match &mut *held {
            Some(held) if Arc::ptr_eq(&held.snapshot, snapshot) && self.takes_a_look() => {
                if let Some(brief) = stay {
                    brief.keep(&mut held.stay);
                }
                true
            }
            _ => false,
        }
    }

    /// Holds this from now on, with one look counted, where it is free. Gives what it held, or what it was to hold.
    pub(super) fn put(&self, new: Held) -> Result<Option<Held>, Held> {
        let mut held = self.held.lock();
        if held.as_ref().is_some_and(|held| !held.is_free(&self.looks)) {
            return Err(new);
        }
        let addresses = new.prepared.addresses().as_ptr().cast_mut();
        self.addresses.store(addresses, Ordering::Relaxed);
        self.count(1);
        Ok(held.replace(new))
    }

    /// The snapshot that it holds something of.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let held = self.held.lock();
        held.as_ref().map(|held| Arc::clone(&held.snapshot))
    }

    /// Takes out what it holds, where it is free and not of what is shown.
    pub(super) fn take_free(&self, shown: &Arc<Snapshot>) -> Option<Held> {
        let mut held = self.held.lock();
        held.take_if(|held| !Arc::ptr_eq(&held.snapshot, shown) && held.is_free(&self.looks))
    }

    /// Takes out what it holds: nobody looks through its reader any more. A call that goes on in another plugin sees the
    /// same snapshot on.
    pub(super) fn take(&self) -> Option<Held> {
        let mut held = self.held.lock();
        let rest = match &*held {
            Some(held) if !held.is_free(&self.looks) => Some(Held {
                stay: held.stay.clone(),
                snapshot: Arc::clone(&held.snapshot),
                prepared: Arc::default(),
            }),
            _ => None,
        };
        std::mem::replace(&mut *held, rest)
    }

    /// Whether it has no thread any more, and nothing in it.
    pub(super) fn is_left(entry: &Arc<Entry>) -> bool {
        Arc::strong_count(entry) == 1
            && entry.looks.load(Ordering::Acquire) == 0
            && entry.held.lock().is_none()
    }
}
