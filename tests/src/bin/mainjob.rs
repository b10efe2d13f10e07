//! The main job: the program `host` renders READMEs and counts a web server's log over HTTP, while versions are swapped.
//!
//! ```text
//! cargo run --release -p tests --bin mainjob -- --access-log access.log --readmes ~/.cargo/registry/src
//! ```
//!
//! Every answer is compared: HTML with what pulldown-cmark renders in this process, the report with a count of the log of
//! its own.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Parser;
use pulldown_cmark::{Options, html};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};
use tests::{
    LIMIT, Profile, Program,
    measure::{AccessLog, Author, Client, Load, Reply, Section, Totals, progress, tell},
    plugin,
};

/// Failures that are kept in words.
const KEPT: usize = 20;

/// Does the main job over HTTP while versions are swapped.
#[derive(Parser)]
struct Arguments {
    /// An access log of a web server, in Common or Combined Log Format.
    #[arg(long)]
    access_log: PathBuf,
    /// A folder with READMEs in it and below it.
    #[arg(long)]
    readmes: PathBuf,
    /// How many swaps there must be during each of the two parts.
    #[arg(long, default_value_t = 60)]
    swaps: u64,
    /// How often every README is rendered at least.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Clients, each with a connection that it keeps.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Milliseconds between the first answer of a version and the next build.
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// One JSON object in place of tables.
    #[arg(long)]
    json: bool,
}

/// A README, ready to be sent, and what it must become.
struct Readme {
    name: String,
    body: Bytes,
    html: blake3::Hash,
}

/// What one part of the job came to.
#[derive(Debug, Default, Serialize)]
struct Part {
    /// Files or lines.
    inputs: usize,
    seconds: f64,
    sent: u64,
    answered: u64,
    failed: u64,
    /// Answers that are not what they must be.
    wrong: u64,
    /// The first of both, in words.
    failures: Vec<String>,
    /// Builds put into the watched directory after the first answer.
    builds: u64,
    /// Swaps that callers have seen: changes of the generation that answers.
    swaps_seen: usize,
    versions_seen: BTreeSet<String>,
    slowest_millis: f64,
}

/// What both parts came to.
#[derive(Serialize)]
struct Outcome {
    markdown: Part,
    monitor: Part,
    counted: Totals,
    reported: Totals,
    refused: u64,
    load: Load,
}

/// What one client has seen.
#[derive(Default)]
struct Seen {
    part: Part,
    generations: BTreeSet<u64>,
}

/// How far a part of the job is, for all who take part in it.
#[derive(Default)]
struct Course {
    /// The youngest generation that has answered.
    youngest: AtomicU64,
    /// Requests taken from the pile.
    taken: AtomicU64,
    /// There are enough swaps.
    swapped: AtomicBool,
    /// The clients have nothing more to send.
    done: AtomicBool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let load = Load::begin()?;
    let log = AccessLog::read(&arguments.access_log)?;
    let counted = log.count()?;
    let readmes = readmes(&arguments.readmes)?;
    let watched = tempfile::tempdir().context("making a folder")?;
    let library = |package| plugin(package, Profile::Release);
    let mut markdown = Author::new(watched.path(), &[&library("markdown")])?;
    let monitors = [library("monitor"), library("monitor-2")];
    let mut monitor = Author::new(watched.path(), &[&monitors[0], &monitors[1]])?;
    markdown.build()?;
    monitor.build()?;
    let directory = watched
        .path()
        .to_str()
        .context("a folder with a name in UTF-8")?;
    let host = Program::start(&["run", directory]);
    let rendered = render(&arguments, &host.call, &readmes, &mut markdown)?;
    let ingested = ingest(&arguments, &host.call, &log, &mut monitor)?;
    let report = Client::connect(&host.call)?.call("monitor", "report", Bytes::new())?;
    let report: serde_json::Value = serde_json::from_slice(&report.body)?;
    let outcome = Outcome {
        markdown: rendered,
        monitor: ingested,
        counted,
        reported: Totals::of_report(&report)?,
        refused: report["refused"].as_u64().context("refused lines")?,
        load: load.end()?,
    };
    tell(arguments.json, &outcome, &sections(&outcome))?;
    let is_well = is_well(&outcome, arguments.swaps);
    Ok(ExitCode::from(u8::from(!is_well)))
}

fn is_well(outcome: &Outcome, swaps: u64) -> bool {
    let parts = [&outcome.markdown, &outcome.monitor];
    outcome.counted == outcome.reported
        && outcome.refused == 0
        && parts.iter().all(|part| {
            part.failed + part.wrong == 0
                && part.sent == part.answered
                && part.swaps_seen as u64 >= swaps
        })
}

