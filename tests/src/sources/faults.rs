//! Faults, counted: what a plugin's calls see of a dataset while everything that can go wrong at its source goes wrong.
//!
//! After each fault the truth is changed once more, and has to be what calls see within the limit. Callers never pause for
//! long, and look twice in each call. Nothing here fails when a promise is broken: it is counted.

use super::{Truth, trial::Trial};
use crate::{artifact::Artifact, waiting::LIMIT};
use host::Host;
use serde::Serialize;
use std::{
    ops::AddAssign,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How many threads call.
const CALLERS: usize = 2;
/// How long a caller pauses after a call: fast enough to see every step, slow enough to leave the processors to the others.
const PAUSE: Duration = Duration::from_micros(50);
/// Microseconds between the two looks of a call.
const BETWEEN_LOOKS: &[u8] = b"20";
/// How many changes come at once in a burst.
const BURST: u64 = 1_000;

/// What can go wrong at a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server is killed, and started again.
    Killed,
    /// Its connections are cut.
    Cut,
    /// Its connections fall silent.
    Silent,
    /// What it brings is no content.
    Garbage,
    /// It changes faster than anything can be published.
    Burst,
}

/// All that can go wrong with a server.
pub const OF_A_SERVER: &[Fault] = &[
    Fault::Killed,
    Fault::Cut,
    Fault::Silent,
    Fault::Garbage,
    Fault::Burst,
];

/// What can go wrong with a file.
pub const OF_A_FILE: &[Fault] = &[Fault::Garbage, Fault::Burst];

/// What was done, and what calls saw.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Counts {
    /// Servers killed.
    pub killed: u64,
    /// Times that connections were cut.
    pub cut: u64,
    /// Times that connections fell silent.
    pub silent: u64,
    /// Contents that were none.
    pub garbage: u64,
    /// Changes made.
    pub changes: u64,
    /// Revisions published.
    pub revisions: u64,
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls whose two looks were not the same.
    pub mixed: u64,
    /// Calls that saw less than the one before in their thread.
    pub backwards: u64,
    /// Changes, of those that the truth rested at, that were never seen.
    pub lost: u64,
}

/// Counts at a kind of source, each fault so often, and tells of each round that is done. Each kind has one such function.
pub type Count = fn(u64, &mut dyn FnMut()) -> Counts;

/// Counts at this truth.
///
/// # Panics
/// When the host does not even begin to follow it.
pub fn count<T: Truth>(truth: T, faults: &[Fault], rounds: u64, done: &mut dyn FnMut()) -> Counts {
    let mut trial = Trial::of(truth, "/proc/self/exe");
    let mut counts = Counts::default();
    let mut number = 1;
    trial.truth.put(number);
    trial.holds(number);
    trial.scene.load(&trial.host, &Artifact::of("rates"));
    let first = revision(&trial.host);
    let callers: Vec<Caller> = (0..CALLERS).map(|_| Caller::of(&trial.host)).collect();
    for _ in 0..rounds {
        for fault in faults {
            number = strike(&mut trial, *fault, number, &mut counts) + 1;
            trial.truth.put(number);
            counts.changes += 1;
            counts.lost += u64::from(!is_seen(&trial.host, number));
        }
        done();
    }
    for caller in callers {
        counts += caller.end();
    }
    counts.revisions = revision(&trial.host) - first;
    counts
}

/// The number of the revision that is held.
fn revision(host: &Host) -> u64 {
    host.data("rates").map_or(0, |held| held.record.number)
}

/// Makes it go wrong; gives the number that was the truth last.
fn strike<T: Truth>(trial: &mut Trial<T>, fault: Fault, number: u64, counts: &mut Counts) -> u64 {
    match fault {
        Fault::Killed => {
            counts.killed += 1;
            trial.truth.server().kill();
            trial.truth.server().start_again();
        }
        Fault::Cut => {
            counts.cut += 1;
            trial.proxy.cut();
        }
        Fault::Silent => {
            counts.silent += 1;
            trial.proxy.freeze();
        }
        Fault::Garbage => {
            counts.garbage += 1;
            trial.truth.put_garbage();
        }
        Fault::Burst => {
            counts.changes += BURST;
            trial.truth.put_all(number + 1..number + 1 + BURST);
            return number + BURST;
        }
    }
    number
}

/// Whether a call sees this number before the limit has passed.
fn is_seen(host: &Host, number: u64) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        let seen = host.call("rates", "number", b"");
        if seen.is_ok_and(|reply| reply.result == number.to_string().into_bytes()) {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

/// A thread that calls.
struct Caller {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Counts>,
}

impl Caller {
    fn of(host: &Host) -> Self {
        let (host, ended) = (host.clone(), Arc::new(AtomicBool::new(false)));
        let for_thread = Arc::clone(&ended);
        let thread = thread::spawn(move || call(&host, &for_thread));
        Caller { ended, thread }
    }

    fn end(self) -> Counts {
        self.ended.store(true, Ordering::Release);
        self.thread.join().expect("a caller does not panic")
    }
}

fn call(host: &Host, ended: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    let mut last = 0;
    while !ended.load(Ordering::Acquire) {
        counts.calls += 1;
        let looks = host.call("rates", "twice", BETWEEN_LOOKS).ok();
        let looks = looks.and_then(|reply| serde_json::from_slice::<[u64; 2]>(&reply.result).ok());
        match looks {
            Some([before, after]) => {
                counts.mixed += u64::from(before != after);
                counts.backwards += u64::from(before < last);
                last = after;
            }
            None => counts.failed += 1,
        }
        thread::sleep(PAUSE);
    }
    counts
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.mixed += other.mixed;
        self.backwards += other.backwards;
    }
}
