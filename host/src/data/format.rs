//! The format: what the content of a dataset is written in, and where a mistake in it stands.
//!
//! Whatever the format, parsed content is one [`Value`]: what JSON can say. What a format can say beyond that is a
//! mistake (numbers that are none), or text (the dates of TOML). `bytes` is content that is not parsed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::HashSet, fmt, ops::Range};

/// The longest reason of a mistake, in bytes: a schema's complaint may quote half the content.
const LONGEST_REASON: usize = 500;

/// What content is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON.
    Json,
    /// TOML; dates and times become text.
    Toml,
    /// YAML, one document.
    Yaml,
    /// CSV with a header: an array of objects, all of whose values are text.
    Csv,
    /// MessagePack, one value.
    Msgpack,
    /// Anything; it is not parsed.
    Bytes,
}

/// Where a mistake stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// In this line and column, from 1.
    Line {
        /// The line.
        line: u64,
        /// The column.
        column: u64,
    },
    /// At this byte, from 0.
    Byte(u64),
    /// At this place of the parsed content: a JSON pointer such as `/rates/EUR`; empty is all of it.
    Pointer(String),
}

/// What is wrong with content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// Where, if that can be said.
    pub position: Option<Position>,
    /// What.
    pub reason: String,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Line { line, column } => write!(f, "line {line} column {column}"),
            Position::Byte(byte) => write!(f, "byte {byte}"),
            Position::Pointer(pointer) if pointer.is_empty() => f.write_str("the top"),
            Position::Pointer(pointer) => f.write_str(pointer),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.position {
            Some(position) => write!(f, "{position}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl Mistake {
    /// A mistake; a reason that is too long is cut.
    pub(crate) fn new(position: Option<Position>, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if reason.len() > LONGEST_REASON {
            let end = reason.floor_char_boundary(LONGEST_REASON);
            reason.truncate(end);
            reason.push_str("...");
        }
        Mistake { position, reason }
    }

    /// A mistake of the whole.
    pub(crate) fn of_all(reason: impl Into<String>) -> Self {
        Mistake::new(None, reason)
    }
}

impl Format {
    /// Every format, with its word.
    pub const ALL: &[(&'static str, Format)] = &[
        ("json", Format::Json),
        ("toml", Format::Toml),
        ("yaml", Format::Yaml),
        ("csv", Format::Csv),
        ("msgpack", Format::Msgpack),
        ("bytes", Format::Bytes),
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        let named = Format::ALL.iter().find(|(_, format)| *format == self);
        named.map_or("bytes", |(word, _)| word)
    }

    /// The endings of files in this format; none for `bytes`.
    #[must_use]
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Format::Json => &["json"],
            Format::Toml => &["toml"],
            Format::Yaml => &["yaml", "yml"],
            Format::Csv => &["csv"],
            Format::Msgpack => &["msgpack", "mp"],
            Format::Bytes => &[],
        }
    }

    /// The parsed content; `None` for `bytes`.
    ///
    /// # Errors
    /// The first mistake, with its position.
    pub fn parse(self, content: &[u8]) -> Result<Option<Value>, Mistake> {
        match self {
            Format::Json => json(content),
            Format::Toml => toml(content),
            Format::Yaml => yaml(content),
            Format::Csv => csv(content),
            Format::Msgpack => msgpack(content),
            Format::Bytes => return Ok(None),
        }
        .map(Some)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

fn at_line(line: usize, column: usize) -> Option<Position> {
    Some(Position::Line {
        line: line as u64,
        column: column as u64,
    })
}

fn text(content: &[u8]) -> Result<&str, Mistake> {
    std::str::from_utf8(content).map_err(|error| {
        let position = Position::Byte(error.valid_up_to() as u64);
        Mistake::new(Some(position), "this is not text in UTF-8")
    })
}

fn json(content: &[u8]) -> Result<Value, Mistake> {
    serde_json::from_slice(content).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let reason = error.to_string();
        let reason = reason.strip_suffix(&place).unwrap_or(&reason);
        Mistake::new(at_line(error.line(), error.column()), reason)
    })
}

fn toml(content: &[u8]) -> Result<Value, Mistake> {
    let text = text(content)?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let position = error.span().and_then(|span| line_of(text, &span));
        Mistake::new(position, error.message())
    })?;
    from_toml(toml::Value::Table(table), &mut String::new())
}

fn line_of(text: &str, span: &Range<usize>) -> Option<Position> {
    let before = text.get(..span.start)?;
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    at_line(line, column)
}

fn from_toml(value: toml::Value, pointer: &mut String) -> Result<Value, Mistake> {
    let mut below = |name: &str, value| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        let value = from_toml(value, pointer)?;
        pointer.truncate(length);
        Ok(value)
    };
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Float(number) => match serde_json::Number::from_f64(number) {
            Some(number) => Value::Number(number),
            None => {
                let position = Position::Pointer(pointer.clone());
                let reason = format!("{number} is no number that data can hold");
                return Err(Mistake::new(Some(position), reason));
            }
        },
        toml::Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| below(&index.to_string(), item))
            .collect::<Result<_, _>>()?,
        toml::Value::Table(table) => {
            let mut object = Map::new();
            for (key, value) in table {
                let value = below(&key, value)?;
                object.insert(key, value);
            }
            Value::Object(object)
        }
    })
}

