//! The manifest: what an artifact says of itself, readable before any of its code runs.
//!
//! It is JSON text in an ELF note (section [`NOTE_SECTION`], owner [`NOTE_OWNER`], type [`NOTE_TYPE`]), written while
//! the plugin is compiled. The functions here build that note in constants; the host only reads.

mod interface;

pub use interface::{Crossed, Interface, InterfaceArgument, InterfaceMethod};

use serde::{Deserialize, Serialize};

/// The section the note stands in.
pub const NOTE_SECTION: &str = ".note.plugin-api";
/// The owner's name in the note's header.
pub const NOTE_OWNER: &str = "plugin-api";
/// The type in the note's header: 1, a manifest in JSON.
pub const NOTE_TYPE: u32 = 1;

/// The compiler that built this crate, as `rustc --version` prints it.
pub const RUSTC: &str = env!("PLUGIN_API_RUSTC");
/// The version of abi_stable the contract is written in.
pub const ABI_STABLE: &str = "0.11.3";

/// What an artifact says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The contract level it was compiled against.
    pub contract: u32,
    /// What a panic does in it.
    pub panic: PanicStrategy,
    /// The plugin's name: lower-case letters, digits, `-` and `_`, beginning with a letter, at most 64 characters.
    pub name: String,
    /// The author's semantic version.
    pub version: String,
    /// How a new generation takes over.
    pub mode: Mode,
    /// The number of its state's format; `None` for a plugin without state.
    pub schema: Option<u32>,
    /// The encoding of its snapshots, where it has state.
    #[serde(default)]
    pub encoding: Encoding,
    /// The compiler that built it; recorded, never compared.
    #[serde(default)]
    pub rustc: String,
    /// The version of abi_stable it was built with.
    #[serde(default)]
    pub abi_stable: String,
    /// The doc comment of the plugin.
    #[serde(default)]
    pub doc: String,
    /// Its methods; a method's index here is its number in a call.
    pub methods: Vec<Method>,
    /// The interfaces it offers.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// The datasets it reads; a dataset's index here is its number.
    #[serde(default)]
    pub reads: Vec<String>,
}

/// What a panic does in an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanicStrategy {
    /// It unwinds, and is caught before it reaches the host.
    Unwind,
    /// It would end the whole process; such an artifact is refused.
    Abort,
}

/// How a new generation of a plugin takes over from the incumbent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Callers are drained, the state is handed over, then the successor serves: never two at once.
    Barrier,
    /// The successor serves at once, while calls inside the incumbent run to their end: for plugins without state.
    Overlap,
}

/// The encoding of a plugin's snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// MessagePack with field names, as `#[plugin_api::state]` writes it.
    #[default]
    Messagepack,
    /// Bytes that only the plugin understands.
    Own,
}

/// A method of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// Its name in calls.
    pub name: String,
    /// Its doc comment.
    #[serde(default)]
    pub doc: String,
    /// Whether it is called alone (`&mut self`).
    pub exclusive: bool,
    /// Its arguments, in order.
    pub arguments: Vec<Argument>,
    /// The Rust type of its result; for a `Result`, that of `Ok`.
    pub returns: String,
    /// Whether it can refuse (returns a `Result`).
    #[serde(default)]
    pub fallible: bool,
    /// Whether it is `async`: begun, and polled to its end.
    #[serde(default)]
    pub r#async: bool,
}

impl Method {
    /// The signature as a person reads it: `add(by: u64) -> u64`.
    #[must_use]
    pub fn signature(&self) -> String {
        let arguments: Vec<String> = self
            .arguments
            .iter()
            .map(|argument| format!("{}: {}", argument.name, argument.r#type))
            .collect();
        let returns = match (self.fallible, self.returns.as_str()) {
            (false, "()") => String::new(),
            (false, returns) => format!(" -> {returns}"),
            (true, returns) => format!(" -> Result<{returns}>"),
        };
        let r#async = if self.r#async { "async " } else { "" };
        format!("{async}{}({}){returns}", self.name, arguments.join(", "))
    }
}

/// An argument of a method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Its Rust type, as written.
    pub r#type: String,
}

/// An ELF note that carries a manifest of `LENGTH` bytes, padded to a multiple of four.
#[doc(hidden)]
#[repr(C, align(4))]
pub struct Note<const LENGTH: usize> {
    owner_length: u32,
    text_length: u32,
    r#type: u32,
    owner: [u8; 12],
    text: [u8; LENGTH],
}

/// The bytes that `parts` take together, padded to a multiple of four: the `LENGTH` of their [`Note`].
#[doc(hidden)]
#[must_use]
pub const fn note_length(parts: &[&str]) -> usize {
    text_length(parts).next_multiple_of(4)
}

const fn text_length(parts: &[&str]) -> usize {
    let mut length = 0;
    let mut part = 0;
    while part < parts.len() {
        length += parts[part].len();
        part += 1;
    }
    length
}

/// The note with `parts` as its text.
#[doc(hidden)]
#[must_use]
pub const fn note<const LENGTH: usize>(parts: &[&str]) -> Note<LENGTH> {
    let mut owner = [0; 12];
    let mut at = 0;
    while at < NOTE_OWNER.len() {
        owner[at] = NOTE_OWNER.as_bytes()[at];
        at += 1;
    }
    let mut text = [0; LENGTH];
    let (mut part, mut end) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            text[end] = bytes[at];
            end += 1;
            at += 1;
        }
        part += 1;
    }
    Note {
        owner_length: NOTE_OWNER.len() as u32 + 1,
        text_length: text_length(parts) as u32,
        r#type: NOTE_TYPE,
        owner,
        text,
    }
}

/// A number as decimal text, in a constant.
#[doc(hidden)]
pub struct Decimal {
    digits: [u8; 10],
    start: usize,
}

impl Decimal {
    /// The decimal text of `number`.
    #[must_use]
    pub const fn new(mut number: u32) -> Self {
        let mut digits = [b'0'; 10];
        let mut start = 10;
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Decimal { digits, start };
            }
        }
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &str {
        match std::str::from_utf8(self.digits.split_at(self.start).1) {
            Ok(text) => text,
            Err(_) => unreachable!(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_decimal() {
        assert_eq!(Decimal::new(0).text(), "0");
        assert_eq!(Decimal::new(42).text(), "42");
        assert_eq!(Decimal::new(u32::MAX).text(), "4294967295");
    }

    #[test]
    fn a_note_carries_its_parts_joined_and_padded() {
        const PARTS: &[&str] = &["{\"a\":", Decimal::new(7).text(), "}"];
        const NOTE: Note<{ note_length(PARTS) }> = note(PARTS);
        assert_eq!(NOTE.text_length, 7);
        assert_eq!(&NOTE.text, b"{\"a\":7}\0");
        assert_eq!(&NOTE.owner, b"plugin-api\0\0");
    }

    #[test]
    fn a_signature_reads_as_rust() {
        let method = Method {
            name: "add".into(),
            doc: String::new(),
            exclusive: true,
            arguments: vec![Argument {
                name: "by".into(),
                r#type: "u64".into(),
            }],
            returns: "u64".into(),
            fallible: true,
            r#async: false,
        };
        assert_eq!(method.signature(), "add(by: u64) -> Result<u64>");
    }
}
