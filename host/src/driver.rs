//! The driver: takes a future to its end on the calling thread, for callers who wait with a thread.

use crate::foreign::interpose;
use parking_lot::{Condvar, Mutex};
use std::{
    cell::Cell,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// How long a waiting thread keeps to itself what it may hold of plugins' libraries.
const SLICE: Duration = Duration::from_millis(250);

thread_local! {
    static DRIVES: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread polls for a caller who waits with it. It may be kept waiting, then.
pub(crate) fn may_wait() -> bool {
    DRIVES.get()
}

/// Takes `future` to its end.
pub(crate) fn drive<F: Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        let before = DRIVES.replace(true);
        let polled = future.as_mut().poll(&mut context);
        DRIVES.set(before);
        if let Poll::Ready(output) = polled {
            return output;
        }
        while !bell.rings_within(SLICE) {
            // What was called on this thread may be on its way out since.
            interpose::visit();
        }
    }
}

/// Wakes a driver. No `Thread`, since the standard library may not know one that is past its thread-locals.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    fn rings_within(&self, limit: Duration) -> bool {
        let mut rung = self.rung.lock();
        if !*rung {
            self.rings.wait_for(&mut rung, limit);
        }
        std::mem::take(&mut *rung)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock() = true;
        self.rings.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn a_future_that_is_woken_by_another_thread_comes_to_its_end() {
        let mut waker = None;
        let output = drive(poll_fn(|context| {
            if waker.replace(context.waker().clone()).is_some() {
                return Poll::Ready(7);
            }
            let waker = context.waker().clone();
            std::thread::spawn(move || waker.wake());
            Poll::Pending
        }));
        assert_eq!(output, 7);
        assert!(!may_wait());
    }
}
