//! The clock: fires timers, each at its time, on one thread that never runs anything long.

use parking_lot::{Condvar, Mutex};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Stopped timers that may be kept until their time comes, beside as many as there are others.
const SURPLUS: usize = 64;

/// What a timer does when its time has come. It must not wait for anything but short locks.
type Fire = Arc<dyn Fn() + Send + Sync>;

/// Fires timers. [`Clock::end`] lets its thread end.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Face>);

#[derive(Default)]
struct Face {
    hands: Mutex<Hands>,
    changed: Condvar,
}

#[derive(Default)]
struct Hands {
    last: u64,
    ended: bool,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    timers: HashMap<u64, Timer>,
}

struct Timer {
    period: Option<Duration>,
    fire: Fire,
}

impl Clock {
    /// Starts the clock's thread.
    pub(crate) fn start() -> io::Result<(Clock, JoinHandle<()>)> {
        let clock = Clock(Arc::new(Face::default()));
        let face = Arc::clone(&clock.0);
        let thread = std::thread::Builder::new()
            .name("clock".to_owned())
            .spawn(move || face.run())?;
        Ok((clock, thread))
    }

    /// Fires after `delay`, and then every `period` if there is one. Gives the timer's number.
    pub(crate) fn add(&self, delay: Duration, period: Option<Duration>, fire: Fire) -> u64 {
        let mut hands = self.0.hands.lock();
        hands.last += 1;
        let number = hands.last;
        // A time too far off for the clock is never.
        if let Some(due) = Instant::now().checked_add(delay) {
            hands.due.push(Reverse((due, number)));
            hands.timers.insert(number, Timer { period, fire });
        }
        self.0.changed.notify_one();
        number
    }

    /// Stops a timer; one that is gone already is no fault.
    pub(crate) fn remove(&self, number: u64) {
        let mut hands = self.0.hands.lock();
        hands.timers.remove(&number);
        // What was stopped would wait for its time otherwise, which may be far off.
        if hands.due.len() > 2 * hands.timers.len() + SURPLUS {
            let Hands { due, timers, .. } = &mut *hands;
            due.retain(|Reverse((_, number))| timers.contains_key(number));
        }
    }

    /// Stops all timers and lets the thread end.
    pub(crate) fn end(&self) {
        let mut hands = self.0.hands.lock();
        hands.ended = true;
        hands.timers.clear();
        self.0.changed.notify_one();
    }
}

impl Face {
    fn run(&self) {
        let mut hands = self.hands.lock();
        while !hands.ended {
            let Some(&Reverse((due, number))) = hands.due.peek() else {
                self.changed.wait(&mut hands);
                continue;
            };
            let now = Instant::now();
            if now < due {
                self.changed.wait_until(&mut hands, due);
                continue;
            }
            hands.due.pop();
            let Some(timer) = hands.timers.get(&number) else {
                continue;
            };
            let (fire, period) = (Arc::clone(&timer.fire), timer.period);
            // Firings that the clock is behind with are left out, not made up for.
            match period.and_then(|period| {
                let next = due.checked_add(period)?;
                if next > now {
                    Some(next)
                } else {
                    now.checked_add(period)
                }
            }) {
                Some(next) => hands.due.push(Reverse((next, number))),
                None => drop(hands.timers.remove(&number)),
            }
            parking_lot::MutexGuard::unlocked(&mut hands, || fire());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn timers_fire_in_order_again_and_again_until_they_are_stopped() {
        let (clock, thread) = Clock::start().expect("threads can be started");
        let (sender, fired) = mpsc::channel();
        let once = sender.clone();
        clock.add(
            Duration::from_millis(1),
            None,
            Arc::new(move || once.send("once").expect("the test waits")),
        );
        assert_eq!(fired.recv().expect("it fires"), "once");
        let number = clock.add(
            Duration::ZERO,
            Some(Duration::from_millis(1)),
            Arc::new(move || {
                let _the_test_has_seen_enough = sender.send("again");
            }),
        );
        for _ in 0..3 {
            assert_eq!(fired.recv().expect("it fires"), "again");
        }
        clock.remove(number);
        clock.end();
        thread.join().expect("the clock ends");
        // With the clock's senders gone, what is left in the channel ends.
        drop(clock);
        assert!(fired.iter().all(|word| word == "again"));
    }

    #[test]
    fn timers_that_are_stopped_long_before_their_time_leave_nothing_behind() {
        let (clock, thread) = Clock::start().expect("threads can be started");
        let hour = Duration::from_secs(3600);
        let kept = clock.add(hour, None, Arc::new(|| {}));
        for _ in 0..1_000 {
            clock.remove(clock.add(hour, None, Arc::new(|| {})));
        }
        let hands = clock.0.hands.lock();
        assert!(hands.due.len() <= SURPLUS + 3, "{}", hands.due.len());
        assert!(hands.due.iter().any(|Reverse((_, number))| *number == kept));
        drop(hands);
        clock.end();
        thread.join().expect("the clock ends");
    }
}
