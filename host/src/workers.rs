//! The workers: a bounded number of threads that run calls, behind a bounded queue.
//!
//! Calls that come over the network, and those of timers, run here. Each worker comes by when it is [woken], so that a
//! plugin's thread-locals on it do not hold the plugin's library.
//!
//! [woken]: Workers::wake

use crate::foreign::interpose;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};
use parking_lot::RwLock;
use std::{io, thread::JoinHandle};

/// A call to be run.
pub(crate) type Errand = Box<dyn FnOnce() + Send>;

/// Threads that run calls. [`Workers::end`] lets the threads end.
pub(crate) struct Workers {
    errands: RwLock<Option<Sender<Errand>>>,
    bells: Vec<Sender<()>>,
}

/// The queue is full, or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Workers {
    /// Starts `threads` workers, behind a queue of `queue` errands. Also gives their handles.
    pub(crate) fn start(
        threads: usize,
        queue: usize,
    ) -> io::Result<(Workers, Vec<JoinHandle<()>>)> {
        let (errands, waiting) = bounded(queue);
        let mut bells = Vec::new();
        let mut handles = Vec::new();
        for number in 1..=threads {
            let (bell, rung) = bounded(1);
            let waiting = waiting.clone();
            handles.push(
                std::thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || work(&waiting, &rung))?,
            );
            bells.push(bell);
        }
        let errands = RwLock::new(Some(errands));
        Ok((Workers { errands, bells }, handles))
    }

    /// Puts an errand into the queue.
    pub(crate) fn submit(&self, errand: Errand) -> Result<(), Full> {
        let errands = self.errands.read();
        errands
            .as_ref()
            .ok_or(Full)?
            .try_send(errand)
            .map_err(|(TrySendError::Full(_) | TrySendError::Disconnected(_))| Full)
    }

    /// Takes no more errands; the workers end when the queue is empty.
    pub(crate) fn end(&self) {
        *self.errands.write() = None;
    }

    /// Makes every idle worker come by; a busy one does when its call has ended.
    pub(crate) fn wake(&self) {
        for bell in &self.bells {
            // A bell that rings already is enough.
            let _rings = bell.try_send(());
        }
    }
}

fn work(waiting: &Receiver<Errand>, rung: &Receiver<()>) {
    loop {
        select! {
            recv(waiting) -> errand => match errand {
                // The errand of a caller who must not see a panic: what can panic is caught further in.
                Ok(errand) => errand(),
                Err(_) => return,
            },
            recv(rung) -> _ => {}
        }
        interpose::visit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_full_queue_turns_errands_away_and_what_was_taken_is_run() {
        let (workers, handles) = Workers::start(1, 1).expect("threads can be started");
        let (go, wait) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        workers
            .submit(Box::new(move || {
                begun.send(()).expect("the test waits");
                let _ = wait.recv();
            }))
            .expect("the queue is empty");
        has_begun.recv().expect("it begins");
        workers
            .submit(Box::new(move || done.send(()).expect("the test waits")))
            .expect("one may wait");
        assert_eq!(workers.submit(Box::new(|| {})), Err(Full));
        drop(go);
        is_done.recv().expect("it is run");
        workers.end();
        for handle in handles {
            handle.join().expect("workers end");
        }
    }
}
