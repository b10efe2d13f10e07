//! The face: where a plugin's object lies, and the tables of functions by which it can be entered.
//!
//! Each interface that a plugin offers has a table: a `repr(C)` struct of `extern "C"` functions, one a method, that take
//! the object first. A table fits the object that it is offered with, and no other; both are of use only until the
//! object is retired, under the same rules as the object's own methods: those of `&self` at once, those of `&mut self`
//! alone.

use crate::interface::{Interface, OfferedBy};
use abi_stable::{
    StableAbi,
    std_types::{RSlice, RStr},
};

/// Where a plugin's object lies, as the functions of its tables take it.
#[repr(transparent)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object(pub(crate) *const ());

/// Where a table of an interface lies.
#[repr(transparent)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table(*const ());

// SAFETY: It is an address. What lies there is `Send + Sync`, as every plugin is.
unsafe impl Send for Object {}
// SAFETY: As above.
unsafe impl Sync for Object {}
// SAFETY: It is the address of a constant.
unsafe impl Send for Table {}
// SAFETY: As above.
unsafe impl Sync for Table {}

impl Table {
    /// This table of functions for an interface.
    const fn of<T>(functions: &'static T) -> Table {
        Table((&raw const *functions).cast())
    }

    /// The table at this address, to be passed on.
    #[must_use]
    pub fn at(address: *const ()) -> Table {
        Table(address)
    }

    /// The address.
    #[must_use]
    pub fn address(self) -> *const () {
        self.0
    }

    /// The table at this address.
    ///
    /// # Safety
    /// The address is that of a table whose description fits that of `I`, in a library that stays mapped while the
    /// reference is used.
    #[inline(always)]
    #[must_use]
    pub unsafe fn reach<'a, I: Interface + ?Sized>(address: *const ()) -> &'a I::Table {
        // SAFETY: As the caller promises.
        unsafe { &*address.cast() }
    }
}

/// An interface that a plugin offers.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct Offer {
    /// Its name.
    pub name: RStr<'static>,
    /// What it looks like, in JSON: see [`manifest::Interface`](crate::manifest::Interface).
    pub description: RStr<'static>,
    /// Its functions.
    pub table: Table,
    /// The same functions, but that those of `&self` tell the host when they begin and end. A caller may use either.
    pub timed: Table,
}

impl Offer {
    /// What `P` offers for an interface.
    #[must_use]
    pub const fn of<I: OfferedBy<P> + ?Sized, P>() -> Offer {
        Offer {
            name: RStr::from_str(I::NAME),
            description: RStr::from_str(I::DESCRIPTION),
            table: Table::of(I::TABLE),
            timed: Table::of(I::TIMED),
        }
    }
}

/// Where a plugin's object lies, and what it offers. It lives in the plugin's library.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct Face {
    /// The object.
    pub object: Object,
    /// The interfaces it offers.
    pub offers: RSlice<'static, Offer>,
}
