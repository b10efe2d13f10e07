//! The workers: a bounded number of threads that run calls, behind a bounded queue for each plugin.
//!
//! Calls that come over the network, and those of timers, run here. Each plugin has a *lane*: the errands that wait, and
//! how many of its run. A plugin may have a *share* of the threads and no more: however many of its calls hang, or wait at
//! a closed gate, the others' go on. Lanes take turns, so that a long queue of one plugin holds up no other.
//!
//! Each worker comes by when it is [woken], so that a plugin's thread-locals on it do not hold the plugin's library.
//!
//! [woken]: Workers::wake

use crate::foreign::interpose;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{HashMap, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
};

/// A call to be run.
pub(crate) type Errand = Box<dyn FnOnce() + Send>;

/// How much there may be at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Threads.
    pub(crate) threads: usize,
    /// Threads that the errands of one plugin may hold.
    pub(crate) share: usize,
    /// Errands of one plugin that may wait.
    pub(crate) queue: usize,
}

/// Threads that run calls. [`Workers::end`] lets the threads end.
pub(crate) struct Workers(Arc<Office>);

/// The queue is full, or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Where the workers get their errands.
struct Office {
    bounds: Bounds,
    book: Mutex<Book>,
    changed: Condvar,
}

#[derive(Default)]
struct Book {
    lanes: HashMap<Arc<str>, Lane>,
    /// The lanes that have an errand to be run now, each once, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    /// How often the workers were told to come by.
    rung: u64,
    has_ended: bool,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Errand>,
    running: usize,
    /// Whether it stands in `turns`.
    has_turn: bool,
}

impl Workers {
    /// Starts the workers. Also gives their handles.
    pub(crate) fn start(bounds: Bounds) -> io::Result<(Workers, Vec<JoinHandle<()>>)> {
        let office = Arc::new(Office {
            bounds,
            book: Mutex::default(),
            changed: Condvar::new(),
        });
        let workers = Workers(Arc::clone(&office));
        let start = |number| {
            let office = Arc::clone(&office);
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || office.work())
        };
        let handles: io::Result<Vec<_>> = (1..=bounds.threads).map(start).collect();
        if handles.is_err() {
            workers.end();
        }
        Ok((workers, handles?))
    }

    /// Puts an errand of this plugin into its queue.
    pub(crate) fn submit(&self, plugin: &Arc<str>, errand: Errand) -> Result<(), Full> {
        let Office {
            bounds,
            book,
            changed,
        } = &*self.0;
        let mut book = book.lock();
        if book.has_ended {
            return Err(Full);
        }
        let Book { lanes, turns, .. } = &mut *book;
        let lane = lanes.entry(Arc::clone(plugin)).or_default();
        if lane.waiting.len() >= bounds.queue {
            return Err(Full);
        }
        lane.waiting.push_back(errand);
        if lane.takes_turn(bounds.share) {
            turns.push_back(Arc::clone(plugin));
            changed.notify_one();
        }
        Ok(())
    }

    /// Takes no more errands; the workers end when those that wait have been run.
    pub(crate) fn end(&self) {
        self.0.book.lock().has_ended = true;
        self.0.changed.notify_all();
    }

    /// Makes every idle worker come by; a busy one does when its call has ended.
    pub(crate) fn wake(&self) {
        self.0.book.lock().rung += 1;
        self.0.changed.notify_all();
    }
}

impl Lane {
    /// Whether it is to be put among the turns now.
    fn takes_turn(&mut self, share: usize) -> bool {
        let takes = !self.has_turn && !self.waiting.is_empty() && self.running < share;
        self.has_turn |= takes;
        takes
    }
}

/// What a worker is to do next.
enum Next {
    Run(Arc<str>, Errand),
    ComeBy,
    End,
}

impl Office {
    fn work(&self) {
        let mut seen = 0;
        loop {
            match self.next(&mut seen) {
                Next::Run(plugin, errand) => {
                    // An embedding program's answer is part of it, and may panic: that must not cost a worker.
                    if catch_unwind(AssertUnwindSafe(errand)).is_err() {
                        tracing::error!("what was to be done with a call's answer panicked");
                    }
                    self.has_run(&plugin);
                }
                Next::ComeBy => {}
                Next::End => return,
            }
            interpose::visit();
        }
    }

    /// Waits for the next thing to do. `seen` is how often this worker was told to come by.
    fn next(&self, seen: &mut u64) -> Next {
        let mut book = self.book.lock();
        loop {
            if let Some((plugin, errand)) = book.take(self.bounds.share) {
                if !book.turns.is_empty() {
                    self.changed.notify_one();
                }
                return Next::Run(plugin, errand);
            }
            if book.has_ended && book.lanes.values().all(|lane| lane.waiting.is_empty()) {
                return Next::End;
            }
            if book.rung != *seen {
                *seen = book.rung;
                return Next::ComeBy;
            }
            self.changed.wait(&mut book);
        }
    }

