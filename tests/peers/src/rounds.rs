//! The rounds: every contender in turn, again and again, so that each ratio is between neighbours in time.

use crate::contender::{Contender, PLACEMENTS, Who};
use anyhow::{Result, anyhow};
use indicatif::ProgressBar;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::{
    hint::{black_box, spin_loop},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Threads that call the same at a time.
const THREADS: usize = 2;
/// Calls before the clock starts.
const WARM_UP: u64 = 2000;

/// Tries before the length of a slice is known.
const TRIES: usize = 5;

/// Nanoseconds per call of one contender, round by round.
pub(crate) struct Series {
    pub(crate) who: Who,
    pub(crate) what: String,
    pub(crate) one: Vec<f64>,
    pub(crate) two: Vec<f64>,
}

/// Lets all of them run, `rounds` times, each for about `slice` at one thread and at two; in each round all loops are at the
/// same placement, in the next at another.
pub(crate) fn run(
    contenders: &[Box<dyn Contender>],
    rounds: usize,
    slice: Duration,
    bar: &ProgressBar,
) -> Result<Vec<Series>> {
    let mut lengths = Vec::new();
    let mut series = Vec::new();
    for contender in contenders {
        lengths.push((
            length(slice, |calls| alone(&**contender, 0, calls))?,
            length(slice, |calls| together(&**contender, 0, calls))?,
        ));
        series.push(Series {
            who: contender.who(),
            what: contender.what(),
            one: Vec::new(),
            two: Vec::new(),
        });
    }
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            // Nobody always comes after the same neighbour's leavings at the same time of the round.
            let at = (turn + round) % contenders.len();
            let contender = &*contenders[at];
            series[at].one.push(alone(contender, round, lengths[at].0)?);
            series[at]
                .two
                .push(together(contender, round, lengths[at].1)?);
            bar.inc(1);
        }
    }
    Ok(series)
}

/// How many calls fill the slice.
fn length(slice: Duration, run: impl Fn(u64) -> Result<f64>) -> Result<u64> {
    let mut calls = 100;
    loop {
        // The best of some: whoever is interrupted meanwhile looks slow, and would be given a moment only.
        let mut tries = Vec::new();
        for _ in 0..TRIES {
            tries.push(run(calls)?);
        }
        let took = least(&tries) * calls as f64;
        let wanted = slice.as_nanos() as f64;
        if took * 8.0 >= wanted {
            return Ok((calls as f64 * wanted / took).max(1.0) as u64);
        }
        calls *= 4;
    }
}

/// Nanoseconds per call on this thread.
fn alone(contender: &dyn Contender, placement: usize, calls: u64) -> Result<f64> {
    let mut caller = contender.caller()?;
    let first = caller.chain(placement, WARM_UP.min(calls), 0);
    let began = Instant::now();
    black_box(caller.chain(placement, calls, first));
    Ok(began.elapsed().as_nanos() as f64 / calls as f64)
}

/// Nanoseconds per call of each of two threads that begin at the same time: from the first beginning to the last end.
fn together(contender: &dyn Contender, placement: usize, calls: u64) -> Result<f64> {
    let waiting = AtomicUsize::new(THREADS);
    let processors = processors()?;
    let one_thread = |number: usize| -> Result<(Instant, Instant)> {
        let made = pin_to(processors[number % processors.len()]).and_then(|()| contender.caller());
        let mut caller = match made {
            Ok(caller) => caller,
            Err(error) => {
                waiting.fetch_sub(1, Ordering::AcqRel);
                return Err(error);
            }
        };
        let first = caller.chain(placement, WARM_UP.min(calls), 0);
        waiting.fetch_sub(1, Ordering::AcqRel);
        while waiting.load(Ordering::Acquire) > 0 {
            spin_loop();
        }
        let began = Instant::now();
        black_box(caller.chain(placement, calls, first));
        Ok((began, Instant::now()))
    };
    let times = thread::scope(|scope| {
        let one_thread = &one_thread;
        let threads: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || one_thread(number)))
            .collect();
        let joined = threads.into_iter().map(|thread| {
            let ended = thread.join().map_err(|_| anyhow!("a caller has panicked"));
            ended.and_then(|times| times)
        });
        joined.collect::<Result<Vec<_>>>()
    })?;
    let began = times.iter().map(|(began, _)| *began).min();
    let ended = times.iter().map(|(_, ended)| *ended).max();
    let took = ended.zip(began).map(|(ended, began)| ended - began);
    Ok(took.unwrap_or_default().as_nanos() as f64 / calls as f64)
}

/// The processors that this process may use.
fn processors() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    let processors = (0..CpuSet::MAX_CPU).filter(|&number| set.is_set(number));
    Ok(processors.collect())
}

/// Keeps this thread on one processor: two that share one would take turns, and never meet.
fn pin_to(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    Ok(sched_setaffinity(None, &set)?)
}

/// The middle of them; `NaN` where there are none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return f64::NAN;
    };
    f64::midpoint(values[last / 2], values[last.div_ceil(2)])
}

/// The mean of each placement's least time: what the machine gives when nobody else wants it, wherever a loop lies.
pub(crate) fn undisturbed(values: &[f64]) -> f64 {
    let of_each = (0..PLACEMENTS).map(|placement| {
        let there = values.iter().copied().skip(placement).step_by(PLACEMENTS);
        least(&there.collect::<Vec<_>>())
    });
    of_each.sum::<f64>() / PLACEMENTS as f64
}

/// The least of them.
pub(crate) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The middle of the ratios of each round.
pub(crate) fn ratio(above: &[f64], below: &[f64]) -> f64 {
    median(above.iter().zip(below).map(|(above, below)| above / below))
}
