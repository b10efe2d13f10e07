//! How figures are told: Markdown tables, or one JSON object, on standard output; progress on a terminal only.

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    fs,
    io::{Write, stdout},
    time::Duration,
};

/// A table with a title; the first column names what the others count.
#[derive(Debug, Clone)]
pub struct Section {
    /// The title.
    pub title: String,
    /// The heads of the columns.
    pub head: Vec<String>,
    /// The lines.
    pub rows: Vec<Vec<String>>,
}

impl Section {
    /// A table without lines.
    #[must_use]
    pub fn new(title: impl Into<String>, head: &[&str]) -> Self {
        Section {
            title: title.into(),
            head: head.iter().map(|&text| text.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a line.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl ToString>) {
        let cells = cells.into_iter().map(|cell| cell.to_string());
        self.rows.push(cells.collect());
    }
}

/// Tells the figures: `object` where `json` is asked for, else `sections`.
///
/// # Errors
/// Standard output is closed.
pub fn tell(json: bool, object: &impl Serialize, sections: &[Section]) -> Result<()> {
    let mut text = String::new();
    if json {
        text = serde_json::to_string(object)? + "\n";
    } else {
        for section in sections {
            let mut table = Table::new();
            table.load_preset(presets::ASCII_MARKDOWN);
            table.set_header(&section.head).add_rows(&section.rows);
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            text += &format!("{}\n\n{table}\n\n", section.title);
        }
    }
    stdout()
        .write_all(text.as_bytes())
        .context("telling the figures")
}

/// A bar on standard error, where that is a terminal.
///
#[must_use]
pub fn progress(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length)
        .with_style(style)
        .with_message(what)
}

/// How busy the machine was: the load average of the last minute, at the beginning and at the end.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Load {
    /// At the beginning.
    pub begin: f64,
    /// At the end.
    pub end: f64,
}

impl Load {
    /// Reads it at the beginning.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn begin() -> Result<Self> {
        let begin = load_average()?;
        Ok(Load { begin, end: begin })
    }

    /// Reads it at the end.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn end(self) -> Result<Self> {
        Ok(Load {
            end: load_average()?,
            ..self
        })
    }
}

fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("reading the load average")?;
    let first = text
        .split(' ')
        .next()
        .context("the load average is empty")?;
    first.parse().context("reading the load average")
}

/// How durations are spread.
#[derive(Debug, Clone)]
pub struct Spread(Histogram<u64>);

/// A spread in numbers: microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Quantiles {
    /// How many durations.
    pub count: u64,
    /// Half of them were at most this.
    pub p50: f64,
    /// 99 of 100 were at most this.
    pub p99: f64,
    /// All of them were at most this.
    pub max: f64,
    /// The mean.
    pub mean: f64,
}

impl Spread {
    /// No durations yet.
    ///
    /// # Errors
    /// Never: the number of digits is one that the library takes.
    pub fn new() -> Result<Self> {
        Ok(Spread(Histogram::new(3)?))
    }

    /// Adds a duration, to three digits.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn add(&mut self, duration: Duration) -> Result<()> {
        Ok(self.0.record(duration.as_nanos() as u64)?)
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.0.mean() / 1000.0
    }

    /// In numbers.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        Quantiles {
            count: self.0.len(),
            p50: micros(self.0.value_at_quantile(0.5)),
            p99: micros(self.0.value_at_quantile(0.99)),
            max: micros(self.0.max()),
            mean: self.mean(),
        }
    }
}

/// Bytes as mebibytes, with two digits.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / f64::from(1 << 20))
}