    fn has_run(&self, plugin: &Arc<str>) {
        let mut book = self.book.lock();
        let Book { lanes, turns, .. } = &mut *book;
        let Some(lane) = lanes.get_mut(plugin) else {
            return;
        };
        lane.running -= 1;
        if lane.takes_turn(self.bounds.share) {
            turns.push_back(Arc::clone(plugin));
        } else if lane.running == 0 && lane.waiting.is_empty() {
            lanes.remove(plugin);
        }
        if book.has_ended {
            self.changed.notify_all();
        }
    }
}

impl Book {
    /// The errand whose turn it is.
    fn take(&mut self, share: usize) -> Option<(Arc<str>, Errand)> {
        let plugin = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&plugin)?;
        lane.has_turn = false;
        let errand = lane.waiting.pop_front()?;
        lane.running += 1;
        if lane.takes_turn(share) {
            self.turns.push_back(Arc::clone(&plugin));
        }
        Some((plugin, errand))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn start(threads: usize, share: usize, queue: usize) -> (Workers, Vec<JoinHandle<()>>) {
        let bounds = Bounds {
            threads,
            share,
            queue,
        };
        Workers::start(bounds).expect("threads can be started")
    }

    fn end(workers: &Workers, handles: Vec<JoinHandle<()>>) {
        workers.end();
        for handle in handles {
            handle.join().expect("workers end");
        }
    }

    /// An errand that says it has begun, and waits until the other sender is gone.
    fn held(begun: &mpsc::Sender<()>) -> (Errand, mpsc::Sender<()>) {
        let (go, wait) = mpsc::channel::<()>();
        let begun = begun.clone();
        let errand = move || {
            begun.send(()).expect("the test waits");
            let _ = wait.recv();
        };
        (Box::new(errand), go)
    }

    #[test]
    fn a_full_queue_turns_errands_away_and_what_was_taken_is_run() {
        let (workers, handles) = start(1, 1, 1);
        let plugin = Arc::from("a");
        let (begun, has_begun) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let (errand, go) = held(&begun);
        workers.submit(&plugin, errand).expect("the queue is empty");
        has_begun.recv().expect("it begins");
        workers
            .submit(
                &plugin,
                Box::new(move || done.send(()).expect("the test waits")),
            )
            .expect("one may wait");
        assert_eq!(workers.submit(&plugin, Box::new(|| {})), Err(Full));
        drop(go);
        is_done.recv().expect("it is run");
        end(&workers, handles);
        assert_eq!(workers.submit(&plugin, Box::new(|| {})), Err(Full));
    }

    #[test]
    fn a_panic_costs_no_worker() {
        let (workers, handles) = start(1, 1, 2);
        let plugin = Arc::from("a");
        workers
            .submit(&plugin, Box::new(|| panic!("on purpose")))
            .expect("there is room");
        let (done, is_done) = mpsc::channel();
        workers
            .submit(
                &plugin,
                Box::new(move || done.send(()).expect("the test waits")),
            )
            .expect("there is room");
        is_done.recv().expect("it is run");
        end(&workers, handles);
    }

    #[test]
    fn a_plugin_whose_errands_hang_holds_its_share_of_the_threads_and_of_the_queue_only() {
        let (workers, handles) = start(3, 2, 2);
        let (hanging, other) = (Arc::from("hanging"), Arc::from("other"));
        let (begun, has_begun) = mpsc::channel();
        let mut held_back = Vec::new();
        for number in 1..=4 {
            let (errand, go) = held(&begun);
            held_back.push(go);
            workers.submit(&hanging, errand).expect("there is room");
            if number <= 2 {
                has_begun.recv().expect("it begins");
            }
        }
        assert_eq!(workers.submit(&hanging, Box::new(|| {})), Err(Full));
        let (done, is_done) = mpsc::channel();
        for _ in 0..10 {
            let done = done.clone();
            workers
                .submit(
                    &other,
                    Box::new(move || done.send(()).expect("the test waits")),
                )
                .expect("there is room");
            is_done.recv().expect("the other plugin's errands are run");
        }
        assert!(has_begun.try_recv().is_err(), "more than its share runs");
        drop(held_back);
        end(&workers, handles);
        assert_eq!(has_begun.try_iter().count(), 2, "what waited was run");
    }

    #[test]
    fn idle_workers_come_by_when_they_are_woken_and_end_when_they_are_told() {
        let (workers, handles) = start(4, 4, 1);
        workers.wake();
        workers.wake();
        end(&workers, handles);
    }
}
