//! The latency: from the link that cargo makes to the first call answered by the new generation, and what the callers felt.
//!
//! ```text
//! cargo run --release -p tests --bin latency [-- --swaps 250] [--callers 1] [--json]
//! ```
//!
//! Vetting is included: no build has the digest of another. Before each swap there is a quiet time; the longest call in it
//! tells what callers feel of the machine alone.

use anyhow::{Context, Result, bail};
use clap::Parser;
use host::{Host, Step};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tests::{
    Profile,
    measure::{
        Author, Journey, Journeys, Load, Quantiles, Section, Spread, ensure_interposed, progress,
        tell,
    },
    plugin,
};

/// The steps before the first answer, in their order.
const STEPS: [Step; 6] = [
    Step::Watch,
    Step::Vet,
    Step::Load,
    Step::Drain,
    Step::HandOver,
    Step::Switch,
];
/// Swaps that are not counted.
const WARM_UP: u64 = 20;
/// Lines that the monitor has seen before, each with a path of its own: as many as it tells apart.
const LINES: u64 = 1000;

/// Measures how long a finished build takes to answer.
#[derive(Parser)]
struct Arguments {
    /// How many swaps of each plugin.
    #[arg(long, default_value_t = 250)]
    swaps: u64,
    /// Threads that call.
    #[arg(long, default_value_t = 1)]
    callers: usize,
    /// Microseconds that each caller pauses between two calls; 0 is full speed.
    #[arg(long, default_value_t = 0)]
    pause: u64,
    /// Milliseconds of quiet before each swap; below some 150 its examiner has not been started ahead.
    #[arg(long, default_value_t = 200)]
    quiet: u64,
    /// One JSON object in place of tables.
    #[arg(long)]
    json: bool,
}

/// What is swapped, and how it is called.
struct Subject {
    title: &'static str,
    plugin: &'static str,
    profile: Profile,
    method: &'static str,
    arguments: &'static str,
}

const LINE: &str = r#""::1 - - [10/Oct/2000:13:55:36 +0000] \"GET /1 HTTP/1.1\" 200 2326""#;
static SUBJECTS: [Subject; 3] = [
    Subject {
        title: "counter, release",
        plugin: "counter",
        profile: Profile::Release,
        method: "add",
        arguments: "1",
    },
    Subject {
        title: "counter, debug",
        plugin: "counter",
        profile: Profile::Debug,
        method: "add",
        arguments: "1",
    },
    Subject {
        title: "monitor with 1,000 paths, release",
        plugin: "monitor",
        profile: Profile::Release,
        method: "ingest",
        arguments: LINE,
    },
];

