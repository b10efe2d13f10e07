//! Sources: how long a change takes from its server to a host, beside a bare client of the same server in the same run.
//!
//! ```text
//! cargo run --release -p tests --features sources --bin sources [-- KIND...] [--changes 1000] [--json]
//! ```
//!
//! Each server is a private one, started for the measurement. What is measured is told in [`tests::sources::latency`].

use anyhow::{Result, ensure};
use clap::Parser;
use serde::Serialize;
use tests::{
    measure::{Load, Quantiles, Section, progress, tell},
    sources::MEASURED,
};

/// Measures sources of hot data.
#[derive(Parser)]
struct Arguments {
    /// The kinds to measure. Default: all.
    kinds: Vec<String>,
    /// How many changes of each are timed.
    #[arg(long, default_value_t = 1_000)]
    changes: u64,
    /// One JSON object in place of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figures {
    sources: Vec<Line>,
    load: Load,
}

/// What a kind of source takes; microseconds.
#[derive(Serialize)]
struct Line {
    source: &'static str,
    bare: Quantiles,
    host: Quantiles,
    recovery: Quantiles,
}

fn main() -> Result<()> {
    host::examiner();
    let arguments = Arguments::parse();
    for kind in &arguments.kinds {
        let known: Vec<&str> = MEASURED.iter().map(|(known, _)| *known).collect();
        ensure!(
            known.contains(&kind.as_str()),
            "\"{kind}\" is not measured; there are {}",
            known.join(", ")
        );
    }
    let load = Load::begin()?;
    let mut sources = Vec::new();
    for (source, measure) in MEASURED {
        if !arguments.kinds.is_empty() && !arguments.kinds.iter().any(|kind| kind == source) {
            continue;
        }
        let bar = progress(source, arguments.changes);
        let latencies = measure(arguments.changes, &mut || bar.inc(1))?;
        bar.finish_and_clear();
        sources.push(Line {
            source,
            bare: latencies.bare.quantiles(),
            host: latencies.host.quantiles(),
            recovery: latencies.recovery.quantiles(),
        });
    }
    let load = load.end()?;
    let figures = Figures { sources, load };
    tell(arguments.json, &figures, &[section(&figures)])
}

fn section(figures: &Figures) -> Section {
    let Load { begin, end } = figures.load;
    let mut section = Section::new(
        format!(
            "From the change to its notice and to its revision, microseconds; recovery of a killed server, milliseconds; load average {begin} to {end}"
        ),
        &[
            "source",
            "changes",
            "bare p50",
            "bare p99",
            "host p50",
            "host p99",
            "ratio p50",
            "recovery p50",
            "recovery max",
        ],
    );
    for line in &figures.sources {
        let (bare, host, recovery) = (line.bare, line.host, line.recovery);
        section.row([
            line.source.to_owned(),
            host.count.to_string(),
            format!("{:.0}", bare.p50),
            format!("{:.0}", bare.p99),
            format!("{:.0}", host.p50),
            format!("{:.0}", host.p99),
            format!("{:.2}", host.p50 / bare.p50),
            format!("{:.0}", recovery.p50 / 1000.0),
            format!("{:.0}", recovery.max / 1000.0),
        ]);
    }
    section
}
