//! Jobs: work that a plugin gives to the host to run on a thread of the host's.

use crate::{
    contract::{Answer, Fault, FaultKind, JobControlBox, JobObject, JobObject_TO, JobObjectBox},
    guard::{drop_guarded, guard},
};
use abi_stable::{sabi_trait::TD_Opaque, std_types::RResult};
use std::time::Duration;

/// A running job, as its own code sees it; see [`Context::spawn`](crate::Context::spawn).
///
/// A job should end soon after it is cancelled: the library stays mapped until it does.
pub struct Job {
    control: JobControlBox,
}

impl Job {
    /// Whether the job should end now: its generation is on its way out.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.control.cancelled()
    }

    /// Sleeps for that long, or until the job is cancelled; says whether it was.
    #[must_use = "a cancelled job should end"]
    pub fn sleep(&self, duration: Duration) -> bool {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.control.sleep(nanoseconds)
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("cancelled", &self.cancelled())
            .finish()
    }
}

type Work = Box<dyn FnOnce(&Job) + Send>;

/// The work as the host holds it.
pub(crate) fn object(work: impl FnOnce(&Job) + Send + 'static) -> JobObjectBox {
    let errand = Errand {
        work: Some(Box::new(work)),
    };
    JobObject_TO::from_value(errand, TD_Opaque)
}

struct Errand {
    work: Option<Work>,
}

impl JobObject for Errand {
    fn run(&mut self, control: JobControlBox) -> Answer<()> {
        let outcome = guard(|| match self.work.take() {
            Some(work) => {
                work(&Job { control });
                Ok(())
            }
            None => Err(Fault::new(
                FaultKind::UNAVAILABLE,
                "the job has run already",
            )),
        });
        match outcome {
            Ok(()) => RResult::ROk(()),
            Err(fault) => RResult::RErr(fault),
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        // Work that was never run is dropped here; a panic of what it captured has nobody to go to.
        let _ = drop_guarded(self.work.take());
    }
}
