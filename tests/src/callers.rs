//! Callers at full speed: threads that call the steady counter with numbered calls, until they are told to stop.

use host::{CallError, Host};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

/// Threads that call at full speed.
#[derive(Debug)]
pub struct Callers {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<(u32, u64, Vec<CallError>)>>,
}

/// What the callers have seen.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls that were answered, by caller; all that were sent.
    pub answered: BTreeMap<u32, u64>,
    /// Calls that failed.
    pub errors: Vec<CallError>,
}

impl Callers {
    /// Starts `count` callers of `steady.increment`.
    #[must_use]
    pub fn start(host: &Host, count: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let threads = (1..=count)
            .map(|caller| {
                let (host, stop, answered) = (host.clone(), stop.clone(), answered.clone());
                std::thread::spawn(move || call(&host, caller, &stop, &answered))
            })
            .collect();
        Callers {
            stop,
            answered,
            threads,
        }
    }

    /// Calls answered so far, by all callers.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Lets the calls under way end, and gives what was seen.
    ///
    /// # Panics
    /// When a caller has panicked.
    #[must_use]
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for thread in self.threads {
            let (caller, answered, errors) = thread.join().expect("a caller does not panic");
            tally.answered.insert(caller, answered);
            tally.errors.extend(errors);
        }
        tally
    }
}

impl Tally {
    /// All calls that were answered.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.answered.values().sum()
    }
}

fn call(
    host: &Host,
    caller: u32,
    stop: &AtomicBool,
    all: &AtomicU64,
) -> (u32, u64, Vec<CallError>) {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let arguments = format!("[{caller},{}]", answered + 1);
        match host.call("steady", "increment", arguments.as_bytes()) {
            Ok(_) => {
                answered += 1;
                all.fetch_add(1, Ordering::Relaxed);
            }
            // After an error the numbers are out of step: there is nothing more to learn.
            Err(error) => return (caller, answered, vec![error]),
        }
    }
    (caller, answered, Vec::new())
}
