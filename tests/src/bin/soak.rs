//! The soak: thousands of swaps in one process under callers, and what the process looks like at start, middle and end.
//!
//! ```text
//! cargo run --release -p tests --bin soak [-- --guest] [--swaps 2000] [--json]
//! ```

use anyhow::{Context, Result, ensure};
use clap::Parser;
use host::Host;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};
use tests::{
    Profile, library,
    measure::{
        Author, Errand, Journeys, Load, Reading, Section, Traffic, TrafficTally, ensure_interposed,
        mebibytes, progress, tell,
    },
    plugin, process,
};

/// Swaps before the first reading: what is made once is made then.
const WARM_UP: u64 = 60;
/// How long retired generations may take to leave before a reading.
const LEAVE: Duration = Duration::from_secs(30);
/// How long the threads of a journey may take to end, and the next examiner to be started, at least.
const SETTLE: Duration = Duration::from_millis(300);
/// Readings besides the first one.
const READINGS: u64 = 20;

/// Swaps plugins thousands of times under callers.
#[derive(Parser)]
struct Arguments {
    /// How many swaps, after those of the warm-up.
    #[arg(long, default_value_t = 2000)]
    swaps: u64,
    /// Plugins with a tokio runtime and with thread-locals, in place of the examples.
    #[arg(long)]
    guest: bool,
    /// Milliseconds that each caller pauses between two calls.
    #[arg(long, default_value_t = 1)]
    pause: u64,
    /// One JSON object in place of tables.
    #[arg(long)]
    json: bool,
}

/// A plugin that is swapped.
struct Subject {
    plugin: &'static str,
    author: Author,
}

/// What came out.
#[derive(Serialize)]
struct Outcome {
    plugins: Vec<&'static str>,
    swaps: u64,
    warm_up: u64,
    seconds: f64,
    answered: BTreeMap<&'static str, u64>,
    failed: u64,
    failures: Vec<String>,
    /// Whether what the plugins have counted is what was answered, where they count.
    totals_agree: bool,
    lingered_for_a_while: usize,
    still_lingering: Vec<String>,
    readings: Vec<Reading>,
    /// The threads at the end, without the callers.
    threads: Vec<String>,
    load: Load,
}

fn main() -> Result<ExitCode> {
    host::examiner();
    let arguments = Arguments::parse();
    let load = Load::begin()?;
    let folder = tempfile::tempdir().context("making a folder")?;
    let (watched, state) = (folder.path().join("plugins"), folder.path().join("state"));
    let mut subjects = if arguments.guest {
        guests(&watched)?
    } else {
        examples(&watched)?
    };
    for subject in &mut subjects {
        subject.author.build()?;
    }
    let host = Host::builder()
        .directory(&watched)
        .state_dir(&state)
        .start()?;
    ensure_interposed(&host)?;
    let mut journeys = Journeys::follow(&host);
    let pause = Duration::from_millis(arguments.pause);
    let traffic = Traffic::start(&host, errands(arguments.guest), pause);
    let began = Instant::now();
    let readings = swap(&arguments, &host, &mut subjects, &mut journeys, &state)?;
    let seconds = began.elapsed().as_secs_f64();
    let tally = traffic.stop();
    let outcome = Outcome {
        plugins: subjects.iter().map(|subject| subject.plugin).collect(),
        swaps: arguments.swaps,
        warm_up: WARM_UP,
        seconds,
        totals_agree: arguments.guest || totals_agree(&host, &tally)?,
        answered: tally.answered,
        failed: tally.failed,
        failures: tally.failures,
        lingered_for_a_while: journeys.lingered.len(),
        still_lingering: lingering(&host),
        readings,
        threads: process::thread_names(),
        load: load.end()?,
    };
    tell(
        arguments.json,
        &outcome,
        &[looks(&outcome), calls(&outcome)],
    )?;
    let is_well = outcome.failed == 0 && outcome.totals_agree && outcome.still_lingering.is_empty();
    Ok(ExitCode::from(u8::from(!is_well)))
}

fn examples(dir: &Path) -> Result<Vec<Subject>> {
    let build = |package| plugin(package, Profile::Release);
    let monitors = [build("monitor"), build("monitor-2")];
    Ok(vec![
        Subject {
            plugin: "counter",
            author: Author::new(dir, &[&build("counter")])?,
        },
        Subject {
            plugin: "monitor",
            author: Author::new(dir, &[&monitors[0], &monitors[1]])?,
        },
        Subject {
            plugin: "markdown",
            author: Author::new(dir, &[&build("markdown")])?,
        },
    ])
}

fn guests(dir: &Path) -> Result<Vec<Subject>> {
    let subject = |plugin, example| {
        let author = Author::new(dir, &[&library(example)])?;
        anyhow::Ok(Subject { plugin, author })
    };
    Ok(vec![
        subject("tokio-runtime", "tokio_runtime")?,
        subject("thread-locals", "thread_locals")?,
    ])
}

