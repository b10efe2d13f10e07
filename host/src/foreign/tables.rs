//! Tables: the functions of the interfaces that one loaded plugin offers, where callers find them.
//!
//! Every interface that live handles use has a *place* in its slot, a small number. A plugin's tables have an array of
//! these places, with the address of the table that fits, so that a call finds its function without a search. Addresses
//! lead into the plugin's library: they are followed only inside a lease on its generation.
//!
//! # Who may touch what
//! Places are set and cleared under the lock of the slot's [`Interfaces`](crate::interfaces::Interfaces), and read by
//! callers at any time. A place is given to another interface only after the last handle that used it is gone.

use anyhow::{Context, Result};
use plugin_api::{
    Interface as Typed,
    contract::{Face, Object, Table},
    manifest::Interface,
};
use std::{
    marker::PhantomData,
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, Ordering},
};

/// Interfaces of one plugin that live handles may use at once.
pub(crate) const PLACES: usize = 16;

/// The tables of one loaded plugin.
pub(crate) struct Tables {
    object: Object,
    offered: Vec<Offered>,
    places: [Place; PLACES],
}

/// An interface that it offers.
struct Offered {
    interface: Interface,
    table: Table,
    /// The number of its first method: methods by name come first, then those of the interfaces.
    first: u32,
}

/// Where callers find a table.
#[derive(Default)]
struct Place {
    table: AtomicPtr<()>,
    first: AtomicU32,
}

/// A place whose interface fits `I`.
pub(crate) struct PlaceOf<I: ?Sized>(usize, PhantomData<fn(&I)>);

impl<I: Typed + ?Sized> PlaceOf<I> {
    /// The place of a claim by `I::DESCRIPTION`: callers have made it by that, and by no other.
    pub(crate) fn claimed(place: usize) -> Self {
        PlaceOf(place, PhantomData)
    }
}

impl<I: ?Sized> Clone for PlaceOf<I> {
    fn clone(&self) -> Self {
        PlaceOf(self.0, PhantomData)
    }
}

impl Tables {
    /// The tables in a face; their methods are numbered from `first` on.
    ///
    /// # Errors
    /// A description that cannot be read.
    pub(super) fn of(face: &Face, mut first: u32) -> Result<Tables> {
        let mut offered = Vec::new();
        for offer in face.offers {
            let interface: Interface = serde_json::from_str(offer.description.as_str())
                .with_context(|| format!("reading the description of `{}`", offer.name))?;
            let methods = interface.methods.len() as u32;
            offered.push(Offered {
                interface,
                table: offer.table,
                first,
            });
            first += methods;
        }
        Ok(Tables {
            object: face.object,
            offered,
            places: Default::default(),
        })
    }

    /// The object that the tables are of.
    #[inline(always)]
    pub(super) fn object(&self) -> Object {
        self.object
    }

    /// The interfaces that are offered.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &Interface> + Clone {
        self.offered.iter().map(|offered| &offered.interface)
    }

    /// Lets callers find the offered interface of this name at `place`.
    pub(crate) fn set(&self, place: usize, name: &str) {
        let offered = self.offered.iter().find(|o| o.interface.name == name);
        if let (Some(offered), Some(place)) = (offered, self.places.get(place)) {
            place.first.store(offered.first, Ordering::Relaxed);
            let address = offered.table.address().cast_mut();
            place.table.store(address, Ordering::Release);
        }
    }

    /// Lets callers find nothing at `place`.
    pub(crate) fn clear(&self, place: usize) {
        if let Some(place) = self.places.get(place) {
            place.table.store(ptr::null_mut(), Ordering::Release);
        }
    }

    /// The address at `place`, and the number of the first method; `None` where nothing fits there.
    #[inline(always)]
    pub(crate) fn find(&self, place: usize) -> Option<(*const (), u32)> {
        let place = self.places.get(place)?;
        let table = place.table.load(Ordering::Acquire);
        (!table.is_null()).then(|| (table.cast_const(), place.first.load(Ordering::Relaxed)))
    }
}

/// The table at an address that was found at this place, inside a lease on its generation.
#[inline(always)]
pub(crate) fn reach<'lease, I: Typed + ?Sized>(
    _place: &PlaceOf<I>,
    address: *const (),
) -> &'lease I::Table {
    // SAFETY: What stands at a place is set only after its description was found to fit the one that the place was
    // claimed by, which is that of `I`. The lease keeps its library mapped.
    unsafe { Table::reach::<I>(address) }
}
