//! A rope: text made of pieces while a plugin is compiled, since constants cannot join strings in generic code.
//!
//! What a type looks like on its way across is told by the type itself, as a rope that holds those of the types it is
//! made of. Where everything is known (in an interface's own description), a rope is laid out as one text.

use crate::manifest::Decimal;

/// Text in pieces.
#[derive(Debug, Clone, Copy)]
pub enum Rope {
    /// A piece.
    Text(&'static str),
    /// A number, in decimal.
    Number(usize),
    /// Ropes one after the other.
    Parts(&'static [Rope]),
}

impl Rope {
    /// How many bytes it has as one text.
    #[must_use]
    pub const fn length(&self) -> usize {
        match self {
            Rope::Text(text) => text.len(),
            Rope::Number(number) => Decimal::new(*number as u32).text().len(),
            Rope::Parts(parts) => {
                let (mut length, mut part) = (0, 0);
                while part < parts.len() {
                    length += parts[part].length();
                    part += 1;
                }
                length
            }
        }
    }

    /// Its bytes; `LENGTH` is its length.
    #[must_use]
    pub const fn bytes<const LENGTH: usize>(&self) -> [u8; LENGTH] {
        let (bytes, _end) = self.laid_out([0; LENGTH], 0);
        bytes
    }

    const fn laid_out<const LENGTH: usize>(
        &self,
        mut bytes: [u8; LENGTH],
        mut end: usize,
    ) -> ([u8; LENGTH], usize) {
        match self {
            Rope::Text(text) => append(bytes, end, text.as_bytes()),
            Rope::Number(number) => {
                append(bytes, end, Decimal::new(*number as u32).text().as_bytes())
            }
            Rope::Parts(parts) => {
                let mut part = 0;
                while part < parts.len() {
                    (bytes, end) = parts[part].laid_out(bytes, end);
                    part += 1;
                }
                (bytes, end)
            }
        }
    }
}

const fn append<const LENGTH: usize>(
    mut bytes: [u8; LENGTH],
    end: usize,
    text: &[u8],
) -> ([u8; LENGTH], usize) {
    let mut at = 0;
    while at < text.len() {
        bytes[end + at] = text[at];
        at += 1;
    }
    (bytes, end + text.len())
}

/// A rope's text, from its bytes.
///
/// # Panics
/// While it is compiled, when the bytes are not those of a rope.
#[must_use]
pub const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("a rope is made of texts"),
    }
}

/// Lays a rope out as one `&'static str`. Everything in it must be known: no type parameters.
#[doc(hidden)]
#[macro_export]
macro_rules! __laid_out {
    ($rope:expr) => {{
        const ROPE: $crate::__private::Rope = $rope;
        const BYTES: [u8; ROPE.length()] = ROPE.bytes();
        $crate::__private::rope_text(&BYTES)
    }};
}

#[cfg(test)]
mod tests {
    use super::Rope;

    #[test]
    fn a_rope_is_laid_out_as_one_text() {
        const INNER: Rope = Rope::Parts(&[Rope::Text("["), Rope::Number(40), Rope::Text("]")]);
        const TEXT: &str = crate::__laid_out!(Rope::Parts(&[Rope::Text("a"), INNER, INNER]));
        assert_eq!(TEXT, "a[40][40]");
    }
}
