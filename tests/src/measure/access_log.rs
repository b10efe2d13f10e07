//! An access log, counted independently of the plugin that is measured: each line is taken apart at its quotes, as `awk -F'"'`
//! would.

use anyhow::{Context, Result};
use serde::Serialize;
use std::{collections::BTreeMap, fs, path::Path};

/// An access log.
#[derive(Debug)]
pub struct AccessLog {
    /// Its lines.
    pub lines: Vec<String>,
}

/// What its lines come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Lines.
    pub lines: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Lines by status class: `2xx` and so on.
    pub statuses: BTreeMap<String, u64>,
    /// The ten paths asked for most, without their queries; among equals in the order of their names.
    pub top_paths: Vec<(String, u64)>,
}

impl AccessLog {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("reading the log {}", path.display()))?;
        Ok(AccessLog {
            lines: text.lines().map(str::to_owned).collect(),
        })
    }

    /// Counts.
    ///
    /// # Errors
    /// A line is none of an access log.
    pub fn count(&self) -> Result<Totals> {
        let mut totals = Totals::default();
        let mut paths: BTreeMap<&str, u64> = BTreeMap::new();
        for line in &self.lines {
            let (path, status, bytes) =
                take_apart(line).with_context(|| format!("counting the line {line:?}"))?;
            totals.lines += 1;
            totals.bytes += bytes;
            *totals
                .statuses
                .entry(format!("{}xx", &status[..1]))
                .or_default() += 1;
            *paths.entry(path).or_default() += 1;
        }
        let mut paths: Vec<_> = paths.into_iter().collect();
        paths.sort_by_key(|&(_, requests)| std::cmp::Reverse(requests));
        let top = paths.into_iter().take(10);
        totals.top_paths = top
            .map(|(path, requests)| (path.to_owned(), requests))
            .collect();
        Ok(totals)
    }
}

impl Totals {
    /// What a report of the plugin `monitor` says of the same.
    ///
    /// # Errors
    /// It is no such report.
    pub fn of_report(report: &serde_json::Value) -> Result<Self> {
        let number =
            |value: &serde_json::Value| value.as_u64().context("the report lacks a number");
        let statuses = report["statuses"].as_object();
        let paths = report["top_paths"].as_array();
        Ok(Totals {
            lines: number(&report["lines"])?,
            bytes: number(&report["bytes"])?,
            statuses: statuses
                .context("the report lacks its statuses")?
                .iter()
                .map(|(class, lines)| Ok((class.clone(), number(lines)?)))
                .collect::<Result<_>>()?,
            top_paths: paths
                .context("the report lacks its paths")?
                .iter()
                .map(|path| {
                    let name = path["path"].as_str().context("a path lacks its name")?;
                    Ok((name.to_owned(), number(&path["requests"])?))
                })
                .collect::<Result<_>>()?,
        })
    }
}

/// Path, status and size.
fn take_apart(line: &str) -> Option<(&str, &str, u64)> {
    let mut parts = line.split('"');
    let request = parts.nth(1)?;
    let mut numbers = parts.next()?.split_whitespace();
    let path = request.split(' ').nth(1)?.split('?').next()?;
    let status = numbers.next().filter(|status| status.len() == 3)?;
    let bytes = match numbers.next()? {
        "-" => 0,
        bytes => bytes.parse().ok()?,
    };
    Some((path, status, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted() {
        let line = |path: &str, rest: &str| {
            format!("::1 - - [10/Oct/2000:13:55:36 +0000] \"GET {path} HTTP/1.1\" {rest}")
        };
        let log = AccessLog {
            lines: vec![
                line("/b?x=1", "200 10 \"-\" \"agent/1.0\""),
                line("/a", "404 -"),
                line("/b", "201 5"),
            ],
        };
        let totals = log.count().unwrap();
        assert_eq!((totals.lines, totals.bytes), (3, 15));
        assert_eq!((totals.statuses["2xx"], totals.statuses["4xx"]), (2, 1));
        assert_eq!(
            totals.top_paths,
            [("/b".to_owned(), 2), ("/a".to_owned(), 1)]
        );
        assert!(
            AccessLog {
                lines: vec!["-".to_owned()]
            }
            .count()
            .is_err()
        );
    }
}
