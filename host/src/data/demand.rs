//! The demand: what plugins need of datasets before they can serve, and who waits for it.
//!
//! A plugin whose datasets are missing, or do not fit it, is turned away; it is looked at again when one of them gets
//! another revision.

use super::{
    Data,
    dataset::SourceState,
    publisher::Publisher,
    reader::{Objection, ReadOf, Reader, Title},
    revision::Revision,
    snapshot::Snapshot,
};
use crate::{foreign::parsed::Parse, gate::GateId};
use anyhow::{Context, Result, anyhow, bail};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a source that has just been begun may take to bring its first revision, before a plugin is turned away that
/// needs one.
const FIRST: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

impl Data {
    /// What these datasets hold, or are `proposed` to hold.
    ///
    /// # Errors
    /// The first that is not declared, or holds nothing; with what to do about it.
    pub(crate) fn held_for(
        &self,
        reads: &[String],
        proposed: Option<&Arc<Snapshot>>,
    ) -> Result<Vec<Arc<Revision>>> {
        let publisher = self.publisher();
        let held = |dataset: &String| {
            let place = place(publisher, dataset)?;
            let proposed = proposed.and_then(|proposed| proposed.at(place)).cloned();
            proposed.or_else(|| publisher.first(place)).with_context(|| {
                format!(
                    "it reads data \"{dataset}\", which has no revision yet: see `host data list`, or bring one with `host \
                     data put {dataset} FILE`; it is tried again when there is one"
                )
            })
        };
        reads.iter().map(held).collect()
    }

    /// A candidate's use of these datasets, if there are any.
    ///
    /// # Errors
    /// One of them is not declared.
    pub(crate) fn reader(
        &self,
        reads: &[String],
        title: Title,
        parser: Arc<dyn Parse>,
        gate_id: GateId,
        limit: Duration,
    ) -> Result<Option<Arc<Reader>>> {
        if reads.is_empty() {
            return Ok(None);
        }
        let of = |dataset: &String| {
            Ok(ReadOf {
                place: place(self.publisher(), dataset)?,
                dataset: Arc::from(dataset.as_str()),
            })
        };
        let reads = reads.iter().map(of).collect::<Result<_>>()?;
        let shown = Arc::clone(self.publisher().shown());
        Ok(Some(Reader::new(
            title, reads, parser, gate_id, shown, limit,
        )))
    }

    /// Lets a candidate read what is shown; or what is `proposed`, and then only that until it is published.
    ///
    /// # Errors
    /// It does not fit the candidate.
    pub(crate) fn enroll(
        &self,
        reader: &Arc<Reader>,
        proposed: Option<&Arc<Snapshot>>,
    ) -> Result<()> {
        let enrolled = match proposed {
            None => self.publisher().enroll(reader),
            Some(proposed) => reader.try_on(proposed),
        };
        enrolled.map_err(|Objection { place, mistake }| {
            let dataset = reader.reads().iter().find(|of| of.place == place);
            let dataset = dataset.map_or("", |of| &of.dataset);
            anyhow!("data \"{dataset}\": {mistake}")
        })
    }

    /// A plugin that reads these was turned away, when they held what `seen` has: it is looked at again when one of them holds
    /// something else.
    pub(crate) fn await_change(&self, reads: &[String], seen: &[Option<u64>]) {
        let publisher = self.publisher();
        let places = || reads.iter().filter_map(|dataset| publisher.place(dataset));
        publisher.awaited.lock().extend(places());
        if self.revisions(reads) != seen {
            publisher.look_again(places());
        }
    }

    /// The numbers of what these datasets hold.
    pub(crate) fn revisions(&self, reads: &[String]) -> Vec<Option<u64>> {
        let snapshot = self.publisher().snapshot();
        let number = |dataset: &String| snapshot.get(dataset).map(|held| held.record.number);
        reads.iter().map(number).collect()
    }
}

fn place(publisher: &Publisher, dataset: &str) -> Result<usize> {
    let Some(place) = publisher.place(dataset) else {
        bail!(
            "it reads data \"{dataset}\", which is not declared here: write [data.{dataset}] in host.toml, and start the \
             host again"
        );
    };
    Ok(place)
}

impl Publisher {
    /// What a dataset holds; waits a moment where its source has not been heard of yet.
    fn first(&self, place: usize) -> Option<Arc<Revision>> {
        let until = Instant::now() + FIRST;
        let is_starting = || {
            let dataset = self.datasets.get(place);
            dataset.is_some_and(|dataset| {
                dataset.config.source.is_some()
                    && dataset.facts.lock().source.0 == SourceState::Starting
            })
        };
        loop {
            let held = self.held(place);
            if held.is_some() || !is_starting() || Instant::now() >= until {
                // What was brought in between.
                return held.or_else(|| self.held(place));
            }
            let mut turn = self.deciding.lock();
            self.decided.wait_until(&mut turn, Instant::now() + LOOK);
        }
    }

    /// These datasets hold something else: whoever was turned away for one of them is looked at again.
    pub(super) fn look_again(&self, places: impl Iterator<Item = usize>) {
        let mut is_awaited = false;
        {
            let mut awaited = self.awaited.lock();
            for place in places {
                is_awaited |= awaited.remove(&place);
            }
        }
        if is_awaited && let Some(messenger) = self.herald.messenger() {
            messenger.look_again();
        }
    }
}
