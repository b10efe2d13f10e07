//! Sources: how long a change takes from its server to a plugin's call, beside a bare client of the same server in the same
//! run; and what calls see while servers are killed, connections fail, and rubbish comes.
//!
//! ```text
//! cargo run --release -p tests --features sources --bin sources [-- KIND...] [--changes 1000] [--faults 10] [--json]
//! ```
//!
//! Each server is a private one, started for the measurement. What is measured is told in [`tests::sources::latency`] and
//! [`tests::sources::faults`]. A call that failed, saw a mix or a step back, and a change that was lost, end it with 1.

use anyhow::{Result, bail, ensure};
use clap::Parser;
use serde::Serialize;
use tests::{
    measure::{Load, Quantiles, Section, progress, tell},
    sources::{Counts, MEASURED, Measured},
};

/// Measures sources of hot data.
#[derive(Parser)]
struct Arguments {
    /// The kinds to measure. Default: all.
    kinds: Vec<String>,
    /// How many changes of each are timed.
    #[arg(long, default_value_t = 1_000)]
    changes: u64,
    /// How often each fault is tried.
    #[arg(long, default_value_t = 10)]
    faults: u64,
    /// One JSON object in place of tables.
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
    published: Quantiles,
    called: Quantiles,
    recovery: Quantiles,
    faults: Counts,
}

fn main() -> Result<()> {
    host::examiner();
    let arguments = Arguments::parse();
    let measured = chosen(&arguments.kinds)?;
    let load = Load::begin()?;
    let mut sources = Vec::new();
    for Measured {
        kind,
        latencies,
        faults,
    } in measured
    {
        let bar = progress(kind, arguments.changes + arguments.faults);
        let latencies = latencies(arguments.changes, &mut || bar.inc(1))?;
        let faults = faults(arguments.faults, &mut || bar.inc(1));
        bar.finish_and_clear();
        sources.push(Line {
            source: kind,
            bare: latencies.bare.quantiles(),
            published: latencies.published.quantiles(),
            called: latencies.called.quantiles(),
            recovery: latencies.recovery.quantiles(),
            faults,
        });
    }
    let load = load.end()?;
    let figures = Figures { sources, load };
    tell(
        arguments.json,
        &figures,
        &[times(&figures), counts(&figures)],
    )?;
    let broken = |line: &&Line| {
        let Counts {
            failed,
            mixed,
            backwards,
            lost,
            ..
        } = line.faults;
        failed + mixed + backwards + lost > 0
    };
    match figures.sources.iter().find(broken) {
        Some(line) => bail!("calls saw of {} what they should not", line.source),
        None => Ok(()),
    }
}

/// The kinds with these names; all, where there are no names.
fn chosen(kinds: &[String]) -> Result<Vec<Measured>> {
    let known: Vec<&str> = MEASURED.iter().map(|measured| measured.kind).collect();
    for kind in kinds {
        ensure!(
            known.contains(&kind.as_str()),
            "\"{kind}\" is not measured; there are {}",
            known.join(", ")
        );
    }
    let wanted =
        |measured: &&Measured| kinds.is_empty() || kinds.iter().any(|it| it == measured.kind);
    Ok(MEASURED.iter().filter(wanted).copied().collect())
}

fn times(figures: &Figures) -> Section {
    let Load { begin, end } = figures.load;
    let mut section = Section::new(
        format!(
            "From just before the change, microseconds; recovery of a killed server, milliseconds; load average {begin} to {end}"
        ),
        &[
            "source",
            "changes",
            "bare notice p50",
            "p99",
            "published p50",
            "p99",
            "first call p50",
            "p99",
            "call / notice p50",
            "recovery p50",
            "max",
        ],
    );
    for line in &figures.sources {
        let (bare, published, called) = (line.bare, line.published, line.called);
        let recovery = |micros: f64| match line.recovery.count {
            0 => String::new(),
            _ => format!("{:.0}", micros / 1000.0),
        };
        let mut cells = vec![line.source.to_owned(), called.count.to_string()];
        for quantiles in [bare, published, called] {
            cells.push(format!("{:.0}", quantiles.p50));
            cells.push(format!("{:.0}", quantiles.p99));
        }
        cells.push(format!("{:.2}", called.p50 / bare.p50));
        cells.push(recovery(line.recovery.p50));
        cells.push(recovery(line.recovery.max));
        section.row(cells);
    }
    section
}

fn counts(figures: &Figures) -> Section {
    let mut section = Section::new(
        "Faults, and what calls saw",
        &[
            "source",
            "servers killed",
            "connections cut",
            "silent",
            "garbage",
            "changes",
            "revisions",
            "calls",
            "failed",
            "mixed",
            "backwards",
            "changes lost",
        ],
    );
    for line in &figures.sources {
        let it = line.faults;
        let numbers = [
            it.killed,
            it.cut,
            it.silent,
            it.garbage,
            it.changes,
            it.revisions,
            it.calls,
            it.failed,
            it.mixed,
            it.backwards,
            it.lost,
        ];
        let name = std::iter::once(line.source.to_owned());
        section.row(name.chain(numbers.map(|number| number.to_string())));
    }
    section
}
