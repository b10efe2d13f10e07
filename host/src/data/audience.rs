//! The audience: all readers of the datasets of a host.
//!
//! They are asked before anything is published, and each prepares for it then. The generations that serve may refuse; a
//! candidate that cannot use what is published is marked unfit, and never serves; what is on its way out is not asked.
//!
//! They are asked side by side: one whose check takes its time, or hangs until its limit has passed, holds up no other.
//! All are waited for, and where several refuse it is the first of them, in the order of their coming, whose word is
//! reported: the same one each time, however fast the others were.

use super::{
    publisher::Publisher,
    reader::{Asked, Objection, Reader},
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
        let mut all = self.0.lock();
        // Once: nobody can be asked twice side by side.
        if !all.iter().any(|one| Arc::ptr_eq(one, reader)) {
            all.push(Arc::clone(reader));
        }
    }

    /// Those that serve and read the dataset in this place.
    pub(super) fn serving(&self, place: usize) -> Vec<Arc<Reader>> {
        let mut all = self.all();
        all.retain(|reader| {
            reader.is_asked() == Some(true) && reader.reads().iter().any(|of| of.place == place)
        });
        all
    }

    /// Has all prepare for what is to be shown next, and those that join by it.
    ///
    /// # Errors
    /// The first objection of one that serves, or is to serve then.
    pub(super) fn prepare(&self, next: &Arc<Snapshot>, cast: &Cast) -> Result<(), Objection> {
        let mut all = self.all();
        let joins = |reader: &Arc<Reader>| cast.joining.iter().any(|one| Arc::ptr_eq(one, reader));
        all.retain(|reader| {
            let is_replaced = cast.leaving.contains(&reader.title().generation);
            !is_replaced && !joins(reader) && reader.is_asked().is_some()
        });
        all.extend(cast.joining.iter().cloned());
        let asked: Vec<Asked<'_>> = all.iter().map(|reader| reader.ask(next)).collect();
        let answers: Vec<_> = asked.into_iter().map(Asked::answer).collect();
        let objections = || {
            all.iter()
                .zip(&answers)
                .filter_map(|(reader, answer)| Some((reader, answer.as_ref().err()?)))
        };
        // Whether a candidate is fit is asked only of what all others can use.
        let counts = |reader: &Arc<Reader>| joins(reader) || reader.is_asked() == Some(true);
        let mut in_order = objections();
        if let Some((_, objection)) = in_order.find(|(reader, _)| counts(reader)) {
            return Err(objection.clone());
        }
        let mut in_order = objections();
        match in_order.find(|(reader, objection)| !reader.is_unfit(objection)) {
            Some((_, objection)) => Err(objection.clone()),
            None => Ok(()),
        }
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