/// The READMEs in and below `dir`, in the order of their paths.
fn readmes(dir: &Path) -> Result<Vec<Readme>> {
    let mut paths = Vec::new();
    find_readmes(dir, &mut paths).with_context(|| format!("looking into {}", dir.display()))?;
    paths.sort();
    ensure!(!paths.is_empty(), "no README.md below {}", dir.display());
    let read = |path: &PathBuf| {
        let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let text = String::from_utf8_lossy(&text);
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_STRIKETHROUGH;
        let mut rendered = String::new();
        html::push_html(
            &mut rendered,
            pulldown_cmark::Parser::new_ext(&text, options),
        );
        Ok(Readme {
            name: path.display().to_string(),
            body: serde_json::to_vec(&text)?.into(),
            html: blake3::hash(rendered.as_bytes()),
        })
    };
    paths.iter().map(read).collect()
}

fn find_readmes(dir: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            find_readmes(&entry.path(), found)?;
        } else if kind.is_file() && entry.file_name().eq_ignore_ascii_case("readme.md") {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Renders every README so many times at least, and goes on until there are enough swaps.
fn render(
    arguments: &Arguments,
    address: &str,
    readmes: &[Readme],
    author: &mut Author,
) -> Result<Part> {
    let least = readmes.len() * arguments.rounds;
    let take = |course: &Course| {
        let at = course.taken.fetch_add(1, Ordering::Relaxed) as usize;
        let goes_on = at < least || !course.swapped.load(Ordering::Relaxed);
        goes_on.then(|| &readmes[at % readmes.len()])
    };
    let send = |client: &mut Client, readme: &&Readme| {
        client.call("markdown", "render", readme.body.clone())
    };
    let judge = |reply: &Reply, readme: &&Readme| {
        let html = serde_json::from_slice::<String>(&reply.body);
        let is_right = html.is_ok_and(|html| blake3::hash(html.as_bytes()) == readme.html);
        (!is_right).then(|| format!("{} is rendered otherwise", readme.name))
    };
    let part = work(arguments, address, author, "markdown", &(take, send, judge))?;
    Ok(Part {
        inputs: readmes.len(),
        ..part
    })
}

/// Sends each line of the log once, a line a request.
fn ingest(
    arguments: &Arguments,
    address: &str,
    log: &AccessLog,
    author: &mut Author,
) -> Result<Part> {
    let take = |course: &Course| {
        let at = course.taken.fetch_add(1, Ordering::Relaxed);
        log.lines.get(at as usize)
    };
    let send = |client: &mut Client, line: &&String| {
        client.call("monitor", "ingest", serde_json::to_vec(line)?.into())
    };
    let judge = |reply: &Reply, line: &&String| {
        (*reply.body != *b"null").then(|| format!("{line} was answered {:?}", reply.body))
    };
    let part = work(arguments, address, author, "monitor", &(take, send, judge))?;
    Ok(Part {
        inputs: log.lines.len(),
        ..part
    })
}

/// Lets clients work and an author build, until the clients have nothing more to send.
fn work<T>(
    arguments: &Arguments,
    address: &str,
    author: &mut Author,
    plugin: &'static str,
    (take, send, judge): &(
        impl Fn(&Course) -> Option<T> + Sync,
        impl Fn(&mut Client, &T) -> Result<Reply> + Sync,
        impl Fn(&Reply, &T) -> Option<String> + Sync,
    ),
) -> Result<Part> {
    let course = Course::default();
    let began = Instant::now();
    let (seen, builds) = thread::scope(|scope| {
        let client = || -> Result<Seen> {
            let mut client = Client::connect(address)?;
            let mut seen = Seen::default();
            while let Some(item) = take(&course) {
                let (sent, reply) = (Instant::now(), send(&mut client, &item));
                if seen.note(reply, sent.elapsed(), &course, |reply| judge(reply, &item)) {
                    // The connection may be in pieces.
                    client = Client::connect(address)?;
                }
            }
            Ok(seen)
        };
        let clients: Vec<_> = (0..arguments.clients)
            .map(|_| scope.spawn(client))
            .collect();
        let course = &course;
        let builder = scope.spawn(move || build(arguments, author, plugin, course));
        let seen: Vec<_> = clients
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        course.done.store(true, Ordering::Relaxed);
        (seen, builder.join())
    });
    let panicked = |_| anyhow::anyhow!("a thread panicked");
    let mut all = Seen::default();
    for seen in seen {
        all.add(seen.map_err(panicked)??);
    }
    Ok(Part {
        seconds: began.elapsed().as_secs_f64(),
        builds: builds.map_err(panicked)??,
        swaps_seen: all.generations.len().saturating_sub(1),
        ..all.part
    })
}

/// Finishes a build each time the one before has answered, while the clients work.
fn build(
    arguments: &Arguments,
    author: &mut Author,
    plugin: &'static str,
    course: &Course,
) -> Result<u64> {
    let bar = progress(plugin, arguments.swaps);
    let pause = Duration::from_millis(arguments.pause);
    let (mut builds, mut serving) = (0, 0);
    while !course.done.load(Ordering::Relaxed) {
        let youngest = course.youngest.load(Ordering::Relaxed);
        if youngest > serving {
            serving = youngest;
            thread::sleep(pause);
            if builds >= arguments.swaps {
                course.swapped.store(true, Ordering::Relaxed);
            }
            author.build()?;
            builds += 1;
            bar.set_position(builds);
            course_limit(course, serving);
        }
        thread::sleep(Duration::from_millis(1));
    }
    bar.finish_and_clear();
    Ok(builds)
}

/// Waits until a younger generation than `serving` answers; what never comes must not keep the clients going.
fn course_limit(course: &Course, serving: u64) {
    let end = Instant::now() + LIMIT;
    while course.youngest.load(Ordering::Relaxed) <= serving && !course.done.load(Ordering::Relaxed)
    {
        if Instant::now() > end {
            course.swapped.store(true, Ordering::Relaxed);
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

impl Seen {
    /// Notes what became of a request. Says whether there was no answer.
    fn note(
        &mut self,
        reply: Result<Reply>,
        took: Duration,
        course: &Course,
        judge: impl FnOnce(&Reply) -> Option<String>,
    ) -> bool {
        let part = &mut self.part;
        part.sent += 1;
        part.slowest_millis = part.slowest_millis.max(took.as_secs_f64() * 1000.0);
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                part.failed += 1;
                part.complain(format!("{error:#}"));
                return true;
            }
        };
        if reply.status != 200 {
            part.failed += 1;
            let body = String::from_utf8_lossy(&reply.body);
            part.complain(format!("status {}: {body}", reply.status));
            return false;
        }
        part.answered += 1;
        if let Some(wrong) = judge(&reply) {
            part.wrong += 1;
            part.complain(wrong);
        }
        part.versions_seen.extend(reply.version);
        if let Some(generation) = reply.generation {
            course.youngest.fetch_max(generation, Ordering::Relaxed);
            self.generations.insert(generation);
        }
        false
    }

    fn add(&mut self, other: Seen) {
        let (part, more) = (&mut self.part, other.part);
        part.sent += more.sent;
        part.answered += more.answered;
        part.failed += more.failed;
        part.wrong += more.wrong;
        part.failures.extend(more.failures);
        part.versions_seen.extend(more.versions_seen);
        part.slowest_millis = part.slowest_millis.max(more.slowest_millis);
        self.generations.extend(other.generations);
    }
}

impl Part {
    fn complain(&mut self, text: String) {
        if self.failures.len() < KEPT {
            self.failures.push(text);
        }
    }
}

fn sections(outcome: &Outcome) -> [Section; 2] {
    let parts = [&outcome.markdown, &outcome.monitor];
    let load = outcome.load;
    let title = format!(
        "The main job over HTTP, load average {} to {}",
        load.begin, load.end
    );
    let mut job = Section::new(title, &["", "markdown, READMEs", "monitor, access log"]);
    let mut row = |name: &str, tell: &dyn Fn(&Part) -> String| {
        job.row([name.to_owned(), tell(parts[0]), tell(parts[1])]);
    };
    row("files, lines", &|part| part.inputs.to_string());
    row("seconds", &|part| format!("{:.1}", part.seconds));
    row("requests sent", &|part| part.sent.to_string());
    row("answered", &|part| part.answered.to_string());
    row("failed", &|part| part.failed.to_string());
    row("answered wrongly", &|part| part.wrong.to_string());
    row("builds put into the directory", &|part| {
        part.builds.to_string()
    });
    row("swaps seen by callers", &|part| part.swaps_seen.to_string());
    row("versions seen", &|part| {
        part.versions_seen
            .iter()
            .cloned()
            .collect::<Vec<_>>()
            .join(", ")
    });
    row("slowest request, ms", &|part| {
        format!("{:.1}", part.slowest_millis)
    });
    for (column, part) in parts.iter().enumerate() {
        for failure in &part.failures {
            let mut cells = [failure.as_str(), "", ""];
            cells[column + 1] = "x";
            job.row(cells);
        }
    }
    let mut totals = Section::new(
        "The log, as counted by this tool and as reported by the plugin",
        &["", "counted", "reported"],
    );
    let (counted, reported) = (&outcome.counted, &outcome.reported);
    let mut row = |name: &str, tell: &dyn Fn(&Totals) -> String| {
        totals.row([name.to_owned(), tell(counted), tell(reported)]);
    };
    row("lines", &|totals| totals.lines.to_string());
    row("bytes", &|totals| totals.bytes.to_string());
    row("by status", &|totals| format!("{:?}", totals.statuses));
    row("path asked for most", &|totals| {
        format!("{:?}", totals.top_paths.first())
    });
    totals.row([
        "lines refused".to_owned(),
        "0".to_owned(),
        outcome.refused.to_string(),
    ]);
    let lost = counted.lines.saturating_sub(reported.lines);
    totals.row(["lines lost".to_owned(), String::new(), lost.to_string()]);
    [job, totals]
}
