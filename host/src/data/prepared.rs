//! What is prepared: the values that one plugin has parsed of the datasets it reads, at one snapshot.
//!
//! A value belongs to a revision of a dataset; where that is the same in two snapshots, they share it.

use super::snapshot::Snapshot;
use crate::foreign::parsed::Parsed;
use plugin_api::contract::Address;
use std::sync::{Arc, Weak};

/// What a plugin has parsed of one revision.
pub(super) struct Value {
    /// The revision's number.
    pub(super) revision: u64,
    parsed: Parsed,
}

impl Value {
    pub(super) fn new(revision: u64, parsed: Parsed) -> Arc<Value> {
        Arc::new(Value { revision, parsed })
    }
}

/// The values of all that a plugin reads, in the order of its reads.
#[derive(Default)]
pub(super) struct Prepared {
    values: Box<[Arc<Value>]>,
    addresses: Box<[Address]>,
}

impl Prepared {
    pub(super) fn new(values: Vec<Arc<Value>>) -> Prepared {
        Prepared {
            addresses: values.iter().map(|value| value.parsed.address()).collect(),
            values: values.into_boxed_slice(),
        }
    }

    /// The value for the read with this number.
    pub(super) fn value(&self, read: usize) -> Option<&Arc<Value>> {
        self.values.get(read)
    }

    /// Where the values lie.
    pub(super) fn addresses(&self) -> &[Address] {
        &self.addresses
    }
}

/// What is prepared for one snapshot, as long as anybody holds that.
#[derive(Clone)]
pub(super) struct Kept {
    snapshot: Weak<Snapshot>,
    /// The snapshot's number.
    pub(super) number: u64,
    /// What is seen there.
    pub(super) prepared: Arc<Prepared>,
}

impl Kept {
    /// For no snapshot.
    pub(super) fn nothing() -> Kept {
        Kept {
            snapshot: Weak::new(),
            number: 0,
            prepared: Arc::default(),
        }
    }

    pub(super) fn new(snapshot: &Arc<Snapshot>, prepared: Arc<Prepared>) -> Kept {
        Kept {
            snapshot: Arc::downgrade(snapshot),
            number: snapshot.number,
            prepared,
        }
    }

    /// Whether it is for this snapshot. No two have one address while one of them is kept in mind.
    pub(super) fn is_for(&self, snapshot: &Arc<Snapshot>) -> bool {
        std::ptr::eq(self.snapshot.as_ptr(), Arc::as_ptr(snapshot))
    }

    /// Whether anybody can ask for it.
    pub(super) fn is_wanted(&self) -> bool {
        self.snapshot.strong_count() > 0
    }
}
