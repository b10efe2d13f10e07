//! Traffic: callers at a moderate rate, who go on whatever happens and count what fails.

use host::Host;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Failures that are kept in words; further ones are counted.
const KEPT: usize = 20;

/// What a caller asks again and again.
#[derive(Debug, Clone)]
pub struct Errand {
    /// The plugin.
    pub plugin: &'static str,
    /// The method.
    pub method: &'static str,
    /// The arguments, as JSON.
    pub arguments: Vec<u8>,
    /// The only right answer, if there is only one.
    pub expected: Option<Vec<u8>>,
}

/// Threads that call, one for each errand.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<(Errand, TrafficTally)>>,
}

/// What the callers have seen.
#[derive(Debug, Default)]
pub struct TrafficTally {
    /// Calls with a right answer, by plugin.
    pub answered: BTreeMap<&'static str, u64>,
    /// Calls that failed, or had a wrong answer.
    pub failed: u64,
    /// The first of these, in words.
    pub failures: Vec<String>,
}

impl TrafficTally {
    fn note_failure(&mut self, text: String) {
        self.failed += 1;
        if self.failures.len() < KEPT {
            self.failures.push(text);
        }
    }

    /// All calls with a right answer.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.answered.values().sum()
    }
}

impl Traffic {
    /// Starts a caller for each errand, with a pause between two calls.
    #[must_use]
    pub fn start(host: &Host, errands: Vec<Errand>, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = errands
            .into_iter()
            .map(|errand| {
                let (host, stop) = (host.clone(), Arc::clone(&stop));
                thread::spawn(move || {
                    let tally = call(&host, &errand, pause, &stop);
                    (errand, tally)
                })
            })
            .collect();
        Traffic { stop, threads }
    }

    /// Lets the calls under way end, and gives what was seen.
    #[must_use]
    pub fn stop(self) -> TrafficTally {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = TrafficTally::default();
        for thread in self.threads {
            match thread.join() {
                Ok((errand, tally)) => {
                    *sum.answered.entry(errand.plugin).or_default() += tally.total();
                    sum.failed += tally.failed;
                    sum.failures.extend(tally.failures);
                }
                Err(_) => sum.note_failure("a caller panicked".to_owned()),
            }
        }
        sum
    }
}

fn call(host: &Host, errand: &Errand, pause: Duration, stop: &AtomicBool) -> TrafficTally {
    let mut tally = TrafficTally::default();
    while !stop.load(Ordering::Relaxed) {
        let name = format!("{}.{}", errand.plugin, errand.method);
        match host.call(errand.plugin, errand.method, &errand.arguments) {
            Ok(reply)
                if errand
                    .expected
                    .as_ref()
                    .is_none_or(|right| *right == reply.result) =>
            {
                *tally.answered.entry(errand.plugin).or_default() += 1;
            }
            Ok(reply) => {
                let result = String::from_utf8_lossy(&reply.result).into_owned();
                tally.note_failure(format!("{name} answered {result}"));
            }
            Err(error) => tally.note_failure(format!("{name}: {error}")),
        }
        thread::sleep(pause);
    }
    tally
}
