//! The operator's hand: what is put by hand, and what is gone back to.
//!
//! It passes everything that content of a source does, and holds until the source brings something newer; pinned, it
//! holds against the source.

use super::{
    audience::Cast,
    format::Format,
    ledger::{ByHand, Kept},
    publisher::{Candidate, Publisher, Refused},
    revision::Origin,
    snapshot::Snapshot,
};
use crate::{artifact::Digest, data::Refusal};
use anyhow::Result;
use std::sync::Arc;

/// Content that an operator wants to have published.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The dataset.
    pub(crate) place: usize,
    content: Vec<u8>,
    format: Format,
    origin: Origin,
    by_hand: ByHand,
    /// The number that was taken for it when it was proposed; 0 before.
    number: u64,
    instead_of: Option<u64>,
}

impl Wanted {
    /// New content.
    pub(crate) fn new(place: usize, content: Vec<u8>, format: Format, origin: Origin) -> Wanted {
        Wanted {
            place,
            content,
            format,
            origin,
            by_hand: ByHand {
                back_to: None,
                pinned: false,
            },
            number: 0,
            instead_of: None,
        }
    }

    /// The content of a kept revision.
    pub(crate) fn back(place: usize, kept: Kept, who: &str, pinned: bool) -> Wanted {
        let Kept { record, content } = kept;
        let origin = Origin::Rollback {
            to: record.number,
            who: who.to_owned(),
        };
        Wanted {
            by_hand: ByHand {
                back_to: Some(record.number),
                pinned,
            },
            ..Wanted::new(place, content, record.format, origin)
        }
    }

    /// It replaces this revision, and no other one that is held by then.
    pub(crate) fn instead_of(mut self, number: u64) -> Wanted {
        self.instead_of = Some(number);
        self
    }

    /// It is pinned then, or is not.
    pub(crate) fn pinned(mut self, pinned: bool) -> Wanted {
        self.by_hand.pinned = pinned;
        self
    }

    /// It comes from there.
    pub(crate) fn come_from(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// The digest of the content.
    pub(crate) fn hash(&self) -> Digest {
        Digest::of(&self.content)
    }
}

impl Publisher {
    /// Whether an operator has pinned what this dataset holds.
    pub(crate) fn is_pinned(&self, place: usize) -> bool {
        let dataset = self.datasets.get(place);
        dataset.is_some_and(|dataset| {
            let facts = dataset.facts.lock();
            facts.memory.by_hand.as_ref().is_some_and(|by| by.pinned)
        })
    }

    /// What operators want: all becomes a revision each, or nothing does, in one step with a change of those who read. Gives
    /// the number that each dataset holds then.
    ///
    /// # Errors
    /// The outer one: the ledger cannot be written. The inner one: one of them was refused.
    pub(crate) fn change(
        &self,
        wanted: Vec<Wanted>,
        cast: &Cast,
    ) -> Result<Result<Vec<u64>, Refused>> {
        let places: Vec<usize> = wanted.iter().map(|wanted| wanted.place).collect();
        let lifted: Vec<usize> = wanted
            .iter()
            .filter(|wanted| !wanted.by_hand.pinned)
            .map(|wanted| wanted.place)
            .collect();
        let candidates = match self.candidates(wanted) {
            Ok(candidates) => candidates,
            Err((place, refusal)) => {
                self.refuse(place, Refusal::clone(&refusal))?;
                return Ok(Err((place, refusal)));
            }
        };
        let decided = self.decide_with(&self.deciding.lock(), candidates, cast)?;
        if let Err(refused) = decided {
            return Ok(Err(refused));
        }
        // What the source has that is newer was kept out by a pin, perhaps.
        for place in lifted {
            self.datasets.get(place).inspect(|dataset| dataset.ring());
        }
        let number = |place: &usize| self.held(*place).map_or(0, |held| held.record.number);
        Ok(Ok(places.iter().map(number).collect()))
    }

    /// What would be shown after [`Publisher::change`]. Nothing is changed, but that each takes its number, which is used for
    /// nothing else.
    ///
    /// # Errors
    /// One of them would be refused, whoever reads it.
    pub(crate) fn propose(&self, wanted: &mut [Wanted]) -> Result<Arc<Snapshot>, Refused> {
        let candidates = self.candidates(wanted.to_vec())?;
        let proposed = self.as_if(candidates);
        for wanted in wanted {
            let number = proposed.at(wanted.place).map(|it| it.record.number);
            wanted.number = number.unwrap_or_default();
        }
        Ok(proposed)
    }

    fn candidates(&self, wanted: Vec<Wanted>) -> Result<Vec<Candidate>, Refused> {
        let candidate = |wanted: Wanted| {
            let Wanted {
                place,
                content,
                format,
                origin,
                by_hand,
                number,
                instead_of,
            } = wanted;
            self.note_received(place, Digest::of(&content), content.len(), &origin);
            let candidate = self.prepare(place, content, format, origin, Some(by_hand));
            let mut candidate = candidate.map_err(|refusal| (place, refusal))?;
            candidate.revision.record.number = number;
            candidate.instead_of = instead_of;
            Ok(candidate)
        };
        wanted.into_iter().map(candidate).collect()
    }
}
