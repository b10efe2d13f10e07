//! An alarm: ends the wait of a future at its deadline, by the host's clock.

use crate::clock::Clock;
use parking_lot::Mutex;
use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Poll, Waker},
    time::Instant,
};

/// The output of `future`, if there is one before `until`.
pub(crate) async fn before<F: Future>(
    until: Instant,
    clock: &Clock,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut alarm: Option<Alarm> = None;
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if Instant::now() >= until {
            return Poll::Ready(None);
        }
        match &alarm {
            Some(alarm) => alarm.wakes(context.waker()),
            None => alarm = Some(Alarm::set(clock, until, context.waker())),
        }
        Poll::Pending
    })
    .await
}

/// A timer that wakes somebody. Dropping it stops it.
struct Alarm {
    clock: Clock,
    timer: u64,
    sleeper: Arc<Mutex<Waker>>,
}

impl Alarm {
    fn set(clock: &Clock, until: Instant, waker: &Waker) -> Alarm {
        let sleeper = Arc::new(Mutex::new(waker.clone()));
        let theirs = Arc::clone(&sleeper);
        let fire = move || {
            let waker = theirs.lock().clone();
            waker.wake();
        };
        let delay = until.saturating_duration_since(Instant::now());
        Alarm {
            clock: clock.clone(),
            timer: clock.add(delay, None, Arc::new(fire)),
            sleeper,
        }
    }

    fn wakes(&self, waker: &Waker) {
        self.sleeper.lock().clone_from(waker);
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clock.remove(self.timer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::drive;
    use std::{future, time::Duration};

    #[test]
    fn a_wait_ends_at_its_deadline_and_an_output_before_it_is_given() {
        let (clock, thread) = Clock::start().expect("threads can be started");
        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(drive(before(soon, &clock, future::pending::<()>())), None);
        assert_eq!(drive(before(soon, &clock, future::ready(7))), Some(7));
        clock.end();
        thread.join().expect("the clock ends");
    }
}
