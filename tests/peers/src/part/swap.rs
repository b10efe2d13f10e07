//! Swaps: from the moment at which cargo makes a library's link to the first answer of the new code, beside
//! hot-lib-reloader as it comes and at its shortest.
//!
//! Nobody compiles here: an author finishes builds in cargo's manner, so that the compiler's time is in no figure. All three
//! are asked by one caller, who pauses between two calls: hot-lib-reloader needs a moment without callers to get its lock.

use crate::{
    arguments::Effort,
    builds::Libraries,
    contender::hot_lib_reloader::{self, at_its_shortest, by_default},
    ratios::Ratios,
    rounds::{least, median, ratio},
    telling::{Section, number, progress},
};
use anyhow::{Context, Result, bail, ensure};
use host::Host;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Between two calls of the caller who waits for the new answer.
const PAUSE: Duration = Duration::from_micros(50);
/// Between the linker's file and what cargo does with it, so that a watcher has seen the one before the other.
const LINKER: Duration = Duration::from_millis(100);
/// Between the removal of the old file and the link of the new one, in cargo.
const BETWEEN: Duration = Duration::from_millis(1);
/// Between a swap and the next build.
const QUIET: Duration = Duration::from_millis(50);
/// How long a new answer is waited for.
const LIMIT: Duration = Duration::from_secs(20);
/// Before the number of a build in `adder`.
const MARK: [u8; 8] = 0x6275_696c_642d_6e6f_u64.to_le_bytes();

/// Measures the three, in turns.
pub(crate) fn measure(
    libraries: &Libraries,
    effort: &Effort,
    ratios: &mut Ratios,
) -> Result<Vec<Section>> {
    let bar = progress("swap", effort.swaps);
    let (folder, state) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut author = Author::new(&libraries.calc, folder.path())?;
    author.build(0)?;
    let host = Host::builder()
        .directory(folder.path())
        .state_dir(state.path())
        .start()?;
    let mut default = Author::new(
        &libraries.adder,
        hot_lib_reloader::DEFAULT.with(&libraries.adder)?,
    )?;
    let mut shortest = Author::new(
        &libraries.adder,
        hot_lib_reloader::SHORTEST.with(&libraries.adder)?,
    )?;
    ensure!(
        default.number.is_some() && shortest.number.is_some(),
        "the number of the build is not found in {}",
        libraries.adder.display()
    );
    ensure!(
        by_default::build() == 0 && at_its_shortest::build() == 0,
        "the first build has another number"
    );
    // The watchers stand when they have seen a change.
    thread::sleep(Duration::from_secs(1));

    let (mut ours, mut theirs, mut their_best) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=effort.swaps as u64 {
        let before = generation(&host)?;
        ours.push(wait("ours", author.build(number)?, || {
            Ok(generation(&host)? != before)
        })?);
        their_best.push(wait("shortest", shortest.build(number)?, || {
            Ok(at_its_shortest::build() == number)
        })?);
        theirs.push(wait("default", default.build(number)?, || {
            Ok(by_default::build() == number)
        })?);
        bar.inc(1);
    }
    bar.finish_and_clear();

    ratios.swap_vs_hot_lib_reloader = Some(ratio(&theirs, &ours));
    let mut section = Section::new(
        "Swaps: from cargo's CREATE of a small release library to the first new answer",
        &["contender", "p50, ms", "least", "most", "over ours"],
    );
    let version = crate::machine::version_of("hot-lib-reloader");
    for (what, times) in [
        (
            "**ours**: staged, examined in a child process, drained, state handed over".to_owned(),
            &ours,
        ),
        (
            format!("hot-lib-reloader {version}, its default debounce of 500 ms"),
            &theirs,
        ),
        (
            format!("hot-lib-reloader {version}, `file_watch_debounce = 1`"),
            &their_best,
        ),
    ] {
        let most = times.iter().copied().fold(0.0, f64::max);
        let middle = median(times.iter().copied());
        let mut cells = vec![what];
        cells.extend([middle, least(times), most, ratio(times, &ours)].map(number));
        section.row(cells);
    }
    section.note(&format!(
        "{} swaps each, in turns. A debounce of 0 ms is taken too, but its thread then never sleeps. No build has the digest of \
         another, so each of ours is examined.",
        effort.swaps
    ));
    Ok(vec![section])
}

/// Which generation answers.
fn generation(host: &Host) -> Result<u64> {
    Ok(host
        .call("calc", "kept", b"")
        .context("calls do not fail")?
        .generation)
}

/// Calls until the answer is new; milliseconds since `began`.
fn wait(who: &str, began: Instant, is_new: impl Fn() -> Result<bool>) -> Result<f64> {
    while !is_new()? {
        if began.elapsed() > LIMIT {
            bail!(
                "{who}: there was no new answer within {} s",
                LIMIT.as_secs()
            );
        }
        thread::sleep(PAUSE);
    }
    let took = began.elapsed().as_secs_f64() * 1000.0;
    thread::sleep(QUIET);
    Ok(took)
}

/// Somebody who finishes builds.
struct Author {
    bytes: Vec<u8>,
    /// Where the number of the build stands, in `adder`.
    number: Option<usize>,
    built: PathBuf,
    path: PathBuf,
}

impl Author {
    fn new(library: &Path, folder: &Path) -> Result<Self> {
        let bytes = fs::read(library)?;
        let name = library.file_name().context("a library is a file")?;
        let mark = bytes.windows(MARK.len()).position(|window| window == MARK);
        fs::create_dir_all(folder.join("deps"))?;
        Ok(Author {
            number: mark.map(|at| at + MARK.len()),
            bytes,
            built: folder.join("deps").join(name),
            path: folder.join(name),
        })
    }

    /// Finishes a build as cargo does: written to `deps`, then linked in place of what was there. Gives the moment just
    /// before the link.
    fn build(&mut self, number: u64) -> Result<Instant> {
        let mut bytes = self.bytes.clone();
        match self.number {
            Some(at) => bytes[at..at + 8].copy_from_slice(&number.to_le_bytes()),
            // Behind the end of the ELF file: another digest, the same behaviour.
            None => bytes.extend_from_slice(&number.to_le_bytes()),
        }
        let _not_yet_there = fs::remove_file(&self.built);
        fs::write(&self.built, bytes)?;
        thread::sleep(LINKER);
        let _not_yet_there = fs::remove_file(&self.path);
        thread::sleep(BETWEEN);
        let moment = Instant::now();
        fs::hard_link(&self.built, &self.path)?;
        Ok(moment)
    }
}