/// What the callers note, for one plugin.
#[derive(Default)]
struct Notes {
    stop: AtomicBool,
    /// The longest call since the last look, in nanoseconds.
    longest: AtomicU64,
    /// When each generation first answered, and how long that call took.
    first: Mutex<BTreeMap<u64, (Instant, Duration)>>,
    answered: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// The spreads of one plugin, by what they measure.
struct Spreads(Vec<(&'static str, Spread)>);

/// What came out for one plugin: microseconds.
#[derive(Serialize)]
struct Outcome {
    subject: &'static str,
    library_bytes: usize,
    swaps: u64,
    answered: u64,
    failures: Vec<String>,
    figures: Vec<Figure>,
    load: Load,
}

#[derive(Serialize)]
struct Figure {
    what: &'static str,
    /// Part of the mean time to the first answer.
    share: Option<f64>,
    #[serde(flatten)]
    quantiles: Quantiles,
}

fn main() -> Result<ExitCode> {
    host::examiner();
    let arguments = Arguments::parse();
    let mut outcomes = Vec::new();
    for subject in &SUBJECTS {
        outcomes.push(measure(subject, &arguments).context(subject.title)?);
    }
    let sections: Vec<Section> = outcomes.iter().map(section).collect();
    tell(arguments.json, &outcomes, &sections)?;
    let is_well = outcomes.iter().all(|outcome| outcome.failures.is_empty());
    Ok(ExitCode::from(u8::from(!is_well)))
}

fn measure(subject: &'static Subject, arguments: &Arguments) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let watched = folder.path().join("plugins");
    let library = plugin(subject.plugin, subject.profile);
    let mut author = Author::new(&watched, &[&library])?;
    author.build()?;
    let host = start(&watched, folder.path())?;
    if subject.plugin == "monitor" {
        host.call("monitor", "ingest_all", &lines()?)?;
    }
    let load = Load::begin()?;
    let notes = Arc::new(Notes::default());
    let callers = start_callers(&host, subject, arguments, &notes);
    let spreads = swap(subject, arguments, &host, &mut author, &notes);
    notes.stop.store(true, Ordering::Relaxed);
    for caller in callers {
        if caller.join().is_err() {
            bail!("a caller panicked");
        }
    }
    Ok(Outcome {
        subject: subject.title,
        library_bytes: author.size(),
        swaps: arguments.swaps,
        answered: notes.answered.load(Ordering::Relaxed),
        failures: notes.failures.lock().clone(),
        figures: spreads?.figures(),
        load: load.end()?,
    })
}

fn start(watched: &Path, folder: &Path) -> Result<Host> {
    let host = Host::builder()
        .directory(watched)
        .state_dir(folder.join("state"))
        .start()?;
    ensure_interposed(&host)?;
    Ok(host)
}

/// Lines with a path each, as the argument of `ingest_all`.
fn lines() -> Result<Vec<u8>> {
    let lines: Vec<String> = (0..LINES)
        .map(|path| {
            format!("::1 - - [10/Oct/2000:13:55:36 +0000] \"GET /{path} HTTP/1.1\" 200 2326")
        })
        .collect();
    Ok(serde_json::to_vec(&[lines])?)
}

fn start_callers(
    host: &Host,
    subject: &'static Subject,
    arguments: &Arguments,
    notes: &Arc<Notes>,
) -> Vec<thread::JoinHandle<()>> {
    let pause = Duration::from_micros(arguments.pause);
    (0..arguments.callers)
        .map(|_| {
            let (host, notes) = (host.clone(), Arc::clone(notes));
            thread::spawn(move || call(&host, &notes, subject, pause))
        })
        .collect()
}

/// Calls until told to stop.
fn call(host: &Host, notes: &Notes, subject: &Subject, pause: Duration) {
    let mut generation = 0;
    while !notes.stop.load(Ordering::Relaxed) {
        if !pause.is_zero() {
            thread::sleep(pause);
        }
        let began = Instant::now();
        let reply = host.call(subject.plugin, subject.method, subject.arguments.as_bytes());
        let ended = Instant::now();
        let took = ended - began;
        notes
            .longest
            .fetch_max(took.as_nanos() as u64, Ordering::Relaxed);
        match reply {
            Ok(reply) => {
                notes.answered.fetch_add(1, Ordering::Relaxed);
                if reply.generation != generation {
                    generation = reply.generation;
                    notes.note_first(generation, ended, took);
                }
            }
            Err(error) => notes.failures.lock().push(error.to_string()),
        }
    }
}

impl Notes {
    /// A caller was answered by a generation that it had not met.
    fn note_first(&self, generation: u64, ended: Instant, took: Duration) {
        let mut first = self.first.lock();
        let earliest = first.entry(generation).or_insert((ended, took));
        if ended < earliest.0 {
            *earliest = (ended, took);
        }
    }
}

fn swap(
    subject: &Subject,
    arguments: &Arguments,
    host: &Host,
    author: &mut Author,
    notes: &Notes,
) -> Result<Spreads> {
    let bar = progress(subject.title, arguments.swaps);
    let mut journeys = Journeys::follow(host);
    let mut spreads = Spreads::new()?;
    for done in 0..WARM_UP + arguments.swaps {
        notes.longest.store(0, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(arguments.quiet));
        let quiet = notes.longest.swap(0, Ordering::Relaxed);
        let linked = author.build()?;
        let journey = journeys.wait_for(subject.plugin)?;
        let (answered, first_call) = wait_for_answer(notes, journey.generation)?;
        let longest = notes.longest.load(Ordering::Relaxed);
        if done < WARM_UP {
            continue;
        }
        let total = answered - linked;
        let step = |step| journey.took(step);
        let seen = journey.staged - linked;
        spreads.add("link to first answer", total)?;
        spreads.add("notice", seen.saturating_sub(step(Step::Watch)))?;
        for known in STEPS {
            spreads.add(known.word(), step(known))?;
        }
        let steps: Duration = STEPS.into_iter().skip(1).map(step).sum();
        spreads.add("journal, first call", total.saturating_sub(seen + steps))?;
        spreads.add("unload (after the answer)", step(Step::Unload))?;
        spreads.add("gate closed, at most", closed(&journey))?;
        spreads.add("first call that the new one answered", first_call)?;
        spreads.add(
            "longest call during the swap",
            Duration::from_nanos(longest),
        )?;
        spreads.add(
            "longest call in the quiet before",
            Duration::from_nanos(quiet),
        )?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(spreads)
}

/// How long callers may have been kept outside: a drain's tries, and what is done behind the closed gate.
fn closed(journey: &Journey) -> Duration {
    let behind = [Step::Drain, Step::HandOver, Step::Switch];
    behind.into_iter().map(|step| journey.took(step)).sum()
}

/// When the generation first answered a caller, and how long that call took.
fn wait_for_answer(notes: &Notes, generation: u64) -> Result<(Instant, Duration)> {
    let end = Instant::now() + tests::LIMIT;
    while Instant::now() < end {
        if let Some(&first) = notes.first.lock().get(&generation) {
            return Ok(first);
        }
        thread::sleep(Duration::from_micros(200));
    }
    bail!("no caller was answered by generation {generation}")
}

impl Spreads {
    fn new() -> Result<Self> {
        let of = |what| anyhow::Ok((what, Spread::new()?));
        let before = ["link to first answer", "notice"].into_iter();
        let after = [
            "journal, first call",
            "unload (after the answer)",
            "gate closed, at most",
            "first call that the new one answered",
            "longest call during the swap",
            "longest call in the quiet before",
        ];
        let all = before.chain(STEPS.map(Step::word)).chain(after);
        Ok(Spreads(all.map(of).collect::<Result<_>>()?))
    }

    fn add(&mut self, what: &str, duration: Duration) -> Result<()> {
        let spread = self.0.iter_mut().find(|(name, _)| *name == what);
        let (_, spread) = spread.with_context(|| format!("nothing is called {what}"))?;
        spread.add(duration)
    }

    fn figures(&self) -> Vec<Figure> {
        let total = self.0.first().map_or(1.0, |(_, total)| total.mean());
        // The whole, and its parts: noticing, the steps, the rest.
        let parts = STEPS.len() + 3;
        let spreads = self.0.iter().enumerate();
        spreads
            .map(|(at, (what, spread))| Figure {
                what,
                share: (at < parts).then(|| spread.mean() / total),
                quantiles: spread.quantiles(),
            })
            .collect()
    }
}

fn section(outcome: &Outcome) -> Section {
    let title = format!(
        "{}: {} swaps, {:.1} MiB library, {} calls answered, {} failed, load average {} to {}; milliseconds",
        outcome.subject,
        outcome.swaps,
        outcome.library_bytes as f64 / f64::from(1 << 20),
        outcome.answered,
        outcome.failures.len(),
        outcome.load.begin,
        outcome.load.end
    );
    let mut section = Section::new(title, &["", "p50", "p99", "max", "share of the mean"]);
    for figure in &outcome.figures {
        let millis = |micros: f64| format!("{:.3}", micros / 1000.0);
        let quantiles = figure.quantiles;
        let share = figure
            .share
            .map_or(String::new(), |share| format!("{:.1} %", share * 100.0));
        section.row([
            figure.what.to_owned(),
            millis(quantiles.p50),
            millis(quantiles.p99),
            millis(quantiles.max),
            share,
        ]);
    }
    section
}
