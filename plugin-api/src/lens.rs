//! The lens: how a plugin looks at a dataset that it reads, and where what it sees is kept meanwhile.
//!
//! The host keeps what the plugin has parsed, once a revision. A look gives its address, and counts itself on a counter
//! of the calling thread's; the plugin's side takes that back when it looks no more. Counter and value stay where they are
//! as long as the count is not 0.

use abi_stable::StableAbi;
use std::sync::atomic::AtomicU32;

/// Where a value lies that a plugin has parsed.
#[repr(transparent)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(*const ());

// SAFETY: It is an address. What lies there is `Send + Sync`: only `Content` is parsed.
unsafe impl Send for Address {}
// SAFETY: As above.
unsafe impl Sync for Address {}

impl Address {
    /// The address of a value.
    #[must_use]
    pub fn of<T: Send + Sync>(value: &T) -> Address {
        Address((&raw const *value).cast())
    }

    /// It as a pointer.
    #[must_use]
    pub fn pointer(self) -> *const () {
        self.0
    }
}

/// What a look gives.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct Glance {
    /// The value; null where there is none to be had.
    pub value: *const (),
    /// Where the look is counted, until it ends on this thread; null where there is no value.
    pub looks: *const AtomicU32,
}

impl Glance {
    /// There is nothing to be seen.
    pub const NOTHING: Glance = Glance {
        value: std::ptr::null(),
        looks: std::ptr::null(),
    };
}

/// How a plugin looks at one dataset. Of use as long as the services are held that it came from.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct Lens {
    /// Looks. The look ends on the same thread, by taking 1 from `looks` with release order.
    pub look: extern "C" fn(of: *const ()) -> Glance,
    /// What `look` is to be given.
    pub of: *const (),
}

// SAFETY: `look` may be called on any thread, and `of` is an address that only it follows.
unsafe impl Send for Lens {}
// SAFETY: As above.
unsafe impl Sync for Lens {}
