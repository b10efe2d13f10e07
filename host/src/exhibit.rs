//! An exhibit: what a plugin has parsed of a dataset while it is examined, and a lens on it.
//!
//! In the examiner nothing changes, and an exhibit stays until its plugin is gone: looks are counted since plugins count, and
//! nobody reads that.

use crate::foreign::parsed::Parsed;
use plugin_api::contract::{Glance, Lens};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Where looks begin to count: far from 0, since threads may lose each other's.
const LOOKS: u32 = 1 << 31;

/// What a plugin has parsed of one dataset.
pub(crate) struct Exhibit {
    parsed: Parsed,
    looks: AtomicU32,
}

impl Exhibit {
    /// This.
    pub(crate) fn new(parsed: Parsed) -> Exhibit {
        Exhibit {
            parsed,
            looks: AtomicU32::new(LOOKS),
        }
    }

    /// How the plugin looks at it. Of use as long as this lives.
    fn lens(&self) -> Lens {
        Lens {
            look,
            of: (&raw const *self).cast(),
        }
    }
}

/// All that a plugin has parsed, in the order of its reads; nothing where no data is at hand.
#[derive(Default)]
pub(crate) struct Exhibits {
    all: Vec<Exhibit>,
    /// Whether it has looked for one that is not there.
    missed: AtomicBool,
}

impl Exhibits {
    /// These.
    pub(crate) fn new(all: Vec<Exhibit>) -> Exhibits {
        Exhibits {
            all,
            missed: AtomicBool::new(false),
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether the plugin has looked for what is not there.
    pub(crate) fn were_missed(&self) -> bool {
        self.missed.load(Ordering::Acquire)
    }

    /// How the plugin looks at the dataset with this number. Of use as long as this lives.
    pub(crate) fn lens(&self, read: u32) -> Lens {
        match self.all.get(read as usize) {
            Some(exhibit) => exhibit.lens(),
            None => Lens {
                look: look_in_vain,
                of: (&raw const self.missed).cast(),
            },
        }
    }
}

extern "C" fn look(of: *const ()) -> Glance {
    // SAFETY: It is the address of an exhibit, from `lens`, and the services that the lens was given by hold it.
    let exhibit = unsafe { &*of.cast::<Exhibit>() };
    Glance {
        value: exhibit.parsed.address().pointer(),
        looks: &raw const exhibit.looks,
    }
}

extern "C" fn look_in_vain(of: *const ()) -> Glance {
    // SAFETY: It is the address of the mark of exhibits, from `lens`, and the services that the lens was given by hold them.
    let missed = unsafe { &*of.cast::<AtomicBool>() };
    missed.store(true, Ordering::Release);
    Glance::NOTHING
}
