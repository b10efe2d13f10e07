//! Types that are their own wire form.

use super::{Crossing, Plain};
use crate::rope::Rope;
use abi_stable::std_types::RVec;

macro_rules! simple {
    ($($simple:ident)*) => {$(
        impl Crossing for $simple {
            type Wire = $simple;
            const SHAPE: Rope = Rope::Text(stringify!($simple));

            #[inline(always)]
            fn into_wire(self) -> $simple {
                self
            }

            #[inline(always)]
            fn from_wire(wire: $simple) -> $simple {
                wire
            }

            fn many_into_wire(many: Vec<$simple>) -> RVec<$simple> {
                many.into()
            }

            fn many_from_wire(wire: RVec<$simple>) -> Vec<$simple> {
                wire.as_slice().to_vec()
            }
        }

        impl Plain for $simple {
            const PLAIN_SHAPE: Rope = Rope::Text(stringify!($simple));
        }
    )*};
}

simple! { u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64 bool char }

impl<T: Plain, const LENGTH: usize> Plain for [T; LENGTH] {
    const PLAIN_SHAPE: Rope = Rope::Parts(&[
        Rope::Text("["),
        T::PLAIN_SHAPE,
        Rope::Text("; "),
        Rope::Number(LENGTH),
        Rope::Text("]"),
    ]);
}

impl Crossing for () {
    type Wire = ();
    const SHAPE: Rope = Rope::Text("()");

    #[inline(always)]
    fn into_wire(self) {}

    #[inline(always)]
    fn from_wire((): ()) {}
}
