//! An exhibit: what a plugin has parsed of a dataset while it is examined, and a lens on it.
//!
//! In the examiner nothing changes, and an exhibit stays until its plugin is gone: looks are counted since plugins count, and
//! nobody reads that.

use crate::foreign::parsed::Parsed;
use plugin_api::contract::{Glance, Lens};
use std::sync::atomic::AtomicU32;

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
    pub(crate) fn lens(&self) -> Lens {
        Lens {
            look,
            of: (&raw const *self).cast(),
        }
    }

    /// A lens on nothing.
    pub(crate) fn nothing() -> Lens {
        Lens {
            look: look_at_nothing,
            of: std::ptr::null(),
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

extern "C" fn look_at_nothing(_of: *const ()) -> Glance {
    Glance::NOTHING
}