fn errands(guest: bool) -> Vec<Errand> {
    let errand = |plugin, method, arguments: &str, expected: Option<&str>| Errand {
        plugin,
        method,
        arguments: arguments.into(),
        expected: expected.map(Into::into),
    };
    if guest {
        return vec![
            errand("tokio-runtime", "work", "", Some("42")),
            errand("tokio-runtime", "work", "", Some("42")),
            errand("thread-locals", "work", "", Some("42")),
            errand("thread-locals", "work", "", Some("42")),
        ];
    }
    let line = r#""::1 - - [10/Oct/2000:13:55:36 +0000] \"GET /a?b=c HTTP/1.1\" 200 2326""#;
    let html = r#""<h1>Title</h1>\n<ul>\n<li>one</li>\n<li><em>two</em></li>\n</ul>\n""#;
    vec![
        errand("counter", "add", "1", None),
        errand("counter", "add", "1", None),
        errand("monitor", "ingest", line, Some("null")),
        errand(
            "markdown",
            "render",
            r##""# Title\n\n* one\n* *two*\n""##,
            Some(html),
        ),
    ]
}

/// Swaps in turn, and reads at even distances.
fn swap(
    arguments: &Arguments,
    host: &Host,
    subjects: &mut [Subject],
    journeys: &mut Journeys,
    state: &Path,
) -> Result<Vec<Reading>> {
    let bar = progress("swaps", arguments.swaps);
    let every = (arguments.swaps / READINGS).max(1);
    let mut readings = Vec::new();
    for done in 0..=WARM_UP + arguments.swaps {
        let counted = done.checked_sub(WARM_UP);
        if let Some(counted) = counted.filter(|counted| counted % every == 0) {
            wait_until_left(host);
            readings.push(Reading::take(counted, state)?);
            bar.set_position(counted);
        }
        if counted == Some(arguments.swaps) {
            break;
        }
        let turn = done % subjects.len() as u64;
        let subject = &mut subjects[turn as usize];
        subject.author.build()?;
        let journey = journeys.wait_for(subject.plugin)?;
        ensure!(journey.generation > 0, "a journey without a generation");
    }
    bar.finish_and_clear();
    Ok(readings)
}

fn lingering(host: &Host) -> Vec<String> {
    let status = host.status();
    let of = |name: &str, cause: &str| format!("{name}: {cause}");
    let plugins = status.plugins.iter();
    plugins
        .flat_map(|plugin| {
            plugin
                .lingering
                .iter()
                .map(|one| of(&plugin.name, &one.cause))
        })
        .collect()
}

/// Waits until no retired generation is left, and what the last journey needed has ended.
fn wait_until_left(host: &Host) {
    let end = Instant::now() + LEAVE;
    std::thread::sleep(SETTLE);
    while !lingering(host).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether counter and monitor have counted exactly what was answered.
fn totals_agree(host: &Host, tally: &TrafficTally) -> Result<bool> {
    let counted = host.call("counter", "total", b"")?.result;
    let counted: u64 = serde_json::from_slice(&counted)?;
    let report = host.call("monitor", "report", b"")?.result;
    let report: serde_json::Value = serde_json::from_slice(&report)?;
    let answered = |plugin| tally.answered.get(plugin).copied();
    Ok(Some(counted) == answered("counter") && report["lines"].as_u64() == answered("monitor"))
}

/// Start, middle, end, and the highest of all readings.
fn looks(outcome: &Outcome) -> Section {
    let title = format!(
        "Soak: {} swaps of {} in {:.0} s, {} readings",
        outcome.swaps,
        outcome.plugins.join(", "),
        outcome.seconds,
        outcome.readings.len()
    );
    let readings = &outcome.readings;
    let mut looks = Section::new(title, &["", "start", "middle", "end", "highest"]);
    let mut row = |name: &str, count: &dyn Fn(&Reading) -> u64, tell: &dyn Fn(u64) -> String| {
        let counts: Vec<u64> = readings.iter().map(count).collect();
        let [first, .., last] = counts.as_slice() else {
            return;
        };
        let middle = counts[counts.len() / 2];
        let highest = counts.iter().copied().max().unwrap_or(0);
        let cells = [*first, middle, *last, highest].map(tell);
        looks.row(std::iter::once(name.to_owned()).chain(cells));
    };
    let plain = |count: u64| count.to_string();
    row("swaps", &|reading| reading.swaps, &plain);
    row(
        "resident memory, MiB",
        &|reading| reading.resident,
        &mebibytes,
    );
    row("mappings", &|reading| reading.mappings as u64, &plain);
    row("threads", &|reading| reading.threads as u64, &plain);
    row("file descriptors", &|reading| reading.files as u64, &plain);
    row("store on disk, MiB", &|reading| reading.store, &mebibytes);
    looks
}

fn calls(outcome: &Outcome) -> Section {
    let mut calls = Section::new("Calls and departures", &["", "count"]);
    for (plugin, answered) in &outcome.answered {
        calls.row([format!("{plugin}: calls answered"), answered.to_string()]);
    }
    let agree = if outcome.totals_agree { "yes" } else { "NO" };
    let load = outcome.load;
    for (name, count) in [
        ("calls failed", outcome.failed.to_string()),
        ("counted = answered, where they count", agree.to_owned()),
        (
            "lingered for a while",
            outcome.lingered_for_a_while.to_string(),
        ),
        (
            "linger at the end",
            outcome.still_lingering.len().to_string(),
        ),
        (
            "load average, begin and end",
            format!("{} {}", load.begin, load.end),
        ),
    ] {
        calls.row([name.to_owned(), count]);
    }
    for trouble in outcome.failures.iter().chain(&outcome.still_lingering) {
        calls.row([trouble.as_str(), ""]);
    }
    calls
}