fn yaml(content: &[u8]) -> Result<Value, Mistake> {
    serde_saphyr::from_str(text(content)?).map_err(|error| {
        let error = error.without_snippet();
        let position = error.location().map(|location| Position::Line {
            line: location.line(),
            column: location.column(),
        });
        let reason = error.to_string();
        Mistake::new(position, reason.lines().next().unwrap_or("it is no YAML"))
    })
}

fn csv(content: &[u8]) -> Result<Value, Mistake> {
    let mistake = |error: csv::Error| {
        let position = error.position().map(|position| Position::Line {
            line: position.line(),
            column: 1,
        });
        Mistake::new(position, error.to_string())
    };
    let mut reader = csv::Reader::from_reader(content);
    let header = reader.headers().map_err(mistake)?.clone();
    let mut names = HashSet::new();
    for name in &header {
        if !names.insert(name) {
            let reason = format!("the header names \"{name}\" twice");
            return Err(Mistake::new(at_line(1, 1), reason));
        }
    }
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(mistake)?;
        let cells = header.iter().zip(&row);
        let object = cells.map(|(name, cell)| (name.to_owned(), Value::from(cell)));
        rows.push(Value::Object(object.collect()));
    }
    Ok(Value::Array(rows))
}

fn msgpack(content: &[u8]) -> Result<Value, Mistake> {
    let mut rest = content;
    let value = Value::deserialize(&mut rmp_serde::Deserializer::new(&mut rest));
    let position = Some(Position::Byte((content.len() - rest.len()) as u64));
    match value {
        Ok(value) if rest.is_empty() => Ok(value),
        Ok(_) => Err(Mistake::new(
            position,
            format!("{} bytes follow the value", rest.len()),
        )),
        Err(error) => Err(Mistake::new(position, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(format: Format, content: &str) -> Value {
        let parsed = format.parse(content.as_bytes());
        parsed.expect("it parses").expect("it is parsed")
    }

    fn mistake(format: Format, content: &[u8]) -> String {
        format
            .parse(content)
            .expect_err("there is a mistake")
            .to_string()
    }

    #[test]
    fn every_format_says_the_same() {
        let expected = json!({"eur": 1.5, "names": ["a", "b"]});
        for (format, content) in [
            (Format::Json, r#"{"eur": 1.5, "names": ["a", "b"]}"#),
            (Format::Toml, "eur = 1.5\nnames = [\"a\", \"b\"]\n"),
            (Format::Yaml, "eur: 1.5\nnames: [a, b]\n"),
        ] {
            assert_eq!(parsed(format, content), expected, "{format}");
        }
        let packed = rmp_serde::to_vec_named(&expected).expect("it is packed");
        assert_eq!(Format::Msgpack.parse(&packed), Ok(Some(expected)));
        assert_eq!(
            parsed(Format::Csv, "name,rate\neur,1.5\nusd,1.1\n"),
            json!([{"name": "eur", "rate": "1.5"}, {"name": "usd", "rate": "1.1"}])
        );
        assert_eq!(Format::Bytes.parse(b"\xff"), Ok(None));
        assert_eq!(
            parsed(Format::Toml, "day = 2026-11-24"),
            json!({"day": "2026-11-24"})
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_position() {
        for (format, content, expected) in [
            (Format::Json, "{\n  \"a\": ?\n}", "line 2 column 8: "),
            (Format::Json, "", "line 1 column 0: EOF"),
            (Format::Json, "1 2", "line 1 column 3: trailing"),
            (Format::Toml, "a = 1\nb = ?\n", "line 2 column 5: "),
            (
                Format::Toml,
                "[x]\na = [1.0, nan]",
                "/x/a/1: NaN is no number",
            ),
            (Format::Yaml, "a: 1\nb: [1, 2\n", "line "),
            (Format::Csv, "a,b\n1,2\n1\n", "line 3 column 1: "),
            (Format::Csv, "a,a\n1,2\n", "line 1 column 1: the header"),
            (Format::Msgpack, "\u{1}\u{2}", "byte 1: 1 bytes follow"),
        ] {
            let mistake = mistake(format, content.as_bytes());
            assert!(mistake.starts_with(expected), "{format}: {mistake}");
        }
        assert!(mistake(Format::Toml, b"a = 1\xff").starts_with("byte 5: "));
    }

    #[test]
    fn a_long_reason_is_cut() {
        let mistake = Mistake::of_all("ä".repeat(10_000));
        assert!(mistake.reason.len() < LONGEST_REASON + 4);
    }

    proptest::proptest! {
        #[test]
        fn no_content_makes_a_parser_panic(content in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for (_, format) in Format::ALL {
                let _mistake_or_not = format.parse(&content);
            }
        }
    }
}
