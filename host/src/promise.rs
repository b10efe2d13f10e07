//! A promise: an answer that one thread gives, and a future waits for.

use parking_lot::Mutex;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// The side that gives the answer. Dropping it breaks the promise.
pub(crate) struct Promise<T>(Arc<Mutex<State<T>>>);

/// The side that waits. Its output is nothing if the promise was broken.
pub(crate) struct Promised<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    answer: Option<T>,
    is_over: bool,
    waker: Option<Waker>,
}

/// A promise, and its future.
pub(crate) fn promise<T>() -> (Promise<T>, Promised<T>) {
    let state = Arc::new(Mutex::new(State {
        answer: None,
        is_over: false,
        waker: None,
    }));
    (Promise(Arc::clone(&state)), Promised(state))
}

impl<T> Promise<T> {
    /// Gives the answer.
    pub(crate) fn keep(self, answer: T) {
        self.0.lock().answer = Some(answer);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_over = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Promised<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        if state.is_over {
            return Poll::Ready(state.answer.take());
        }
        let before = state.waker.replace(context.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use crate::driver::drive;

    #[test]
    fn a_promise_is_kept_or_broken() {
        let (promise, promised) = super::promise();
        let thread = std::thread::spawn(move || promise.keep(7));
        assert_eq!(drive(promised), Some(7));
        thread.join().expect("no panic");
        let (promise, promised) = super::promise::<u8>();
        drop(promise);
        assert_eq!(drive(promised), None);
    }
}
