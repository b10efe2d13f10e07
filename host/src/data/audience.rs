//! The audience: all readers of the datasets of a host.
//!
//! They are asked before anything is published, and each prepares for it then. The generations that serve may refuse; a
//! candidate that cannot use it is marked unfit, and never serves; what is on its way out is not asked.

use super::{
    publisher::Publisher,
    reader::{Objection, Reader},
    snapshot::Snapshot,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Who changes with what is published, in one step.
#[derive(Default)]
pub(crate) struct Cast {
    /// Candidates that are to serve then: they have to fit it, and join the audience by it.
    pub(crate) joining: Vec<Arc<Reader>>,
    /// Generations that are to be replaced then: they are not asked.
    pub(crate) leaving: Vec<u64>,
}

/// All readers.
#[derive(Default)]
pub(crate) struct Audience(Mutex<Vec<Arc<Reader>>>);

impl Audience {
    /// All of them, in the order of their coming.
    pub(super) fn all(&self) -> Vec<Arc<Reader>> {
        self.0.lock().clone()
    }

    /// A candidate is one of them from now on.
    pub(super) fn join(&self, reader: &Arc<Reader>) {
        self.0.lock().push(Arc::clone(reader));
    }

    /// Those that serve and read the dataset in this place.
    pub(super) fn serving(&self, place: usize) -> Vec<Arc<Reader>> {
        let mut all = self.all();
        all.retain(|reader| {
            reader.is_asked() == Some(true) && reader.reads().iter().any(|of| of.place == place)
        });
        all
    }

    /// Has all prepare for what is to be shown next.
    ///
    /// # Errors
    /// The first objection of one that serves.
    pub(super) fn prepare(&self, next: &Arc<Snapshot>, cast: &Cast) -> Result<(), Objection> {
        for reader in self.all() {
            let is_replaced = cast.leaving.contains(&reader.title().generation);
            if is_replaced || reader.is_asked().is_none() {
                continue;
            }
            if let Err(objection) = reader.prepare(next)
                && !reader.is_unfit(&objection)
            {
                return Err(objection);
            }
        }
        Ok(())
    }

    /// This is shown, again or from now on.
    pub(super) fn settle(&self, shown: &Arc<Snapshot>) {
        self.0.lock().retain(|reader| !reader.has_ended());
        for reader in self.all() {
            reader.settle(shown);
        }
    }
}

impl Publisher {
    /// Lets a candidate read: it is prepared for what is shown, and for all that is published from now on.
    ///
    /// # Errors
    /// It cannot use it. It is not among the audience then.
    pub(crate) fn enroll(&self, reader: &Arc<Reader>) -> Result<(), Objection> {
        // Twice: what takes its time holds up no decision.
        reader.try_on(&self.snapshot())?;
        let _turn = self.deciding.lock();
        reader.try_on(&self.snapshot())?;
        self.audience.join(reader);
        Ok(())
    }
}
