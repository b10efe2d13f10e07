//! Tables: the functions of the interfaces that one loaded plugin offers, where callers find them.
//!
//! Every interface that live handles use has a *place* in its slot, a small number. A plugin's tables have an array of
//! these places, with the address of the table that fits, so that a call finds its function without a search. Addresses
//! lead into the plugin's library: they are followed only inside a lease on its generation.
//!
//! # Who may touch what
//! Places are set and cleared under the lock of the slot's [`Interfaces`](crate::interfaces::Interfaces), and read by
//! callers at any time. A place is given to another interface only after the last handle that used it is gone.

use crate::gate::{Note, Notes};
use anyhow::{Context, Result};
use plugin_api::{
    contract::{Face, Object, Table},
    manifest::Interface,
};
use std::{
    hint::cold_path,
    marker::PhantomData,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

/// Interfaces of one plugin that live handles may use at once: as many as a `u8` can number.
pub(crate) const PLACES: usize = 1 << u8::BITS;

/// The tables of one loaded plugin.
pub(crate) struct Tables {
    offered: Vec<Offered>,
    plain: View,
    /// The same functions, which tell the host when they begin and end.
    timed: View,
}

/// An interface that it offers.
struct Offered {
    interface: Interface,
    plain: Table,
    timed: Table,
}

/// The object and its tables, as a call through an interface finds them.
#[repr(C)]
pub(crate) struct View {
    object: Object,
    places: [Place; PLACES],
}

/// Where callers find a table.
type Place = AtomicPtr<()>;

/// A method of an interface, as one number that a note can tell: by the interface's place. Above all numbers of methods by
/// name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypedMethod(
    /// From the first of the first place on.
    u32,
);

impl TypedMethod {
    /// The first of them; the last is the last that a note can tell.
    const FIRST: u32 = Note::NUMBERS - PLACES as u32 * Notes::COUNT;

    /// What calls of the interface's methods at `place` note.
    pub(crate) fn notes(place: u8) -> Notes {
        Notes::from(Self::FIRST + u32::from(place) * Notes::COUNT)
    }

    /// What this number is, unless it is that of a method by name.
    pub(crate) fn of(number: u32) -> Option<TypedMethod> {
        let typed = number.checked_sub(Self::FIRST);
        typed.map(TypedMethod)
    }

    fn place(self) -> u8 {
        (self.0 / Notes::COUNT) as u8
    }

    fn method(self) -> usize {
        (self.0 % Notes::COUNT) as usize
    }
}

/// A place whose interface fits `I`.
pub(crate) struct PlaceOf<I: ?Sized>(u8, PhantomData<fn(&I)>);

impl<I: plugin_api::Interface + ?Sized> PlaceOf<I> {
    /// The place of a claim by `I::DESCRIPTION`: callers have made it by that, and by no other.
    pub(crate) fn claimed(place: u8) -> Self {
        PlaceOf(place, PhantomData)
    }
}

impl<I: ?Sized> Clone for PlaceOf<I> {
    fn clone(&self) -> Self {
        PlaceOf(self.0, PhantomData)
    }
}

impl Tables {
    /// The tables in a face.
    ///
    /// # Errors
    /// A description that cannot be read.
    pub(super) fn of(face: &Face) -> Result<Tables> {
        let mut offered = Vec::new();
        for offer in face.offers {
            let interface: Interface = serde_json::from_str(offer.description.as_str())
                .with_context(|| format!("reading the description of `{}`", offer.name))?;
            offered.push(Offered {
                interface,
                plain: offer.table,
                timed: offer.timed,
            });
        }
        Ok(Tables {
            offered,
            plain: View::of(face.object),
            timed: View::of(face.object),
        })
    }

    /// Tables of the same object that offer nothing, and never will.
    pub(super) fn without_places(&self) -> Tables {
        Tables {
            offered: Vec::new(),
            plain: View::of(self.object()),
            timed: View::of(self.object()),
        }
    }

    /// How callers see them: the plain view, and the timed one.
    pub(crate) fn views(&self) -> [&View; 2] {
        [&self.plain, &self.timed]
    }

    /// The object that the tables are of.
    pub(super) fn object(&self) -> Object {
        self.plain.object
    }

    /// The interfaces that are offered.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &Interface> + Clone {
        self.offered.iter().map(|offered| &offered.interface)
    }

    /// Lets callers find the offered interface of this name at `place`.
    pub(crate) fn set(&self, place: u8, name: &str) {
        let offered = self.offered.iter().find(|o| o.interface.name == name);
        if let Some(offered) = offered {
            self.plain.set(place, offered.plain.address());
            self.timed.set(place, offered.timed.address());
        }
    }

    /// Lets callers find nothing at `place`.
    pub(crate) fn clear(&self, place: u8) {
        self.plain.set(place, ptr::null());
        self.timed.set(place, ptr::null());
    }

    /// The address at `place`; `None` where nothing fits there.
    pub(crate) fn find(&self, place: u8) -> Option<*const ()> {
        self.plain.find(place).map(|(_, table)| table)
    }

    /// The name of a method: `Arithmetic.add`.
    pub(crate) fn name(&self, typed: TypedMethod) -> Option<String> {
        let table = self.find(typed.place())?;
        let mut offered = self.offered.iter();
        let interface = &offered
            .find(|offered| offered.plain.address() == table)?
            .interface;
        let method = interface.methods.get(typed.method())?;
        Some(format!("{}.{}", interface.name, method.name))
    }
}

impl View {
    fn of(object: Object) -> View {
        View {
            object,
            places: [const { Place::new(ptr::null_mut()) }; PLACES],
        }
    }

    fn set(&self, place: u8, address: *const ()) {
        self.places[usize::from(place)].store(address.cast_mut(), Ordering::Release);
    }

    /// The object, and the address of the table at `place`; `None` where nothing fits there.
    #[inline(always)]
    pub(crate) fn find(&self, place: u8) -> Option<(Object, *const ())> {
        let table = self.places[usize::from(place)].load(Ordering::Acquire);
        if table.is_null() {
            cold_path();
            return None;
        }
        Some((self.object, table.cast_const()))
    }
}

/// The table at an address that was found at this place, inside a lease on its generation.
#[inline(always)]
pub(crate) fn reach<'lease, I: plugin_api::Interface + ?Sized>(
    _place: &PlaceOf<I>,
    address: *const (),
) -> &'lease I::Table {
    // SAFETY: What stands at a place is set only after its description was found to fit the one that the place was
    // claimed by, which is that of `I`. The lease keeps its library mapped.
    unsafe { Table::reach::<I>(address) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Call;

    #[test]
    fn every_method_of_every_place_has_a_number_of_its_own() {
        let ends = |last: u32| [0, 1, last - 1, last];
        let mut numbers = Vec::new();
        for place in ends(PLACES as u32 - 1) {
            for method in ends(Notes::COUNT - 1) {
                let number = TypedMethod::FIRST + place * Notes::COUNT + method;
                let typed = TypedMethod::of(number).expect("it is one of an interface");
                assert_eq!(
                    (typed.place(), typed.method()),
                    (place as u8, method as usize)
                );
                let note = TypedMethod::notes(place as u8).of(method);
                assert_eq!(note, Call::of(number, false).note);
                numbers.push(number);
            }
        }
        assert!(numbers.is_sorted_by(|one, next| one < next));
        assert_eq!(TypedMethod::of(TypedMethod::FIRST - 1), None);
    }
}
