//! Rolling statistics over an access log, line by line.
//!
//! ```text
//! host call monitor report
//! jq -R . access.log | while read -r line; do curl -d "$line" 127.0.0.1:7878/call/monitor/ingest; done
//! jq -Rs 'rtrimstr("\n") | {lines: split("\n")}' access.log | curl --data-binary @- 127.0.0.1:7878/call/monitor/ingest_all
//! ```
//!
//! All of it is bounded: so many paths, so many seconds. Maps are ordered, so that a state that was saved and loaded
//! reports the same.

// The parser has not changed.
#[path = "../../monitor/src/line.rs"]
mod line;
mod sizes;

use line::Line;
use sizes::{Percentiles, Sizes};
use std::collections::BTreeMap;

/// Distinct paths that are told apart; what comes later counts as "other".
const MOST_PATHS: usize = 1000;
/// Bytes of a path that are kept.
const LONGEST_PATH: usize = 200;
/// Paths in a report.
const TOP_PATHS: usize = 10;
/// Seconds that the rate is taken over.
const WINDOW: i64 = 60;
/// Refusals that a batch explains.
const EXPLAINED: usize = 10;

/// Statistics over an access log.
#[plugin_api::state(schema = 2, migrate = from_v1, downgrade = to_v1)]
#[derive(Default)]
struct Monitor {
    totals: Totals,
    paths: Paths,
    window: Window,
    sizes: Sizes,
}

/// The state of version 1, which did not know the sizes.
#[plugin_api::state(schema = 1)]
struct MonitorV1 {
    totals: Totals,
    paths: Paths,
    window: Window,
}

fn from_v1(old: MonitorV1) -> Monitor {
    Monitor {
        totals: old.totals,
        paths: old.paths,
        window: old.window,
        sizes: Sizes::default(),
    }
}

fn to_v1(new: &Monitor) -> MonitorV1 {
    MonitorV1 {
        totals: new.totals.clone(),
        paths: new.paths.clone(),
        window: new.window.clone(),
    }
}

/// What has been counted since the beginning.
#[plugin_api::data]
#[derive(Clone, Default)]
struct Totals {
    lines: u64,
    refused: u64,
    bytes: u64,
    /// Lines by the first digit of their status.
    classes: BTreeMap<u8, u64>,
}

/// Requests by path.
#[plugin_api::data]
#[derive(Clone, Default)]
struct Paths {
    requests: BTreeMap<String, u64>,
    other: u64,
}

/// Requests by second, for the last seconds of the log's own time.
#[plugin_api::data]
#[derive(Clone, Default)]
struct Window {
    requests: BTreeMap<i64, u64>,
}

/// What the log says so far.
#[plugin_api::data]
struct Report {
    /// Lines that were understood.
    lines: u64,
    /// Lines that were not.
    refused: u64,
    /// Bytes sent.
    bytes: u64,
    /// Lines by status class: `2xx` and so on.
    statuses: BTreeMap<String, u64>,
    /// The paths asked for most.
    top_paths: Vec<TopPath>,
    /// Requests for paths that are not told apart any more.
    other_paths: u64,
    /// How many requests came in a second, at the end of the log.
    per_second: Rate,
    /// How large the responses were, since this was first counted.
    sizes: Percentiles,
}

/// A path, and how often it was asked for.
#[plugin_api::data]
struct TopPath {
    path: String,
    requests: u64,
}

/// Requests per second over the last seconds of the log.
#[plugin_api::data]
#[derive(Debug, PartialEq)]
struct Rate {
    /// The seconds it is taken over.
    seconds: u64,
    average: f64,
    busiest: u64,
}

/// What became of a batch.
#[plugin_api::data]
struct Batch {
    accepted: u64,
    refused: u64,
    /// The first refusals.
    reasons: Vec<String>,
}

#[plugin_api::plugin(name = "monitor")]
impl Monitor {
    /// Counts one line, in Common or Combined Log Format. Refuses what is no such line, and counts that too.
    fn ingest(&mut self, line: &str) -> Result<(), String> {
        let line = Line::parse(line).inspect_err(|_| self.totals.refused += 1)?;
        self.totals.add(&line);
        self.paths.add(line.path.unwrap_or("(no request)"));
        self.window.add(line.time);
        if let Some(bytes) = line.bytes {
            self.sizes.add(bytes);
        }
        Ok(())
    }

    /// Counts many lines; one that is refused does not stop the others.
    fn ingest_all(&mut self, lines: &[String]) -> Batch {
        let mut batch = Batch {
            accepted: 0,
            refused: 0,
            reasons: Vec::new(),
        };
        for (number, line) in lines.iter().enumerate() {
            match self.ingest(line) {
                Ok(()) => batch.accepted += 1,
                Err(reason) => {
                    batch.refused += 1;
                    if batch.reasons.len() < EXPLAINED {
                        batch.reasons.push(format!("line {}: {reason}", number + 1));
                    }
                }
            }
        }
        plugin_api::debug!(batch.accepted, batch.refused, "counted a batch");
        batch
    }

    /// What the log says so far.
    fn report(&self) -> Report {
        Report {
            lines: self.totals.lines,
            refused: self.totals.refused,
            bytes: self.totals.bytes,
            statuses: self.totals.statuses(),
            top_paths: self.paths.top(),
            other_paths: self.paths.other,
            per_second: self.window.rate(),
            sizes: self.sizes.percentiles(),
        }
    }
}

