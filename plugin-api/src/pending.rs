//! A pending call: an `async` method that has begun, as the host holds it.
//!
//! Its future owns a share in the author's value and a context of its own, so it borrows nothing of the plugin object.
//! It is polled and dropped inside the guard; a panic in it ends the call, and the future is dropped at once.

use crate::{
    contract::{Answer, Fault, FaultKind, PendingBox, PendingObject, PendingObject_TO},
    guard::{drop_guarded, guard},
    logging,
    task::Task,
};
use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RVec},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// The future of an `async` method, with its result as JSON text.
pub type Work = Pin<Box<dyn Future<Output = Result<Vec<u8>, Fault>> + Send>>;

/// A future as [`Work`].
pub fn work(future: impl Future<Output = Result<Vec<u8>, Fault>> + Send + 'static) -> Work {
    Box::pin(future)
}

/// The work as the host holds it.
pub(crate) fn object(work: Work, task: &Arc<Task>) -> PendingBox {
    let pending = Pending {
        work: Some(work),
        waker: Waker::from(Arc::clone(task)),
        task: Arc::clone(task),
    };
    PendingObject_TO::from_value(pending, TD_Opaque)
}

struct Pending {
    work: Option<Work>,
    waker: Waker,
    task: Arc<Task>,
}

impl Pending {
    fn end(&mut self) -> Result<(), Fault> {
        let outcome = drop_guarded(self.work.take());
        self.task.end();
        outcome
    }
}

impl PendingObject for Pending {
    fn poll(&mut self) -> ROption<Answer<RVec<u8>>> {
        let polled = guard(|| {
            self.task.take_done();
            let work = self.work.as_mut().ok_or_else(has_ended)?;
            Ok(work.as_mut().poll(&mut Context::from_waker(&self.waker)))
        });
        let outcome = match polled {
            Ok(Poll::Pending) => return ROption::RNone,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(fault) => Err(fault),
        };
        let ended = self.end();
        ROption::RSome(match outcome.and_then(|result| ended.map(|()| result)) {
            Ok(result) => RResult::ROk(result.into()),
            Err(fault) => RResult::RErr(fault),
        })
    }
}

fn has_ended() -> Fault {
    Fault::new(FaultKind::UNAVAILABLE, "the call has ended already")
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Nobody waits for its answer any more.
        if let Err(fault) = self.end() {
            logging::write(
                logging::ERROR,
                "plugin_api::panic",
                &format!("dropping a cancelled call panicked: {}", fault.message),
            );
        }
    }
}

#[cfg(test)]
mod tests;
