//! The happenings: the host's events on their way over HTTP, the last ones and, for those who follow, all further ones.

use axum::response::sse::{self, KeepAlive, Sse};
use crossbeam_channel::RecvTimeoutError;
use host::{
    Host,
    event::{Event, Happening},
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

/// How many may follow at a time: each has a thread.
const MOST_FOLLOWERS: usize = 64;
/// How long a follower's thread goes on after the follower has left, or the host has ended.
const LOOK_UP: Duration = Duration::from_millis(200);

/// A stream of events for one follower.
pub(crate) type Following =
    Sse<sse::KeepAliveStream<ReceiverStream<Result<sse::Event, Infallible>>>>;

/// Who may follow the events of a host, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Followers {
    seats: Arc<Semaphore>,
    ended: watch::Receiver<bool>,
}

impl Followers {
    /// Followers until `ended`.
    pub(crate) fn until(ended: watch::Receiver<bool>) -> Self {
        Followers {
            seats: Arc::new(Semaphore::new(MOST_FOLLOWERS)),
            ended,
        }
    }

    /// The last events and all further ones; `None` if too many follow already.
    pub(crate) fn follow(&self, host: Host) -> Option<Following> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        let (to, stream) = mpsc::channel(64);
        let ended = self.ended.clone();
        tokio::task::spawn_blocking(move || forward(&host, &to, &ended, seat));
        Some(Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::default()))
    }
}

fn forward(
    host: &Host,
    to: &mpsc::Sender<Result<sse::Event, Infallible>>,
    ended: &watch::Receiver<bool>,
    _seat: OwnedSemaphorePermit,
) {
    // The new ones first, so that nothing falls between; what is in both is told once.
    let further = host.follow();
    let mut told = 0;
    for event in host.events() {
        told = event.sequence;
        if to.blocking_send(Ok(as_sent(&event))).is_err() {
            return;
        }
    }
    loop {
        match further.recv_timeout(LOOK_UP) {
            Ok(event) if event.sequence <= told => {}
            Ok(event) => {
                let is_last = event.what == Happening::Stopped;
                if to.blocking_send(Ok(as_sent(&event))).is_err() || is_last {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) if to.is_closed() || *ended.borrow() => return,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn as_sent(event: &Event) -> sse::Event {
    let sent = sse::Event::default().id(event.sequence.to_string());
    match serde_json::to_string(event) {
        Ok(text) => sent.data(text),
        Err(error) => sent.comment(format!("an event could not be written: {error}")),
    }
}
