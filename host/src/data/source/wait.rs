//! Waiting without a thread: how a source whose client is `async` waits for its server and its bell at once.
//!
//! Such a source still has a thread of its own, and on it a runtime of its own: whatever its client has running there ends
//! with [`Source::follow`](super::Source::follow). While the publisher decides on a delivery, that runtime stands still.

use super::{Inbox, Wake};
use anyhow::{Context as _, Result};
use crossbeam_channel::TryRecvError;
use std::{
    future::{Future, poll_fn},
    task::{Context, Poll},
};

/// Does `work` on the calling thread until it fails, or the inbox has ended.
///
/// # Errors
/// What `work` fails with.
pub(super) fn on_this_thread(inbox: &Inbox, work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("making a runtime for the source")?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            () = inbox.end() => Ok(()),
            outcome = work => outcome,
        }
    });
    // What the client has left to be done waits for nobody.
    runtime.shutdown_background();
    outcome
}

impl Inbox {
    /// Waits for the bell: [`Wake::Rung`] or [`Wake::Ended`].
    pub(super) async fn rung(&self) -> Wake {
        poll_fn(|context| self.poll_rung(context)).await
    }

    fn poll_rung(&self, context: &Context<'_>) -> Poll<Wake> {
        // In this order: a ring in between wakes.
        self.wakes(context);
        match self.bell.try_recv() {
            Ok(()) => Poll::Ready(Wake::Rung),
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => Poll::Ready(Wake::Ended),
        }
    }

    /// Waits until the source is to end.
    async fn end(&self) {
        poll_fn(|context| {
            self.wakes(context);
            if self.ended() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn wakes(&self, context: &Context<'_>) {
        if let Ok(dataset) = self.dataset() {
            dataset.wakes(context.waker());
        }
    }
}
