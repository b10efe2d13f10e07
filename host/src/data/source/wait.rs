//! Waiting without a thread: how a source whose client is `async` waits for its server and its bell at once.
//!
//! Such a source still has a thread of its own, and on it a runtime of its own: whatever its client has running there ends
//! with [`Source::follow`](super::Source::follow). While the publisher decides on a delivery, that runtime stands still.

use super::Inbox;
use anyhow::{Context as _, Result};
use std::{
    future::{Future, poll_fn},
    task::{Context, Poll},
};
use tokio::runtime::Runtime;

/// Does `work` on the calling thread until it fails, or the inbox has ended.
///
/// # Errors
/// What `work` fails with.
pub(super) fn on_this_thread(inbox: &Inbox, work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = a_runtime()?;
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

/// Does `work` on the calling thread, without an inbox.
///
/// # Errors
/// What `work` fails with.
#[cfg_attr(
    not(feature = "postgres"),
    expect(dead_code, reason = "only databases are told to do something")
)]
pub(super) fn once<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = a_runtime()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

fn a_runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("making a runtime for the source")
}

impl Inbox {
    /// Waits for the bell. After the end nothing rings any more, and [`on_this_thread`] ends whoever waits.
    pub(super) async fn rung(&self) {
        poll_fn(|context| {
            // In this order: a ring in between wakes.
            self.wakes(context);
            match self.bell.try_recv() {
                Ok(()) => Poll::Ready(()),
                Err(_) => Poll::Pending,
            }
        })
        .await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::SourceConfig,
        data::{publisher::Publisher, tests::Ground},
    };
    use anyhow::bail;
    use std::sync::Arc;

    fn inbox() -> (Arc<Publisher>, Inbox) {
        let ground = Ground::new(&["a"]);
        let publisher = Arc::new(ground.open());
        let config = SourceConfig::of("redis", []);
        let inbox = Inbox::new(&publisher, 0, &publisher.datasets()[0], &config);
        (publisher, inbox)
    }

    /// Whether the bell rings, now.
    async fn rings(inbox: &Inbox) -> bool {
        tokio::select! {
            biased;
            () = inbox.rung() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[test]
    fn after_the_end_nothing_rings_and_whoever_waits_is_ended() {
        let (publisher, inbox) = inbox();
        let work = async {
            publisher.datasets()[0].ring();
            inbox.rung().await;
            publisher.datasets()[0].end();
            assert!(!rings(&inbox).await);
            // As a source does that never asks whether it is to end.
            inbox.rung().await;
            bail!("it was not ended")
        };
        on_this_thread(&inbox, work).expect("it ends without an error");
    }

    #[test]
    fn a_source_that_fails_again_and_again_leaves_nothing_open() {
        let open = || {
            let all = std::fs::read_dir("/proc/self/fd").expect("it can be read");
            let all = all.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
            all.filter(|it| it.to_string_lossy().contains("eventpoll"))
                .count()
        };
        let (_publisher, inbox) = inbox();
        let before = open();
        for _ in 0..300 {
            let work = async {
                assert!(!rings(&inbox).await);
                bail!("on purpose")
            };
            on_this_thread(&inbox, work).expect_err("it fails");
        }
        // Other tests of this process have some too.
        let more = open().saturating_sub(before);
        assert!(more < 100, "{more} more are open");
    }
}
