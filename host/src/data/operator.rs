//! The operator's hand: what is put by hand, and what is gone back to.
//!
//! It passes everything that content of a source does, and holds until the source brings something newer; pinned, it
//! holds against the source.

use super::{
    format::Format,
    ledger::{ByHand, Kept},
    publisher::{Candidate, Publisher, Refused},
    revision::Origin,
};
use crate::{artifact::Digest, data::Refusal};
use anyhow::Result;

impl Publisher {
    /// Contents from an operator: all become revisions, or none. Gives the number that each dataset holds then.
    ///
    /// # Errors
    /// The outer one: the ledger cannot be written. The inner one: one of them was refused.
    pub(crate) fn put(
        &self,
        contents: Vec<(usize, Vec<u8>, Format)>,
        origin: &Origin,
    ) -> Result<Result<Vec<u64>, Refused>> {
        let by_hand = ByHand {
            back_to: None,
            pinned: false,
        };
        let mut candidates = Vec::new();
        let places: Vec<usize> = contents.iter().map(|(place, ..)| *place).collect();
        for (place, content, format) in contents {
            self.note_received(place, Digest::of(&content), content.len(), origin);
            match self.prepare(
                place,
                content,
                format,
                origin.clone(),
                Some(by_hand.clone()),
            ) {
                Ok(candidate) => candidates.push(candidate),
                Err(refusal) => {
                    self.refuse(place, Refusal::clone(&refusal))?;
                    return Ok(Err((place, *refusal)));
                }
            }
        }
        self.by_hand(candidates, &places)
    }

    /// Goes back to a kept revision.
    ///
    /// # Errors
    /// As those of [`Publisher::put`].
    pub(crate) fn roll_back(
        &self,
        place: usize,
        kept: Kept,
        who: &str,
        pinned: bool,
    ) -> Result<Result<u64, Refused>> {
        let origin = Origin::Rollback {
            to: kept.record.number,
            who: who.to_owned(),
        };
        let by_hand = ByHand {
            back_to: Some(kept.record.number),
            pinned,
        };
        let format = kept.record.format;
        match self.prepare(place, kept.content, format, origin, Some(by_hand)) {
            Ok(candidate) => {
                let numbers = self.by_hand(vec![candidate], &[place])?;
                Ok(numbers.map(|numbers| numbers.first().copied().unwrap_or_default()))
            }
            Err(refusal) => {
                self.refuse(place, Refusal::clone(&refusal))?;
                Ok(Err((place, *refusal)))
            }
        }
    }

    fn by_hand(
        &self,
        candidates: Vec<Candidate>,
        places: &[usize],
    ) -> Result<Result<Vec<u64>, Refused>> {
        let lifted: Vec<usize> = candidates
            .iter()
            .filter(|candidate| !candidate.by_hand.as_ref().is_some_and(|by| by.pinned))
            .map(|candidate| candidate.place)
            .collect();
        let decided = self.decide(&self.deciding.lock(), candidates)?;
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
}
