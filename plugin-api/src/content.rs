//! Content: what a plugin reads of a dataset, in a type of its own.
//!
//! A revision of a dataset is parsed once, before it is published; where that fails, the revision is refused. Parsing is
//! a function of the library, not of the plugin's object: it runs beside whatever the object is doing.

use crate::{
    contract::{
        Answer, FORMAT_BYTES, FORMAT_JSON, Fault, FaultKind, ParsedBox, ParsedObject,
        ParsedObject_TO,
    },
    guard::{drop_guarded, guard, hook, unhook},
    lens::Address,
    logging,
};
use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RSlice},
};
use serde::de::DeserializeOwned;
use std::{any::TypeId, mem::ManuallyDrop};

/// What a plugin reads of a dataset: see [`dataset`](macro@crate::dataset), which implements it.
///
/// By hand, it reads a format that only the plugin knows, of a dataset with `format = "bytes"`:
///
/// ```
/// use plugin_api::{Content, Form};
///
/// struct Words(Vec<String>);
///
/// impl Content for Words {
///     const NAME: &'static str = "words";
///     const FORM: Form = Form::Bytes;
///
///     fn parse(content: &[u8]) -> Result<Self, String> {
///         let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
///         Ok(Words(text.lines().map(str::to_owned).collect()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not read from a dataset",
    label = "put `#[plugin_api::dataset(\"name\")]` on the struct or enum, with the dataset's name"
)]
pub trait Content: Sized + Send + Sync + 'static {
    /// The dataset's name.
    const NAME: &'static str;
    /// As what it is given.
    const FORM: Form;

    /// Reads one revision.
    ///
    /// # Errors
    /// Why it cannot be used. The revision is not published then.
    fn parse(content: &[u8]) -> Result<Self, String>;
}

/// As what content is given to its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON text, whatever the dataset is written in: the host has parsed it.
    Json,
    /// The bytes as they came. The dataset has `format = "bytes"`.
    Bytes,
}

/// Reads JSON text.
///
/// # Errors
/// What is wrong with it, and where.
#[doc(hidden)]
pub fn from_json<T: DeserializeOwned>(content: &[u8]) -> Result<T, String> {
    serde_json::from_slice(content).map_err(|error| error.to_string())
}

/// What a field of such a type can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a dataset",
    label = "put `#[plugin_api::data]` on the struct or enum that it is or holds, or `#[serde(skip)]` on the field"
)]
pub trait Readable {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Readable for T {}

/// Asks whether `T` can be a field.
#[doc(hidden)]
pub const fn readable<T: Readable>() {}

/// A dataset that a plugin reads.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    r#type: fn() -> TypeId,
    parse: fn(u32, &[u8]) -> Result<ParsedBox, Fault>,
}

impl Read {
    /// That of this type.
    #[must_use]
    pub const fn of<T: Content>() -> Read {
        Read {
            r#type: TypeId::of::<T>,
            parse: parse::<T>,
        }
    }

    /// The number of the one of this type.
    pub(crate) fn number<T: Content>(reads: &[Read]) -> Option<u32> {
        let place = reads
            .iter()
            .position(|read| (read.r#type)() == TypeId::of::<T>())?;
        u32::try_from(place).ok()
    }
}

/// Whether a dataset's name can stand in a manifest.
#[doc(hidden)]
#[must_use]
pub const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] < b' ' || bytes[at] == b'"' || bytes[at] == b'\\' {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty()
}

fn parse<T: Content>(format: u32, content: &[u8]) -> Result<ParsedBox, Fault> {
    let unfit = |message: String| Fault::new(FaultKind::DATA, message);
    match (T::FORM, format) {
        (Form::Json, FORMAT_JSON) | (Form::Bytes, FORMAT_BYTES) => {}
        (Form::Bytes, _) => {
            return Err(unfit(format!(
                "`{}` is read from bytes: declare `format = \"bytes\"` for data \"{}\"",
                type_name::<T>(),
                T::NAME
            )));
        }
        (Form::Json, FORMAT_BYTES) => {
            return Err(unfit(format!(
                "`{}` is read from parsed data: declare the format of data \"{}\" (json, toml, yaml, csv, msgpack)",
                type_name::<T>(),
                T::NAME
            )));
        }
        (Form::Json, other) => {
            return Err(unfit(format!(
                "content in format {other} is not known to this plugin"
            )));
        }
    }
    let value = T::parse(content).map_err(unfit)?;
    let parsed = Parsed(ManuallyDrop::new(value));
    Ok(ParsedObject_TO::from_value(parsed, TD_Opaque))
}

fn type_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

/// Parses content for the read with this number, as the contract wants it.
pub(crate) fn answer(
    reads: &[Read],
    read: u32,
    format: u32,
    content: RSlice<'_, u8>,
) -> Answer<ParsedBox> {
    // There may be no object yet, which would have the hook in its place.
    hook();
    let parsed = guard(|| {
        let found = reads.get(read as usize).ok_or_else(|| {
            let message = format!("there is no dataset with number {read} among those it reads");
            Fault::new(FaultKind::DATA, message)
        })?;
        (found.parse)(format, content.as_slice())
    });
    unhook();
    match parsed {
        Ok(parsed) => RResult::ROk(parsed),
        Err(fault) => RResult::RErr(fault),
    }
}

/// A parsed value, as the host holds it.
struct Parsed<T>(ManuallyDrop<T>);

impl<T: Content> ParsedObject for Parsed<T> {
    fn address(&self) -> Address {
        Address::of(&*self.0)
    }
}

impl<T> Drop for Parsed<T> {
    fn drop(&mut self) {
        hook();
        // SAFETY: It is taken out here only, and not used afterwards.
        let value = unsafe { ManuallyDrop::take(&mut self.0) };
        if let Err(fault) = drop_guarded(value) {
            logging::write(
                logging::ERROR,
                "plugin_api::panic",
                &format!("dropping old data panicked: {}", fault.message),
            );
        }
        unhook();
    }
}