impl Totals {
    fn add(&mut self, line: &Line) {
        self.lines += 1;
        self.bytes = self.bytes.saturating_add(line.bytes.unwrap_or(0));
        *self.classes.entry((line.status / 100) as u8).or_default() += 1;
    }

    fn statuses(&self) -> BTreeMap<String, u64> {
        self.classes
            .iter()
            .map(|(class, lines)| (format!("{class}xx"), *lines))
            .collect()
    }
}

impl Paths {
    fn add(&mut self, path: &str) {
        let path = &path[..path.floor_char_boundary(LONGEST_PATH)];
        if let Some(requests) = self.requests.get_mut(path) {
            *requests += 1;
        } else if self.requests.len() < MOST_PATHS {
            self.requests.insert(path.to_owned(), 1);
        } else {
            self.other += 1;
        }
    }

    fn top(&self) -> Vec<TopPath> {
        let mut paths: Vec<_> = self.requests.iter().collect();
        // The order of the map stays among equals.
        paths.sort_by_key(|(_, requests)| std::cmp::Reverse(**requests));
        paths
            .into_iter()
            .take(TOP_PATHS)
            .map(|(path, requests)| TopPath {
                path: path.clone(),
                requests: *requests,
            })
            .collect()
    }
}

impl Window {
    /// Lines come in nearly, not exactly, the order of their times.
    fn add(&mut self, time: i64) {
        let newest = self.newest().map_or(time, |newest| newest.max(time));
        if time > newest - WINDOW {
            *self.requests.entry(time).or_default() += 1;
        }
        while let Some(oldest) = self.requests.first_entry()
            && *oldest.key() <= newest - WINDOW
        {
            oldest.remove();
        }
    }

    fn newest(&self) -> Option<i64> {
        self.requests.keys().next_back().copied()
    }

    fn rate(&self) -> Rate {
        let oldest = self.requests.keys().next().copied();
        let seconds = match (oldest, self.newest()) {
            (Some(oldest), Some(newest)) => newest - oldest + 1,
            _ => 0,
        };
        let requests: u64 = self.requests.values().sum();
        Rate {
            seconds: seconds as u64,
            average: requests as f64 / seconds.max(1) as f64,
            busiest: self.requests.values().max().copied().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: u8, path: &str, status: u16, bytes: &str) -> String {
        format!(
            "::1 - - [10/Oct/2000:13:55:{second:02} +0000] \"GET {path} HTTP/1.1\" {status} {bytes}"
        )
    }

    #[test]
    fn a_report_adds_the_lines_up() {
        let mut monitor = Monitor::default();
        let batch = monitor.ingest_all(&[
            line(1, "/a", 200, "10"),
            line(1, "/b?x", 200, "20"),
            line(3, "/a", 404, "-"),
            "rubbish".to_owned(),
        ]);
        assert_eq!((batch.accepted, batch.refused), (3, 1));
        assert_eq!(
            batch.reasons,
            ["line 4: no client address at the beginning"]
        );
        let report = monitor.report();
        assert_eq!((report.lines, report.refused, report.bytes), (3, 1, 30));
        assert_eq!(report.statuses["2xx"], 2);
        assert_eq!(report.statuses["4xx"], 1);
        assert_eq!(
            (
                report.top_paths[0].path.as_str(),
                report.top_paths[0].requests
            ),
            ("/a", 2)
        );
        let rate = Rate {
            seconds: 3,
            average: 1.0,
            busiest: 2,
        };
        assert_eq!(report.per_second, rate);
    }

    #[test]
    fn memory_is_bounded() {
        let mut paths = Paths::default();
        for number in 0..MOST_PATHS + 5 {
            paths.add(&format!("/{number}"));
        }
        paths.add("/1");
        assert_eq!((paths.requests.len(), paths.other), (MOST_PATHS, 5));
        assert_eq!(
            (paths.top()[0].path.as_str(), paths.top().len()),
            ("/1", TOP_PATHS)
        );
        let mut paths = Paths::default();
        paths.add(&"é".repeat(LONGEST_PATH));
        assert!(paths.requests.keys().all(|path| path.len() <= LONGEST_PATH));
    }

    #[test]
    fn the_window_follows_the_time_of_the_log() {
        let mut window = Window::default();
        for time in [100, 101, 100, 30, 159, 161] {
            window.add(time);
        }
        assert_eq!(window.requests, BTreeMap::from([(159, 1), (161, 1)]));
        assert_eq!(Window::default().rate().average, 0.0);
    }

    #[test]
    fn the_state_of_version_1_comes_along_and_can_go_back() {
        use plugin_api::State;

        let mut monitor = Monitor::default();
        assert!(monitor.ingest(&line(1, "/a", 200, "1000")).is_ok());
        let old = monitor.save(1).unwrap();
        assert_eq!(MonitorV1::load(1, &old).unwrap().totals.lines, 1);
        let mut monitor = Monitor::load(1, &old).unwrap();
        assert_eq!(monitor.report().sizes.responses, 0);
        assert!(monitor.ingest(&line(2, "/a", 200, "1000")).is_ok());
        let report = monitor.report();
        assert_eq!((report.lines, report.sizes.responses), (2, 1));
        assert!((1000..1125).contains(&report.sizes.p50));
    }
}
