//! Results: what a method returned, on its way to the caller.

use crate::contract::{Fault, FaultKind};
use serde::Serialize;
use std::fmt::Display;

/// What a method can return: anything that serialises.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a method",
    label = "put `#[plugin_api::data]` on the struct or enum that it is or holds",
    note = "a result crosses as data: its type must implement `serde::Serialize`"
)]
pub trait Returned {
    /// It as JSON text.
    fn write(&self) -> Result<Vec<u8>, serde_json::Error>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Returned for T {
    fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// What the `Err` of a fallible method can be: anything with a text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say why it refused",
    label = "implement `Display` for `{Self}`, or return `Result<_, String>`",
    note = "callers are told the text of the error"
)]
pub trait Reason {
    /// It as callers are told.
    fn text(&self) -> String;
}

#[diagnostic::do_not_recommend]
impl<E: Display + ?Sized> Reason for E {
    fn text(&self) -> String {
        format!("{self:#}")
    }
}

/// The result as it crosses.
pub fn written<T: Returned>(method: &'static str, result: &T) -> Result<Vec<u8>, Fault> {
    result.write().map_err(|error| {
        Fault::new(
            FaultKind::BAD_RESULT,
            format!("{method} was executed, but its result is no JSON: {error}"),
        )
    })
}

/// The fault for an `Err` of the author's.
pub fn refused<E: Reason>(error: &E) -> Fault {
    Fault::new(FaultKind::REFUSED, error.text())
}
