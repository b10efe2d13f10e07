//! Types that are made of others, or lie on the heap.

use super::Crossing;
use crate::rope::Rope;
use abi_stable::std_types::{ROption, RResult, RString, RVec};
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash},
    time::Duration,
};

impl Crossing for String {
    type Wire = RString;
    const SHAPE: Rope = Rope::Text("String");

    fn into_wire(self) -> RString {
        self.into()
    }

    fn from_wire(wire: RString) -> String {
        // A copy: the other side's string is the other side's to free.
        wire.as_str().to_owned()
    }
}

impl<T: Crossing> Crossing for Vec<T> {
    type Wire = RVec<T::Wire>;
    const SHAPE: Rope = Rope::Parts(&[Rope::Text("Vec<"), T::SHAPE, Rope::Text(">")]);

    fn into_wire(self) -> Self::Wire {
        T::many_into_wire(self)
    }

    fn from_wire(wire: Self::Wire) -> Self {
        T::many_from_wire(wire)
    }
}

impl<T: Crossing> Crossing for Option<T> {
    type Wire = ROption<T::Wire>;
    const SHAPE: Rope = Rope::Parts(&[Rope::Text("Option<"), T::SHAPE, Rope::Text(">")]);

    #[inline]
    fn into_wire(self) -> Self::Wire {
        self.map(T::into_wire).into()
    }

    #[inline]
    fn from_wire(wire: Self::Wire) -> Self {
        wire.into_option().map(T::from_wire)
    }
}

impl<T: Crossing, E: Crossing> Crossing for Result<T, E> {
    type Wire = RResult<T::Wire, E::Wire>;
    const SHAPE: Rope = Rope::Parts(&[
        Rope::Text("Result<"),
        T::SHAPE,
        Rope::Text(", "),
        E::SHAPE,
        Rope::Text(">"),
    ]);

    #[inline]
    fn into_wire(self) -> Self::Wire {
        self.map(T::into_wire).map_err(E::into_wire).into()
    }

    #[inline]
    fn from_wire(wire: Self::Wire) -> Self {
        wire.into_result().map(T::from_wire).map_err(E::from_wire)
    }

    #[inline(always)]
    fn is_refusal(&self) -> bool {
        self.is_err()
    }
}

/// An array.
#[repr(C)]
pub struct ArrayWire<T, const LENGTH: usize>([T; LENGTH]);

impl<T: Crossing, const LENGTH: usize> Crossing for [T; LENGTH] {
    type Wire = ArrayWire<T::Wire, LENGTH>;
    const SHAPE: Rope = Rope::Parts(&[
        Rope::Text("["),
        T::SHAPE,
        Rope::Text("; "),
        Rope::Number(LENGTH),
        Rope::Text("]"),
    ]);

    #[inline]
    fn into_wire(self) -> Self::Wire {
        ArrayWire(self.map(T::into_wire))
    }

    #[inline]
    fn from_wire(wire: Self::Wire) -> Self {
        wire.0.map(T::from_wire)
    }
}

/// A duration.
#[repr(C)]
pub struct DurationWire {
    seconds: u64,
    nanoseconds: u32,
}

impl Crossing for Duration {
    type Wire = DurationWire;
    const SHAPE: Rope = Rope::Text("Duration");

    #[inline]
    fn into_wire(self) -> DurationWire {
        DurationWire {
            seconds: self.as_secs(),
            nanoseconds: self.subsec_nanos(),
        }
    }

    #[inline]
    fn from_wire(wire: DurationWire) -> Duration {
        Duration::new(wire.seconds, wire.nanoseconds)
    }
}

macro_rules! tuples {
    ($($wire:ident: $first:ident $first_index:tt $($next:ident $index:tt)*;)*) => {$(
        /// A tuple.
        #[repr(C)]
        pub struct $wire<$first, $($next),*>($first, $($next),*);

        impl<$first: Crossing, $($next: Crossing),*> Crossing for ($first, $($next,)*) {
            type Wire = $wire<$first::Wire, $($next::Wire),*>;
            const SHAPE: Rope = Rope::Parts(&[
                Rope::Text("("),
                $first::SHAPE,
                $(Rope::Text(", "), $next::SHAPE,)*
                Rope::Text(")"),
            ]);

            #[inline]
            fn into_wire(self) -> Self::Wire {
                $wire(self.$first_index.into_wire(), $(self.$index.into_wire()),*)
            }

            #[inline]
            fn from_wire(wire: Self::Wire) -> Self {
                (
                    $first::from_wire(wire.$first_index),
                    $($next::from_wire(wire.$index),)*
                )
            }
        }
    )*};
}

tuples! {
    Wire2: A 0 B 1;
    Wire3: A 0 B 1 C 2;
    Wire4: A 0 B 1 C 2 D 3;
    Wire5: A 0 B 1 C 2 D 3 E 4;
    Wire6: A 0 B 1 C 2 D 3 E 4 F 5;
}

impl<K: Crossing + Ord, V: Crossing> Crossing for BTreeMap<K, V> {
    type Wire = RVec<Wire2<K::Wire, V::Wire>>;
    const SHAPE: Rope = Rope::Parts(&[
        Rope::Text("BTreeMap<"),
        K::SHAPE,
        Rope::Text(", "),
        V::SHAPE,
        Rope::Text(">"),
    ]);

    fn into_wire(self) -> Self::Wire {
        <(K, V)>::many_into_wire(self.into_iter().collect())
    }

    fn from_wire(wire: Self::Wire) -> Self {
        wire.into_iter().map(<(K, V)>::from_wire).collect()
    }
}

impl<K, V, S> Crossing for HashMap<K, V, S>
where
    K: Crossing + Eq + Hash,
    V: Crossing,
    S: BuildHasher + Default,
{
    type Wire = RVec<Wire2<K::Wire, V::Wire>>;
    const SHAPE: Rope = Rope::Parts(&[
        Rope::Text("HashMap<"),
        K::SHAPE,
        Rope::Text(", "),
        V::SHAPE,
        Rope::Text(">"),
    ]);

    fn into_wire(self) -> Self::Wire {
        <(K, V)>::many_into_wire(self.into_iter().collect())
    }

    fn from_wire(wire: Self::Wire) -> Self {
        wire.into_iter().map(<(K, V)>::from_wire).collect()
    }
}
