//! Telling: Markdown tables on standard output, one JSON object behind them, progress on a terminal only.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    fmt::Write as _,
    io::{Write as _, stdout},
};

/// A table with a title, and what must be known to read it.
pub(crate) struct Section {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: String,
}

impl Section {
    /// A table without lines.
    pub(crate) fn new(title: impl Into<String>, head: &[&str]) -> Self {
        Section {
            title: title.into(),
            head: head.iter().map(|&text| text.to_owned()).collect(),
            rows: Vec::new(),
            notes: String::new(),
        }
    }

    /// Adds a line.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl ToString>) {
        let cells = cells.into_iter().map(|cell| cell.to_string());
        self.rows.push(cells.collect());
    }

    /// Says something below the table.
    pub(crate) fn note(&mut self, text: &str) {
        self.notes += text;
        self.notes += "\n";
    }

    fn text(&self) -> String {
        let mut text = format!("## {}\n\n|", self.title);
        let line = |text: &mut String, cells: &[String]| {
            for cell in cells {
                let _written = write!(text, " {cell} |");
            }
        };
        line(&mut text, &self.head);
        text += "\n|";
        for column in 0..self.head.len() {
            let is_number = |cell: &String| {
                let first = cell.chars().next();
                first.is_none_or(|first| first.is_ascii_digit() || first == '-')
            };
            let mut cells = self.rows.iter().filter_map(|row| row.get(column));
            let is_prose = !cells.all(is_number);
            text += if is_prose { "---|" } else { "---:|" };
        }
        for row in &self.rows {
            text += "\n|";
            line(&mut text, row);
        }
        text += "\n";
        if !self.notes.is_empty() {
            let _written = write!(text, "\n{}", self.notes);
        }
        text + "\n"
    }
}

/// Prints the tables.
pub(crate) fn tell(sections: &[Section]) -> Result<()> {
    let text: String = sections.iter().map(Section::text).collect();
    print(&text)
}

/// Prints one JSON object in one line.
pub(crate) fn last_line(object: &impl Serialize) -> Result<()> {
    print(&(serde_json::to_string(object)? + "\n"))
}

fn print(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())
        .context("telling the figures")
}

/// A bar on standard error, where that is a terminal.
pub(crate) fn progress(what: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:8} {wide_bar} {pos}/{len} {eta}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64)
        .with_style(style)
        .with_message(what)
}

/// A number, with as many digits as tell something.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 1000.0 => 0,
        value if value >= 100.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}
