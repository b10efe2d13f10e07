//! A given: one value that an operator has set, with its place and its key, still to be understood.
//!
//! The readers here turn a value into what a setting wants, or say what to write instead.

use super::secret::Secret;
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The longest duration: enough for any deadline, and safe to add to any clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One value that an operator has set.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The table it belongs to: `call`, or `plugin` or `data` with a name.
    pub(super) section: String,
    /// The name of a `[plugin.NAME]` or `[data.NAME]` table.
    pub(super) name: Option<String>,
    /// The key within the table.
    pub(super) key: String,
    /// The value.
    pub(super) value: Value,
    /// Where it stands.
    pub(super) place: Place,
}

/// Where a given stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file, on this line.
    Line(PathBuf, usize),
    /// In this environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(file, line) => write!(f, "{}:{line}", file.display()),
            Place::Variable(name) => f.write_str(name),
        }
    }
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, or any environment variable.
    Text(String),
    /// A whole number.
    Integer(i128),
    /// True or false.
    Truth(bool),
    /// Anything else, by its kind; no setting takes it.
    Other(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "\"{text}\""),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Truth(truth) => write!(f, "{truth}"),
            Value::Other(kind) => write!(f, "a value of type {kind}"),
        }
    }
}

impl Given {
    /// The problem with this given: what it is, and what to write instead.
    pub(super) fn problem(&self, wanted: &str) -> String {
        format!(
            "{}: {} is {}; write {wanted}",
            self.place,
            self.path(),
            self.value
        )
    }

    /// The key with its table, as it stands in messages: `plugin.counter.vet_timeout`.
    pub(super) fn path(&self) -> String {
        match &self.name {
            Some(name) => format!("{}.{name}.{}", self.section, self.key),
            None => format!("{}.{}", self.section, self.key),
        }
    }

    fn written(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text.trim()),
            _ => None,
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&self, wanted: &str) -> Result<String, String> {
        self.written()
            .map(str::to_owned)
            .ok_or_else(|| self.problem(wanted))
    }

    /// A path. A relative one in a file starts at the file's folder.
    pub(super) fn file_path(&self) -> Result<PathBuf, String> {
        let path = PathBuf::from(self.text("a path")?);
        Ok(match &self.place {
            Place::Line(file, _) => file.parent().unwrap_or(Path::new("")).join(path),
            Place::Variable(_) => path,
        })
    }

    /// An address with a port.
    pub(super) fn address(&self) -> Result<SocketAddr, String> {
        self.written()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                self.problem("an IP address with a port, such as \"127.0.0.1:7878\" (port 0 picks a free one)")
            })
    }

    /// A duration above zero.
    pub(super) fn duration(&self) -> Result<Duration, String> {
        self.written()
            .and_then(|text| humantime::parse_duration(text).ok())
            .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
            .ok_or_else(|| {
                self.problem("a duration above zero with its unit, such as \"5s\" or \"250ms\" (at most 365 days)")
            })
    }

    /// A size in bytes between `least` and `most`.
    pub(super) fn size(&self, least: u64, most: u64) -> Result<u64, String> {
        let bytes = match &self.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) => text
                .trim()
                .parse()
                .ok()
                .map(|size: bytesize::ByteSize| size.as_u64()),
            Value::Truth(_) | Value::Other(_) => None,
        };
        bytes
            .filter(|bytes| (least..=most).contains(bytes))
            .ok_or_else(|| {
                let (least, most) = (bytesize::ByteSize(least), bytesize::ByteSize(most));
                self.problem(&format!("a size such as \"16MiB\", from {least} to {most}"))
            })
    }

    /// A whole number between `least` and `most`.
    pub(super) fn count(&self, least: usize, most: usize) -> Result<usize, String> {
        let number = match &self.value {
            Value::Integer(number) => usize::try_from(*number).ok(),
            // A number in quotes is a mistake in a file; a variable has no other way to write it.
            Value::Text(text) if matches!(self.place, Place::Variable(_)) => {
                text.trim().parse().ok()
            }
            Value::Text(_) | Value::Truth(_) | Value::Other(_) => None,
        };
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| {
                self.problem(&format!(
                    "a whole number from {least} to {most}, without quotes"
                ))
            })
    }

    /// True or false.
    pub(super) fn truth(&self) -> Result<bool, String> {
        match (&self.value, self.written()) {
            (Value::Truth(truth), _) => Ok(*truth),
            (_, Some("true")) if matches!(self.place, Place::Variable(_)) => Ok(true),
            (_, Some("false")) if matches!(self.place, Place::Variable(_)) => Ok(false),
            _ => Err(self.problem("true or false, without quotes")),
        }
    }

    /// A text with a secret in it. Its value is never told.
    pub(super) fn secret(&self) -> Result<Secret, String> {
        let text = self.written().ok_or("write a text".to_owned());
        text.and_then(Secret::expanded)
            .map_err(|problem| format!("{}: {}: {problem}", self.place, self.path()))
    }

    /// A text with a secret in it, as the file says whose path this is.
    pub(super) fn secret_in_file(&self) -> Result<Secret, String> {
        let path = self.file_path()?;
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let (place, key, path) = (&self.place, self.path(), path.display());
            format!("{place}: {key}: {path} cannot be read: {error}")
        })?;
        Ok(Secret::new(text.trim()))
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        let written = self.written();
        words
            .iter()
            .find(|(word, _)| Some(*word) == written)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| {
                let words: Vec<String> = words
                    .iter()
                    .map(|(word, _)| format!("\"{word}\""))
                    .collect();
                self.problem(&words.join(" or "))
            })
    }
}
