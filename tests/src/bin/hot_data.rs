//! Hot data: what a read costs, how long a file takes to be published, and what many revisions take of memory and disk.
//!
//! ```text
//! cargo run --release -p tests --bin hot_data [-- --revisions 100000] [--seconds 120] [--renames 1000] [--json]
//! ```
//!
//! It says on standard error what it is at. Revisions come to an end after `--seconds`, however many there have been: each
//! waits for the disk, which a busy machine makes ten times as long.
//!
//! A read is compared with a bare load of the same kind of pointer in the same run; both are the best of several rounds,
//! since whatever else runs on the machine only adds to them. In a plugin, looks are timed by the million inside of one call,
//! and the first look of a call, and looks of two plugins in turns, by the difference that they make to a call.

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use clap::Parser;
use host::{
    Host,
    config::{Config, DatasetConfig, SourceConfig},
    data::Origin,
    event::Happening,
};
use serde::Serialize;
use std::{
    fs,
    hint::black_box,
    io::{Write, stderr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    Artifact,
    measure::{Load, Quantiles, Reading, Section, Spread, mebibytes, progress, tell},
};

/// Rounds of reads, of which the best counts.
const ROUNDS: usize = 20;
/// Reads of a round.
const READS: u32 = 1_000_000;
/// Calls of a round.
const CALLS: u32 = 20_000;
/// Calls from one plugin to another in a round.
const TURNS: u32 = 20_000;
/// How long a rename may take to be published.
const LIMIT: Duration = Duration::from_secs(60);

/// Measures hot data.
#[derive(Parser)]
struct Arguments {
    /// How many revisions of one dataset.
    #[arg(long, default_value_t = 100_000)]
    revisions: u64,
    /// For how long revisions are published at most, in seconds.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Bytes of each.
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// How many renames are timed.
    #[arg(long, default_value_t = 1_000)]
    renames: u64,
    /// One JSON object in place of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figures {
    reads: Vec<Read>,
    rename_to_published: Quantiles,
    publish: Quantiles,
    growth: Vec<Reading>,
    load: Load,
}

/// Nanoseconds of a read, without and with somebody who publishes all the time.
#[derive(Serialize)]
struct Read {
    what: &'static str,
    quiet: f64,
    published: f64,
}

fn main() -> Result<()> {
    host::examiner();
    let arguments = Arguments::parse();
    let load = Load::begin()?;
    let folder = TempDir::new().context("making a folder")?;
    let host = start(folder.path())?;
    let figures = Figures {
        reads: reads(&host)?,
        rename_to_published: renames(&host, folder.path(), arguments.renames)?,
        publish: Spread::new()?.quantiles(),
        growth: Vec::new(),
        load,
    };
    let (publish, growth) = grow(&host, folder.path(), &arguments)?;
    let figures = Figures {
        publish,
        growth,
        load: load.end()?,
        ..figures
    };
    tell(arguments.json, &figures, &sections(&figures))
}

fn start(folder: &Path) -> Result<Host> {
    let mut config = Config::default();
    let followed = DatasetConfig {
        source: Some(SourceConfig::file(folder.join("followed.json"))),
        ..DatasetConfig::default()
    };
    for (name, dataset) in [
        ("followed", followed),
        ("left", DatasetConfig::default()),
        ("right", DatasetConfig::default()),
        ("read", DatasetConfig::default()),
        ("written", DatasetConfig::default()),
    ] {
        config.data.insert(name.to_owned(), dataset);
    }
    let host = Host::builder()
        .config(config)
        .state_dir(folder.join("state"))
        .start()?;
    put(&host, "read", b"1".to_vec())?;
    put(&host, "left", b"{\"number\": 1}".to_vec())?;
    put(&host, "right", b"1".to_vec())?;
    for plugin in ["reads", "echoes"] {
        say("loads", plugin);
        host.load(&Artifact::of(plugin).place(&folder.join("plugins")))
            .with_context(|| format!("loading the plugin {plugin}"))?;
    }
    Ok(host)
}

/// Says on standard error what it is at.
fn say(does: &str, what: &str) {
    let _closed = writeln!(stderr(), "hot_data {does} {what}");
}

fn put(host: &Host, dataset: &str, content: Vec<u8>) -> Result<()> {
    host.put_data(dataset, content, &Origin::operator("a measurement"))?;
    Ok(())
}

/// The best of the rounds: nanoseconds of one read.
fn best(read: impl Fn() -> u64) -> f64 {
    let round = || {
        let begin = Instant::now();
        for _ in 0..READS {
            black_box(read());
        }
        begin.elapsed().as_nanos() as f64 / f64::from(READS)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// Nanoseconds of one look inside of a plugin.
fn look(host: &Host) -> Result<f64> {
    let arguments = READS.to_string();
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        host.call("reads", "sum", arguments.as_bytes())?;
        best = best.min(begin.elapsed().as_nanos() as f64 / f64::from(READS));
    }
    Ok(best)
}

/// Nanoseconds that the first look of a call adds to it.
fn first_look(host: &Host) -> Result<f64> {
    let sum = host.method("reads", "sum")?;
    let of = |often: &str| {
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            for _ in 0..CALLS {
                black_box(sum.call(often.as_bytes()).ok());
            }
            best = best.min(begin.elapsed().as_nanos() as f64 / f64::from(CALLS));
        }
        best
    };
    Ok(of("1") - of("0"))
}

/// Nanoseconds of two looks, by two plugins of which one calls the other.
fn looks_in_turns(host: &Host) -> Result<f64> {
    let of = |looks: bool| -> Result<f64> {
        let arguments = format!("[{TURNS}, {looks}]");
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            host.call("reads", "in_turns", arguments.as_bytes())?;
            best = best.min(begin.elapsed().as_nanos() as f64 / f64::from(TURNS));
        }
        Ok(best)
    };
    Ok(of(true)? - of(false)?)
}

