//! Places: how many calls may run on the listener's own threads at once, and what happens when they stay.
//!
//! A call that is known to be short runs where its connection is answered. Should it hang for once, that thread is lost
//! until it returns; so there is one place fewer than there are threads. And one thread more must learn that it has to look
//! after the connections now, since the lost one would have done it: an async runtime wakes a thread only when it is given
//! something to do. A *watcher* gives it that: when, from one look to the next, calls have stayed in their places and none has
//! come or gone, it wakes a thread. While no place is taken, the watcher sleeps.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

/// How soon the watcher looks again where calls stay; twice as late each time nothing has changed.
const SOON: Duration = Duration::from_millis(5);
/// How late it looks at the latest.
const LATE: Duration = Duration::from_secs(1);

/// How many calls may run on the listener's threads at once. Dropping it ends the watcher.
#[derive(Debug)]
pub(crate) struct Places {
    most: u64,
    counts: Arc<Counts>,
    watcher: Thread,
}

#[derive(Debug, Default)]
struct Counts {
    taken: AtomicU64,
    given_back: AtomicU64,
    watcher_sleeps: AtomicBool,
    is_over: AtomicBool,
}

/// A call that runs on a thread of the listener's.
pub(crate) struct Place<'a>(&'a Counts);

impl Places {
    /// So many places; `wake` is to wake a thread of the listener's.
    pub(crate) fn new(most: usize, wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        let counts = Arc::new(Counts::default());
        let watched = Arc::clone(&counts);
        let watcher = thread::Builder::new()
            .name("host-http-watch".to_owned())
            .spawn(move || watch(&watched, &wake))?;
        Ok(Places {
            most: most as u64,
            counts,
            watcher: watcher.thread().clone(),
        })
    }

    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<Place<'_>> {
        let counts = &*self.counts;
        let before = counts.taken.fetch_add(1, Ordering::SeqCst);
        // Given back when it is dropped, whether it may be used or not.
        let place = Place(counts);
        if counts.watcher_sleeps.load(Ordering::SeqCst)
            && counts.watcher_sleeps.swap(false, Ordering::SeqCst)
        {
            self.watcher.unpark();
        }
        let given_back = counts.given_back.load(Ordering::SeqCst);
        (before.saturating_sub(given_back) < self.most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.given_back.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.counts.is_over.store(true, Ordering::SeqCst);
        self.watcher.unpark();
    }
}

fn watch(counts: &Counts, wake: &impl Fn()) {
    let mut seen = 0;
    let mut pause = SOON;
    while !counts.is_over.load(Ordering::SeqCst) {
        let taken = counts.taken.load(Ordering::SeqCst);
        let is_any_taken = taken != counts.given_back.load(Ordering::SeqCst);
        if taken != seen {
            (seen, pause) = (taken, SOON);
            thread::park_timeout(pause);
        } else if is_any_taken {
            wake();
            pause = (pause * 2).min(LATE);
            thread::park_timeout(pause);
        } else {
            counts.watcher_sleeps.store(true, Ordering::SeqCst);
            // Whoever has taken a place before the store is seen here; who does after it wakes this thread.
            if counts.taken.load(Ordering::SeqCst) == seen && !counts.is_over.load(Ordering::SeqCst)
            {
                thread::park();
            }
            counts.watcher_sleeps.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn places_are_bounded_and_given_back() {
        let places = Places::new(2, || {}).unwrap();
        let (first, second) = (places.take(), places.take());
        assert!(first.is_some() && second.is_some());
        assert!(places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
        drop(second);
    }

    #[test]
    fn a_thread_is_woken_for_one_that_stays_in_its_place_and_again_for_the_next() {
        let (woken, is_woken) = mpsc::channel();
        // An error means that the test has ended already.
        let places = Places::new(2, move || woken.send(()).unwrap_or(())).unwrap();
        for _ in 0..3 {
            let stays = places.take();
            is_woken.recv().unwrap();
            drop(stays);
        }
    }

    #[test]
    fn the_watcher_ends_with_the_places() {
        let (woken, is_woken) = mpsc::channel::<()>();
        let places = Places::new(1, move || woken.send(()).unwrap_or(())).unwrap();
        drop(places.take());
        drop(places);
        // The sender is dropped with the watcher.
        while is_woken.recv().is_ok() {}
    }
}
