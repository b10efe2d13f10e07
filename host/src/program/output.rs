//! The output: the one place that writes to the standard streams of this program.
//!
//! Answers go to standard output, failures and the talk of builds to standard error. A reader who has left (`| head`) is
//! no failure: what nobody reads is dropped.

use super::failure::Failure;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

/// Where a verb writes to, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
}

/// A colour for a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// It is well.
    Green,
    /// It should be looked at.
    Yellow,
    /// It is not well.
    Red,
    /// A heading.
    Bold,
    /// By the way.
    Dim,
}

impl Output {
    /// The streams of this process; `json` for scripts.
    pub(crate) fn new(json: bool) -> Self {
        let colour = !json
            && std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Output { json, colour }
    }

    /// Whether a script reads it.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes one line to standard output, at once. What nobody reads any more is dropped.
    pub(crate) fn line(&self, text: &str) {
        let _ = self.line_if_read(text);
    }

    /// Writes one line to standard output, at once, and says if there is no reader any more.
    pub(crate) fn line_if_read(&self, text: &str) -> Result<(), Failure> {
        let mut stream = std::io::stdout().lock();
        writeln!(stream, "{text}")
            .and_then(|()| stream.flush())
            .map_err(|error| {
                Failure::failed("output", format!("writing to standard output: {error}"))
            })
    }

    /// Writes bytes to standard output as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stream = std::io::stdout().lock();
        stream
            .write_all(bytes)
            .and_then(|()| stream.flush())
            .map_err(|error| {
                Failure::failed("output", format!("writing to standard output: {error}"))
            })
    }

    /// Columns of the terminal that reads, if one does.
    pub(crate) fn width(&self) -> Option<u16> {
        console::Term::stdout()
            .size_checked()
            .map(|(_, width)| width)
    }

    /// Writes one line to standard error.
    pub(crate) fn aside(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Writes an object on one line.
    pub(crate) fn object(&self, object: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(object)
            .map_err(|error| Failure::failed("failed", format!("writing JSON: {error}")))?;
        self.line_if_read(&text)
    }

    /// Writes a failure to standard error, for whoever reads.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            self.aside(&failure.json());
        } else {
            self.aside(&format!("host: {failure}"));
        }
    }

    /// The text in a colour, on terminals that show colours.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Red => 31,
            Colour::Bold => 1,
            Colour::Dim => 2,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