fn kinds_of_read(host: &Host, bare: &ArcSwap<u64>) -> Result<[(&'static str, f64); 8]> {
    let number = |held: Option<&Arc<host::data::Revision>>| held.map_or(0, |it| it.record.number);
    let place = host.data_view().place("read").unwrap_or_default();
    Ok([
        ("bare pointer, looked at", best(|| **bare.load())),
        ("in a plugin", look(host)?),
        ("in a plugin, first of a call", first_look(host)?),
        ("in two plugins, in turns", looks_in_turns(host)?),
        (
            "view, by place",
            best(|| number(host.data_view().at(place))),
        ),
        (
            "view, by name",
            best(|| number(host.data_view().get("read"))),
        ),
        ("bare pointer, taken", best(|| *bare.load_full())),
        (
            "snapshot, by place",
            best(|| number(host.data_snapshot().at(place))),
        ),
    ])
}

fn reads(host: &Host) -> Result<Vec<Read>> {
    /// However the measuring ends, the writer ends.
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let bare = ArcSwap::from_pointee(1_u64);
    say("measures", "reads");
    let quiet = kinds_of_read(host, &bare)?;
    say("measures", "reads while it publishes");
    let ended = AtomicBool::new(false);
    let published = thread::scope(|scope| {
        let ends = Ends(&ended);
        let writer = scope.spawn(|| -> Result<()> {
            for number in 0_u64.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                for dataset in ["read", "right"] {
                    put(host, dataset, number.to_string().into_bytes())?;
                }
                bare.store(Arc::new(number));
            }
            Ok(())
        });
        let published = kinds_of_read(host, &bare);
        drop(ends);
        writer.join().unwrap_or(Ok(()))?;
        published
    })?;
    let both = quiet.into_iter().zip(published);
    Ok(both
        .map(|((what, quiet), (_, published))| Read {
            what,
            quiet,
            published,
        })
        .collect())
}

/// From the rename of a file to the event that it is published.
fn renames(host: &Host, folder: &Path, count: u64) -> Result<Quantiles> {
    say("renames", "a file");
    let events = host.follow();
    let mut spread = Spread::new()?;
    let bar = progress("renames", count);
    for number in 0..count {
        let new = folder.join("new");
        fs::write(&new, number.to_string())?;
        let begin = Instant::now();
        fs::rename(&new, folder.join("followed.json"))?;
        loop {
            let event = events.recv_timeout(LIMIT).context("it is not published")?;
            if matches!(event.what, Happening::DataPublished { .. }) {
                break;
            }
        }
        spread.add(begin.elapsed())?;
        bar.inc(1);
    }
    Ok(spread.quantiles())
}

/// Publishes many revisions; how long each took, and what the process and its folder looked like on the way.
fn grow(host: &Host, folder: &Path, arguments: &Arguments) -> Result<(Quantiles, Vec<Reading>)> {
    let mut spread = Spread::new()?;
    let mut growth = vec![Reading::take(0, &folder.join("state"))?];
    let bar = progress("revisions", arguments.revisions);
    let step = (arguments.revisions / 10).max(1);
    say("publishes", "many revisions");
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    for number in 1..=arguments.revisions {
        let mut content = format!("[{number},\"");
        let filler = arguments.bytes.saturating_sub(content.len() + 2);
        content.extend(std::iter::repeat_n('x', filler));
        content.push_str("\"]");
        let begin = Instant::now();
        put(host, "written", content.into_bytes())?;
        spread.add(begin.elapsed())?;
        bar.inc(1);
        let is_over = Instant::now() >= until;
        if number % step == 0 || is_over {
            growth.push(Reading::take(number, &folder.join("state"))?);
        }
        if is_over {
            break;
        }
    }
    Ok((spread.quantiles(), growth))
}

fn sections(figures: &Figures) -> Vec<Section> {
    let Load { begin, end } = figures.load;
    let mut reads = Section::new(
        format!("A read, load average {begin} to {end}; nanoseconds"),
        &["read", "quiet", "while publishing", "ratio"],
    );
    let bare = figures.reads.first();
    for read in &figures.reads {
        let (quiet, published) = (read.quiet, read.published);
        let ratio = bare.map_or(1.0, |bare| quiet / bare.quiet);
        reads.row([
            read.what.to_owned(),
            format!("{quiet:.1}"),
            format!("{published:.1}"),
            format!("{ratio:.2}"),
        ]);
    }
    let mut times = Section::new(
        "Times, microseconds",
        &["from, to", "count", "p50", "p99", "max"],
    );
    for (what, times_of) in [
        ("rename to published", figures.rename_to_published),
        ("put to published", figures.publish),
    ] {
        let Quantiles {
            count,
            p50,
            p99,
            max,
            ..
        } = times_of;
        times.row([
            what.to_owned(),
            count.to_string(),
            format!("{p50:.0}"),
            format!("{p99:.0}"),
            format!("{max:.0}"),
        ]);
    }
    let mut growth = Section::new("Growth, MiB", &["revisions", "resident", "on disk"]);
    for reading in &figures.growth {
        growth.row([
            reading.swaps.to_string(),
            mebibytes(reading.resident),
            mebibytes(reading.store),
        ]);
    }
    vec![reads, times, growth]
}
