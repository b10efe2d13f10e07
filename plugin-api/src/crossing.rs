//! Crossing: the types that an interface's methods take and give, and what they look like on the way.
//!
//! A value crosses in its *wire* form, made of `repr(C)` types and those of abi_stable, which both sides lay out alike.
//! What is on the heap stays on the heap of the library that made it until the other side has copied it; each side frees
//! its own. Types whose wire form is themselves are [`Plain`]: those may also be lent, without a copy.

mod collections;
mod simple;

use crate::rope::Rope;
use abi_stable::std_types::{RSlice, RStr, RVec};

/// What an interface's methods can take and give. [`data`](macro@crate::data) implements it for structs and enums whose
/// fields are such types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross in an interface",
    label = "write a type that can, or `#[plugin_api::data]` on the struct or enum that it is or holds",
    note = "numbers up to 64 bits, `bool`, `char`, `()`, `String`, `Duration`, and `Vec`, `Option`, `Result`, arrays, \
            tuples up to six and maps of such types can cross, and structs and enums of them with `#[plugin_api::data]`"
)]
pub trait Crossing: Sized {
    /// It, on its way across.
    #[doc(hidden)]
    type Wire;
    /// What it looks like, as a person reads it.
    #[doc(hidden)]
    const SHAPE: Rope;

    /// The wire form.
    #[doc(hidden)]
    fn into_wire(self) -> Self::Wire;

    /// It again, on this side's heap.
    #[doc(hidden)]
    fn from_wire(wire: Self::Wire) -> Self;

    /// Whether it is an `Err`.
    #[doc(hidden)]
    #[inline(always)]
    fn is_refusal(&self) -> bool {
        false
    }

    /// The wire form of many.
    #[doc(hidden)]
    fn many_into_wire(many: Vec<Self>) -> RVec<Self::Wire> {
        many.into_iter()
            .map(Self::into_wire)
            .collect::<Vec<_>>()
            .into()
    }

    /// Many again, on this side's heap.
    #[doc(hidden)]
    fn many_from_wire(wire: RVec<Self::Wire>) -> Vec<Self> {
        wire.into_iter().map(Self::from_wire).collect()
    }
}

/// What can be lent to an interface's methods by `&T` and `&[T]`, without a copy: numbers, `bool`, arrays of those, and
/// structs with `#[plugin_api::data(plain)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be lent to an interface, or be a field of plain data",
    label = "write the owned type (`Vec<T>` for `&[T]`, `T` for `&T`), or `#[plugin_api::data(plain)]` on the struct that it is",
    note = "what is lent crosses as it lies in memory: numbers up to 64 bits, `bool`, `char`, arrays of them, and structs \
            of them with `#[plugin_api::data(plain)]`; `&str` can be lent too"
)]
pub trait Plain: Copy + Send + Sync + 'static {
    /// What it looks like, as a person reads it.
    #[doc(hidden)]
    const PLAIN_SHAPE: Rope;
}

/// Asks whether `T` is plain.
pub const fn plain<T: Plain>() {}

/// What can stand behind the `&` of an argument.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot cross in an interface",
    label = "write the owned type (`Vec<T>` for `&[T]`, `T` for `&T`), or `#[plugin_api::data(plain)]` on the struct that it is",
    note = "`&str`, and `&T` and `&[T]` of numbers, `bool`, `char`, arrays of them, and structs of them with \
            `#[plugin_api::data(plain)]` can be lent"
)]
pub trait Lent {
    /// It, on its way across.
    type Wire<'a>
    where
        Self: 'a;
    /// What it looks like, as a person reads it.
    const SHAPE: Rope;
    /// The size of what is lent, or of one element of it.
    const SIZE: usize;

    /// The wire form.
    fn lend(&self) -> Self::Wire<'_>;

    /// It again.
    fn lent<'a>(wire: Self::Wire<'a>) -> &'a Self;
}

impl Lent for str {
    type Wire<'a> = RStr<'a>;
    const SHAPE: Rope = Rope::Text("&str");
    const SIZE: usize = 1;

    #[inline]
    fn lend(&self) -> RStr<'_> {
        RStr::from_str(self)
    }

    #[inline]
    fn lent<'a>(wire: Self::Wire<'a>) -> &'a str {
        wire.as_str()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Plain> Lent for [T] {
    type Wire<'a> = RSlice<'a, T>;
    const SHAPE: Rope = Rope::Parts(&[Rope::Text("&["), T::PLAIN_SHAPE, Rope::Text("]")]);
    const SIZE: usize = size_of::<T>();

    #[inline]
    fn lend(&self) -> RSlice<'_, T> {
        RSlice::from_slice(self)
    }

    #[inline]
    fn lent<'a>(wire: Self::Wire<'a>) -> &'a [T] {
        wire.as_slice()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Plain> Lent for T {
    type Wire<'a> = &'a T;
    const SHAPE: Rope = Rope::Parts(&[Rope::Text("&"), T::PLAIN_SHAPE]);
    const SIZE: usize = size_of::<T>();

    #[inline]
    fn lend(&self) -> &T {
        self
    }

    #[inline]
    fn lent<'a>(wire: Self::Wire<'a>) -> &'a T {
        wire
    }
}

#[cfg(test)]
mod tests;
