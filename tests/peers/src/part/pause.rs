//! Pauses: what callers feel of swaps, with calls of three lengths; the gate alone, and the product.
//!
//! One thread calls without a pause, and another swaps. Every call is timed, from the end of the one before to its own end,
//! so that no time is left out between them. A caller that waits makes fewer calls: what would have been felt by calls that
//! come at their own pace is told beside, with a call added for each that would have begun meanwhile.

use crate::{
    arguments::Effort,
    builds::Libraries,
    contender::{
        gate::{self, LIMIT, OpenGate},
        ours::{self, Ours},
    },
    library::Adder,
    ratios::Ratios,
    rounds::median,
    spread::Spread,
    telling::{Section, number, progress},
};
use anyhow::{Context, Result, anyhow};
use std::{
    fs,
    hint::{black_box, spin_loop},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What calls take, in microseconds.
const LENGTHS: [u64; 3] = [0, 20, 1000];
/// How often the gate alone is swapped.
const PERIOD: Duration = Duration::from_millis(5);
/// How long callers may be held outside in one try, as the host's configuration has it.
const PATIENCE: Duration = Duration::from_millis(2);
/// Rounds, each with swaps and without.
const ROUNDS: u32 = 5;

/// What swaps of one kind with calls of one length came to.
struct Outcome {
    quiet: Spread,
    swapped: Spread,
    /// p99.9 with swaps over p99.9 without, round by round.
    ratios: Vec<f64>,
    swaps: Swaps,
}

/// What was noted about the swaps themselves.
struct Swaps {
    /// From the moment since which new callers are held outside to open.
    held: Spread,
    /// From the beginning of the call that the caller is in to open, where that is after the beginning of the close.
    waited: Spread,
    /// From the beginning of the close to open.
    whole: Spread,
    missed: u64,
}

/// When the caller has begun its present call: who looks while nobody is let in knows since when it waits.
struct Since {
    epoch: Instant,
    nanos: AtomicU64,
}

impl Since {
    fn note(&self, moment: Instant) {
        let nanos = (moment - self.epoch).as_nanos() as u64;
        self.nanos.store(nanos, Ordering::Relaxed);
    }

    fn look(&self) -> Instant {
        self.epoch + Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// Somebody who swaps, and somebody who calls.
trait Scene: Sync {
    /// Calls once with each use.
    fn caller(&self, micros: u64) -> Result<Box<dyn FnMut() + '_>>;

    /// Swaps once.
    fn swap(&self, number: u64, since: &Since, swaps: &mut Swaps) -> Result<()>;

    /// From one swap's beginning to the next one's; zero is as often as it goes.
    fn period(&self) -> Duration;
}

/// Measures both.
pub(crate) fn measure(
    libraries: &Libraries,
    effort: &Effort,
    ratios: &mut Ratios,
) -> Result<Vec<Section>> {
    let bar = progress("pause", LENGTHS.len() * 2);
    let alone = GateAlone {
        gate: gate::open(Arc::new(Adder::load(&libraries.adder)?)),
    };
    let product = Product::start(libraries)?;
    let mut sections = Vec::new();
    let scenes: [(&dyn Scene, String); 2] = [
        (
            &alone,
            "Pauses: the gate alone, closed and opened on another tenant every 5 ms".to_owned(),
        ),
        (
            &product,
            format!(
                "Pauses: ours ({}), two builds in turns through `host.load`, as often as it goes",
                ours::WAY
            ),
        ),
    ];
    for (scene, title) in scenes {
        let mut section = Section::new(
            title,
            &[
                "calls of",
                "swaps",
                "",
                "calls",
                "p50",
                "p99",
                "p99.9",
                "max",
                "p99.9, own pace",
                "window p50",
                "p99",
                "max",
            ],
        );
        for micros in LENGTHS {
            let outcome = run(scene, micros, effort.pause_slice)?;
            outcome.tell(micros, &mut section);
            if scene.period() == PERIOD && micros == LENGTHS[0] {
                ratios.blocked_window_p99_us = Some(outcome.swaps.held.quantile(0.99));
                ratios.p999_while_swapping_vs_without = Some(median(outcome.ratios));
            }
            bar.inc(1);
        }
        section.note(
            "Microseconds. Every call is timed, which is part of it (a clock and a histogram). \"Own pace\": corrected for \
             coordinated omission, as if a call had begun every p50.",
        );
        sections.push(section);
    }
    sections[0].note(
        "The window, in three lines: from the moment since which new callers are held outside to the return of `open_on`; from \
         the beginning of the call that the caller is in, as it notes it, which also has what the system takes from the caller \
         meanwhile (`membarrier` interrupts it); from the beginning of `close`, which is more than anybody waits: callers go in \
         by the door while pins are waited for.",
    );
    sections[1].note(
        "The window: the steps drain, hand over and switch of the swap's report together, which is more than anybody waits.",
    );
    bar.finish_and_clear();
    Ok(sections)
}

fn run(scene: &dyn Scene, micros: u64, slice: Duration) -> Result<Outcome> {
    let mut outcome = Outcome {
        quiet: Spread::new()?,
        swapped: Spread::new()?,
        ratios: Vec::new(),
        swaps: Swaps {
            held: Spread::new()?,
            waited: Spread::new()?,
            whole: Spread::new()?,
            missed: 0,
        },
    };
    let mut number = 1;
    for _ in 0..ROUNDS {
        let quiet = calls(scene, micros, slice / ROUNDS, None)?;
        let swapped = calls(
            scene,
            micros,
            slice / ROUNDS,
            Some((&mut outcome.swaps, &mut number)),
        )?;
        outcome
            .ratios
            .push(swapped.quantile(0.999) / quiet.quantile(0.999));
        outcome.quiet.add_all(&quiet)?;
        outcome.swapped.add_all(&swapped)?;
    }
    Ok(outcome)
}

/// Calls for that long on a thread of its own; swaps meanwhile on this one, where there are any to be noted.
fn calls(
    scene: &dyn Scene,
    micros: u64,
    slice: Duration,
    swaps: Option<(&mut Swaps, &mut u64)>,
) -> Result<Spread> {
    let stop = AtomicBool::new(false);
    let since = Since {
        epoch: Instant::now(),
        nanos: AtomicU64::new(0),
    };
    let calling = || -> Result<Spread> {
        let mut call = scene.caller(micros)?;
        let mut spread = Spread::new()?;
        call();
        let mut before = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            since.note(before);
            call();
            let now = Instant::now();
            spread.add(now - before);
            before = now;
        }
        Ok(spread)
    };
    thread::scope(|scope| {
        let caller = scope.spawn(calling);
        let end = Instant::now() + slice;
        let swapped = match swaps {
            Some((swaps, number)) => swap_until(scene, end, &since, swaps, number),
            None => {
                thread::sleep(slice);
                Ok(())
            }
        };
        stop.store(true, Ordering::Relaxed);
        let spread = caller
            .join()
            .map_err(|_| anyhow!("the caller has panicked"))?;
        swapped.and(spread)
    })
}

fn swap_until(
    scene: &dyn Scene,
    end: Instant,
    since: &Since,
    swaps: &mut Swaps,
    number: &mut u64,
) -> Result<()> {
    let mut next = Instant::now();
    while next < end {
        next += scene.period();
        thread::sleep(next.saturating_duration_since(Instant::now()));
        *number += 1;
        scene.swap(*number, since, swaps)?;
        next = next.max(Instant::now() - scene.period());
    }
    Ok(())
}

/// The gate, with nothing else of the product.
struct GateAlone {
    gate: OpenGate,
}

impl Scene for GateAlone {
    fn caller(&self, micros: u64) -> Result<Box<dyn FnMut() + '_>> {
        let length = Duration::from_micros(micros);
        Ok(Box::new(move || {
            gate::pass(&self.gate, |add| {
                black_box(add(1, 2));
                if micros > 0 {
                    let began = Instant::now();
                    while began.elapsed() < length {
                        spin_loop();
                    }
                }
            });
        }))
    }

    fn swap(&self, number: u64, since: &Since, swaps: &mut Swaps) -> Result<()> {
        let incumbent = self.gate.holder().tenant().context("the gate is open")?;
        let successor = incumbent.successor(number);
        let began = Instant::now();
        let Ok(closed) = self.gate.holder().close(began + LIMIT, PATIENCE) else {
            swaps.missed += 1;
            return Ok(());
        };
        // Now nobody is inside: the caller waits, or is on its way to.
        let (held_since, waits_since) = (closed.since(), since.look().max(began));
        let leaving = closed.open_on(Some(successor));
        let open = Instant::now();
        drop(leaving);
        swaps.whole.add(open - began);
        swaps.held.add(open - held_since);
        swaps.waited.add(open - waits_since);
        Ok(())
    }

    fn period(&self) -> Duration {
        PERIOD
    }
}

/// The whole host, with two builds of a plugin.
struct Product {
    ours: Ours,
    builds: [PathBuf; 2],
    _folder: TempDir,
}

impl Product {
    fn start(libraries: &Libraries) -> Result<Self> {
        let ours = Ours::start(libraries)?;
        let folder = tempfile::tempdir()?;
        let build = |name: &str| another_build(&libraries.calc, &folder.path().join(name), name);
        Ok(Product {
            ours,
            builds: [build("one")?, build("two")?],
            _folder: folder,
        })
    }
}

/// The same library with another digest: a few bytes behind the end of the ELF file.
fn another_build(library: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    let mut bytes = fs::read(library)?;
    bytes.extend_from_slice(name.as_bytes());
    fs::create_dir(folder)?;
    let file = folder.join(library.file_name().context("a library is a file")?);
    fs::write(&file, bytes)?;
    Ok(file)
}

impl Scene for Product {
    fn caller(&self, micros: u64) -> Result<Box<dyn FnMut() + '_>> {
        let mut busy = self.ours.busy()?;
        Ok(Box::new(move || busy(micros)))
    }

    fn swap(&self, number: u64, _since: &Since, swaps: &mut Swaps) -> Result<()> {
        use host::Step::{Drain, HandOver, Switch};
        let report = self.ours.load(&self.builds[number as usize % 2])?;
        let inside = report
            .steps
            .iter()
            .filter(|time| matches!(time.step, Drain | HandOver | Switch));
        let micros = inside.map(|time| time.micros).sum();
        swaps.whole.add(Duration::from_micros(micros));
        Ok(())
    }

    fn period(&self) -> Duration {
        Duration::ZERO
    }
}

