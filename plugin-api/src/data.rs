//! Data: structs and enums that cross as arguments and results, or are kept in a state.

use serde::{Serialize, de::DeserializeOwned};

/// What a field of such a type can be. Asked for beside serde's derives, whose own answer is long and names serde.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a state or of data",
    label = "put `#[plugin_api::data]` on the struct or enum that it is or holds, or `#[serde(skip)]` on the field"
)]
pub trait Datum {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Datum for T {}

/// Asks whether `T` can be a field.
pub const fn field<T: Datum>() {}
