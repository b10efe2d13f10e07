//! Threads: two that do the same at the same time, each on a processor of its own, timed as criterion wants it.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How many there are.
const THREADS: usize = 2;

/// The time from the first beginning to the last end, where each thread does its work so often. What `prepare` makes is a
/// thread's own, and is made before the clock starts.
pub(crate) fn together<W: FnMut()>(times: u64, prepare: impl Fn() -> W + Sync) -> Duration {
    let waiting = AtomicUsize::new(THREADS);
    let one_thread = |number: usize| {
        keep_to_one_processor(number);
        let mut work = prepare();
        work();
        waiting.fetch_sub(1, Ordering::AcqRel);
        while waiting.load(Ordering::Acquire) > 0 {
            std::hint::spin_loop();
        }
        let began = Instant::now();
        for _ in 0..times {
            work();
        }
        (began, Instant::now())
    };
    let times: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let one_thread = &one_thread;
        let threads: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || one_thread(number)))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("it is well");
        threads.into_iter().map(join).collect()
    });
    let began = times.iter().map(|(began, _)| *began).min();
    let ended = times.iter().map(|(_, ended)| *ended).max();
    let took = ended.zip(began).map(|(ended, began)| ended - began);
    took.expect("there are threads")
}

/// Two threads on one processor would take turns, and never meet.
fn keep_to_one_processor(number: usize) {
    let allowed = sched_getaffinity(None).expect("the kernel tells");
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|&processor| allowed.is_set(processor))
        .collect();
    let mut own = CpuSet::new();
    own.set(processors[number % processors.len()]);
    sched_setaffinity(None, &own).expect("it is one of those that are allowed");
}
