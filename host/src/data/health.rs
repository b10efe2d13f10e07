//! The health: whether the source of a dataset was heard, is lost or back, and whether what is held is stale.

use super::{
    dataset::{Dataset, Received, SourceState},
    publisher::Publisher,
    revision::Origin,
};
use crate::{announce::now_millis, artifact::Digest, event::Happening};
use anyhow::Result;
use std::time::Duration;

impl Publisher {
    /// Waits until the source of each required dataset was heard and something is held.
    ///
    /// # Errors
    /// The first that was not heard by then.
    pub(crate) fn wait_for_required(&self) -> Result<()> {
        let mut turn = self.deciding.lock();
        for (place, dataset) in self.datasets.iter().enumerate() {
            let Some(limit) = dataset.config.required else {
                continue;
            };
            let until = crate::deadline::after(limit.saturating_sub(self.opened.elapsed()));
            while self.held(place).is_none() || dataset.facts.lock().confirmed.is_none() {
                if self.decided.wait_until(&mut turn, until).timed_out() {
                    anyhow::bail!("{}", missing(dataset, limit));
                }
            }
        }
        Ok(())
    }

    /// A source says how it is.
    pub(crate) fn note_source(&self, place: usize, state: SourceState) {
        let Some(dataset) = self.datasets.get(place) else {
            return;
        };
        let refusal = dataset.facts.lock().memory.refusal.clone();
        let is_refused = refusal.is_some_and(|refusal| refusal.origin.is_source());
        if state == SourceState::Healthy && !is_refused {
            self.confirm(&self.deciding.lock(), dataset);
        }
        let mut facts = dataset.facts.lock();
        let was = std::mem::discriminant(&facts.source.0);
        if was == std::mem::discriminant(&state) {
            // It is no news, but its reason may be another one by now.
            facts.source.0 = state;
            return;
        }
        let was_lost = matches!(facts.source.0, SourceState::Lost { .. });
        facts.source = (state.clone(), now_millis());
        drop(facts);
        let dataset = dataset.name.clone();
        match state {
            SourceState::Lost { reason } => {
                self.announcer
                    .announce(Happening::SourceLost { dataset, reason });
            }
            SourceState::Healthy if was_lost => {
                self.announcer.announce(Happening::SourceBack { dataset });
            }
            SourceState::Healthy | SourceState::Starting => {}
        }
    }

    /// Says which datasets have become stale since it was last asked.
    pub(crate) fn say_stale(&self) {
        for (place, dataset) in self.datasets.iter().enumerate() {
            let mut facts = dataset.facts.lock();
            let stale =
                dataset.is_stale(&facts, self.opened.elapsed()) && self.held(place).is_some();
            let is_news = stale && !facts.said_stale;
            facts.said_stale = stale;
            drop(facts);
            if is_news {
                self.announcer.announce(Happening::DataStale {
                    dataset: dataset.name.clone(),
                });
            }
        }
    }

    /// Content came, whatever becomes of it.
    pub(super) fn note_received(&self, place: usize, hash: Digest, length: usize, origin: &Origin) {
        let Some(dataset) = self.datasets.get(place) else {
            return;
        };
        let mut facts = dataset.facts.lock();
        let is_news = facts.received.as_ref().is_none_or(|last| last.hash != hash);
        let length = length as u64;
        facts.received = Some(Received {
            time: now_millis(),
            origin: origin.clone(),
            hash,
            length,
        });
        drop(facts);
        if is_news {
            self.announcer.announce(Happening::DataReceived {
                dataset: dataset.name.clone(),
                origin: origin.clone(),
                length,
            });
        }
    }
}

/// Why a required dataset is missing, in words.
fn missing(dataset: &Dataset, limit: Duration) -> String {
    let facts = dataset.facts.lock();
    let why = match (&facts.memory.refusal, &facts.source.0) {
        (_, SourceState::Lost { reason }) => format!("its source cannot be followed: {reason}"),
        (Some(refusal), _) => format!("what came was refused: {refusal}"),
        (None, _) => "nothing has come".to_owned(),
    };
    format!(
        "data \"{}\" is required, and no good revision came from its source within {}: {why}",
        dataset.name,
        humantime::format_duration(limit)
    )
}