impl Outcome {
    fn tell(&self, micros: u64, section: &mut Section) {
        let length = if micros == 0 {
            "nothing".to_owned()
        } else {
            format!("{micros} us")
        };
        let windows = |window: &Spread| {
            [window.quantile(0.5), window.quantile(0.99), window.max()].map(number)
        };
        let swaps = self.swaps.whole.count();
        let missed = match self.swaps.missed {
            0 => String::new(),
            missed => format!(", {missed} missed"),
        };
        let empty = ["", "", ""].map(str::to_owned);
        section.row(line(
            [length, "0".to_owned()],
            "without",
            &self.quiet,
            &empty,
        ));
        let counted = [String::new(), format!("{swaps}{missed}")];
        let Swaps {
            held,
            waited,
            whole,
            ..
        } = &self.swaps;
        let known: Vec<[String; 3]> = [held, waited, whole]
            .into_iter()
            .filter(|window| window.count() > 0)
            .map(windows)
            .collect();
        let (first, others) = known.split_first().unwrap_or((&empty, &[]));
        section.row(line(counted, "with", &self.swapped, first));
        for window in others {
            let mut cells = vec![String::new(); 9];
            cells.extend_from_slice(window);
            section.row(cells);
        }
    }
}

fn line(begin: [String; 2], how: &str, calls: &Spread, windows: &[String; 3]) -> Vec<String> {
    let pace = Duration::from_nanos((calls.quantile(0.5) * 1000.0).max(1.0) as u64);
    let mut cells = Vec::from(begin);
    cells.push(how.to_owned());
    cells.push(calls.count().to_string());
    let quantiles = [0.5, 0.99, 0.999].map(|quantile| number(calls.quantile(quantile)));
    cells.extend(quantiles);
    cells.push(number(calls.max()));
    cells.push(number(calls.corrected(pace).quantile(0.999)));
    cells.extend_from_slice(windows);
    cells
}
