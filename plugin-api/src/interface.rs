//! An interface: a trait by which plugins are called with plain types, and what its attribute makes of it.
//!
//! Both sides are compiled against the trait. The plugin's side makes a table of functions of its `impl`; the caller's
//! side is a client whose methods enter the plugin through an [`Entrance`] and call those functions. What the trait looks
//! like is told in a description, which is compared before any of it is used.

use crate::{answered::Answered, crossing::Crossing, face::Object};

/// An interface, as [`interface`](macro@crate::interface) makes one of `dyn Trait`. Nobody else implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no interface",
    label = "put `#[plugin_api::interface]` on the trait, and write `dyn` before its name"
)]
pub trait Interface: 'static {
    /// The trait's name.
    const NAME: &'static str;
    /// What it looks like, as the JSON text of a [`manifest::Interface`](crate::manifest::Interface).
    #[doc(hidden)]
    const DESCRIPTION: &'static str;
    /// Whether it has a `&mut self` method.
    #[doc(hidden)]
    const HAS_EXCLUSIVE: bool;
    /// Its functions, in the order of the methods.
    #[doc(hidden)]
    type Table: 'static;
    /// What has its methods for callers.
    #[doc(hidden)]
    type Client<E: Entrance<Self>>;

    /// The client behind an entrance.
    #[doc(hidden)]
    fn client<E: Entrance<Self>>(entrance: E) -> Self::Client<E>;

    /// The entrance of a client.
    #[doc(hidden)]
    fn entrance<E: Entrance<Self>>(client: &Self::Client<E>) -> &E;
}

/// An interface that the plugin `P` offers.
#[diagnostic::on_unimplemented(
    message = "`{P}` does not offer `{Self}`",
    label = "write `impl` of this trait for the plugin, and `#[plugin_api::interface]` on the trait"
)]
pub trait OfferedBy<P>: Interface {
    /// The functions of `P`.
    const TABLE: &'static Self::Table;
    /// The same, but that those of `&self` methods tell the host when they begin and end.
    const TIMED: &'static Self::Table;
}

/// A way into a plugin that offers an interface: the host's own, or the one that plugins have.
pub trait Entrance<I: Interface + ?Sized> {
    /// Why a call has no result.
    type Error;

    /// Enters the plugin, calls a function of its table, copies what that gives, and leaves.
    ///
    /// # Errors
    /// The call was not let in, or the plugin's fault.
    fn enter<R: Crossing>(
        &self,
        method: Called,
        call: impl FnOnce(Object, &I::Table) -> Answered<R::Wire>,
    ) -> Result<R, Self::Error>;
}

/// Which method of an interface is called.
#[derive(Debug, Clone, Copy)]
pub struct Called {
    /// Its place among the methods.
    pub number: u32,
    /// Whether it is `&mut self`.
    pub exclusive: bool,
    /// Its name.
    pub name: &'static str,
}

#[cfg(test)]
#[expect(unsafe_code, reason = "enters without a host")]
mod tests;
