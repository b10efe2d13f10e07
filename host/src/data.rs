//! Hot data: what plugins depend on that changes while they run, apart from their code.
//!
//! It stands in *datasets*, which an operator declares. A *source* brings content; the *publisher* decides whether it
//! becomes a *revision*: received, parsed, validated, checked, written to the *ledger*, and then published in one step as
//! part of a new *snapshot* of all datasets. What is refused on the way leaves the last good revision serving, and stands
//! beside it with its position and reason. Older revisions are kept, and can be gone back to.
//!
//! # Who may touch what
//! Readers take the snapshot, a pointer, and wait for nobody. Each source has a thread of its own and waits in its inbox
//! while the publisher decides; decisions are made one at a time, whoever asks for them.

mod audience;
mod content;
mod dataset;
mod demand;
#[expect(unsafe_code, reason = "leads threads to what they hold without a lock")]
mod entry;
mod face;
mod format;
#[expect(unsafe_code, reason = "leads threads to what they hold without a lock")]
mod frame;
mod health;
mod herald;
mod last_good;
mod ledger;
mod operator;
mod prepared;
mod publisher;
mod reader;
mod revision;
mod schema;
mod snapshot;
pub(crate) mod source;
#[cfg(test)]
mod tests;
mod triggers;

pub(crate) use audience::Cast;
pub(crate) use content::{crossing, mistake};
pub use dataset::{
    Applied, DatasetStatus, ReaderStatus, Received, Refusal, SourceState, SourceStatus, Stage,
};
pub use face::{DataError, DataReport, DatasetChange};
pub use format::{Format, Mistake, Position};
pub(crate) use frame::{Scope, leave_what_is_over, open as open_frame};
pub(crate) use herald::Messenger;
pub(crate) use operator::Wanted;
pub(crate) use publisher::{Publisher, Refused};
pub(crate) use reader::{Reader, Title};
pub use revision::{Origin, Revision, RevisionRecord};
pub(crate) use schema::Schema;
pub use snapshot::{Snapshot, View};
pub use triggers::TriggerReport;

use crate::{announce::Announcer, clock::Clock, config::DatasetConfig};
use anyhow::Result;
use ledger::Ledger;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Weak},
    thread::JoinHandle,
    time::Duration,
};

/// How often it is looked whether something has become stale, at most and at least.
const LOOKS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The datasets of a host.
pub(crate) struct Data(Arc<Publisher>);

impl Data {
    /// Opens the datasets; each holds the last good revision that is on disk.
    ///
    /// # Errors
    /// The ledger cannot be read, or a schema cannot be used.
    pub(crate) fn open(
        declared: &BTreeMap<String, DatasetConfig>,
        state_dir: &Path,
        announcer: Arc<Announcer>,
    ) -> Result<Data> {
        let ledger = Ledger::open(&state_dir.join("data.redb"))?;
        Ok(Data(Arc::new(Publisher::open(
            declared, ledger, announcer,
        )?)))
    }

    /// The publisher.
    pub(crate) fn publisher(&self) -> &Publisher {
        &self.0
    }

    /// How the datasets stand, by name.
    pub(crate) fn statuses(&self) -> Vec<DatasetStatus> {
        let places = 0..self.0.datasets().len();
        places.filter_map(|place| self.0.status(place)).collect()
    }

    /// Follows the sources, and waits for those that are required. Gives the threads; they end after [`Data::end`].
    ///
    /// # Errors
    /// A source cannot be made, or was required and not heard in time. The threads that run by then are ended.
    pub(crate) fn follow(&self, clock: &Clock) -> Result<Vec<JoinHandle<()>>> {
        let threads = source::follow_all(&self.0);
        let heard = threads.and_then(|threads| {
            self.0.wait_for_required()?;
            Ok(threads)
        });
        let datasets = self.0.datasets().iter();
        if let Some(soonest) = datasets
            .filter_map(|dataset| dataset.config.stale_after)
            .min()
        {
            let publisher: Weak<Publisher> = Arc::downgrade(&self.0);
            let look = move || publisher.upgrade().iter().for_each(|it| it.say_stale());
            let period = (soonest / 4).clamp(LOOKS.0, LOOKS.1);
            clock.add(period, Some(period), Arc::new(look));
        }
        heard.inspect_err(|_| self.end())
    }

    /// Asks every source for its truth once more.
    pub(crate) fn ring(&self) {
        self.0.datasets().iter().for_each(dataset::Dataset::ring);
    }

    /// Lets the sources end. What is held is held on.
    pub(crate) fn end(&self) {
        for dataset in self.0.datasets() {
            dataset.end();
        }
    }
}
