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

/// All readers.
#[derive(Default)]
pub(crate) struct Audience(Mutex<Vec<Arc<Reader>>>);

impl Audience {
    /// All of them, in the order of their coming.
    pub(super) fn all(&self) -> Vec<Arc<Reader>> {
        self.0.lock().clone()
    }

    /// Those that serve and read the dataset in this place.
    pub(super) fn serving(&self, place: usize) -> Vec<Arc<Reader>> {
        let mut all = self.all();
        all.retain(|reader| {
            reader.is_asked() == Some(true) && reader.reads().iter().any(|of| of.place == place)
        });
        all
    }

    /// Has all prepare for what is to be shown next, but for `replaced` generations, which will not serve then.
    ///
    /// # Errors
    /// The first objection of one that serves.
    pub(super) fn prepare(&self, next: &Arc<Snapshot>, replaced: &[u64]) -> Result<(), Objection> {
        for reader in self.all() {
            let is_replaced = replaced.contains(&reader.title().generation);
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
    /// Lets a candidate read: it is prepared for what is shown, or for what is `proposed` to be shown when it serves, and
    /// for all that is published from now on.
    ///
    /// # Errors
    /// It cannot use it. It is not among the audience then.
    pub(crate) fn enroll(
        &self,
        reader: &Arc<Reader>,
        proposed: Option<&Arc<Snapshot>>,
    ) -> Result<(), Objection> {
        let prepare = || {
            let shown = self.snapshot();
            let snapshot = proposed.unwrap_or(&shown);
            reader.prepare(snapshot)?;
            reader.settle(snapshot);
            Ok(())
        };
        // Twice: what takes its time holds up no decision.
        prepare()?;
        let _turn = self.deciding.lock();
        prepare()?;
        self.audience.0.lock().push(Arc::clone(reader));
        Ok(())
    }
}
