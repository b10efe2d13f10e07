//! The face: what an embedding service reads of the datasets of its host, and asks of them.

use super::{
    audience::Cast,
    dataset::{DatasetStatus, Refusal},
    format::Format,
    ledger::Kept,
    operator::Wanted,
    publisher::{Publisher, Refused},
    revision::{Origin, Revision, RevisionRecord},
    snapshot::{Snapshot, View},
};
use crate::host::Host;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Why a dataset was not changed or not read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No dataset of that name is declared.
    #[error("no data \"{0}\" is declared here; write [data.{0}] in host.toml")]
    UnknownDataset(String),
    /// That revision is not kept.
    #[error("revision {revision} of data \"{dataset}\" is not kept; {kept}")]
    UnknownRevision {
        /// The dataset.
        dataset: String,
        /// The revision asked for.
        revision: u64,
        /// Which ones are.
        kept: String,
    },
    /// There is nothing to go back to, or nothing at all yet.
    #[error("data \"{dataset}\" has {missing}")]
    NoRevision {
        /// The dataset.
        dataset: String,
        /// What it has not.
        missing: &'static str,
    },
    /// The content was refused; nothing has changed.
    #[error("data \"{dataset}\" is not changed: {}", refusal.mistake)]
    Refused {
        /// The dataset whose content was refused.
        dataset: String,
        /// Why and where.
        refusal: Box<Refusal>,
    },
    /// Its source has no triggers, or they could not be changed; nothing has changed.
    #[error("the triggers of data \"{dataset}\" are not changed: {reason}")]
    Triggers {
        /// The dataset.
        dataset: String,
        /// Why.
        reason: String,
    },
    /// The ledger failed; nothing has changed.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl DataError {
    /// The word for its kind, as it stands in answers.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            DataError::UnknownDataset(_) => "unknown_dataset",
            DataError::UnknownRevision { .. } | DataError::NoRevision { .. } => "unknown_revision",
            DataError::Refused { .. } => "refused",
            DataError::Triggers { .. } => "triggers",
            DataError::Failed(_) => "failed",
        }
    }
}

/// What became of a dataset by an operator's hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetChange {
    /// The dataset.
    pub dataset: String,
    /// The revision that it holds now.
    pub revision: u64,
    /// Whether that is a new one; otherwise it held the same content already.
    pub changed: bool,
}

/// What became of datasets that were changed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataReport {
    /// A line for each dataset.
    pub changes: Vec<DatasetChange>,
}

impl Host {
    pub(super) fn datasets_of(&self) -> &Publisher {
        self.core().data.publisher()
    }

    pub(super) fn place_of(&self, dataset: &str) -> Result<usize, DataError> {
        let place = self.datasets_of().place(dataset);
        place.ok_or_else(|| DataError::UnknownDataset(dataset.to_owned()))
    }

    /// The revision that a dataset holds now; `None` where it is not declared, or holds nothing yet.
    #[must_use]
    pub fn data(&self, dataset: &str) -> Option<Arc<Revision>> {
        self.data_view().get(dataset).cloned()
    }

    /// One revision of every dataset, as they were published together.
    #[must_use]
    pub fn data_snapshot(&self) -> Arc<Snapshot> {
        self.datasets_of().snapshot()
    }

    /// A look at the present snapshot, for a read that is soon over.
    #[must_use]
    pub fn data_view(&self) -> View {
        self.datasets_of().view()
    }

    /// How the datasets stand, by name.
    #[must_use]
    pub fn datasets(&self) -> Vec<DatasetStatus> {
        self.core().data.statuses()
    }

    /// Publishes content of a dataset, and waits until it is published. It holds until the source brings something newer.
    ///
    /// # Errors
    /// No such dataset is declared, or the content was refused: what was held is held on.
    pub fn put_data(
        &self,
        dataset: &str,
        content: Vec<u8>,
        origin: &Origin,
    ) -> Result<DatasetChange, DataError> {
        let contents = BTreeMap::from([(dataset.to_owned(), content)]);
        let report = self.change_data(contents, origin)?;
        let change = report.changes.into_iter().next();
        change.ok_or_else(|| DataError::UnknownDataset(dataset.to_owned()))
    }

    /// Publishes contents of several datasets in one step: all of them, or none.
    ///
    /// # Errors
    /// As those of [`Host::put_data`], for the first dataset that is at fault.
    pub fn change_data(
        &self,
        contents: BTreeMap<String, Vec<u8>>,
        origin: &Origin,
    ) -> Result<DataReport, DataError> {
        let mut placed = Vec::new();
        let mut before = Vec::new();
        for (dataset, content) in contents {
            let place = self.place_of(&dataset)?;
            before.push((dataset, self.number_at(place)));
            let declared = self.datasets_of().datasets().get(place);
            let format = declared.map_or(Format::Bytes, |dataset| dataset.config.format);
            placed.push(Wanted::new(place, content, format, origin.clone()));
        }
        let decided = self.datasets_of().change(placed, &Cast::default())?;
        let numbers = decided.map_err(|refused| self.refused(refused))?;
        let changes = before.into_iter().zip(numbers);
        Ok(DataReport {
            changes: changes
                .map(|((dataset, before), revision)| DatasetChange {
                    dataset,
                    revision,
                    changed: before != Some(revision),
                })
                .collect(),
        })
    }

    /// Publishes the content of an older revision as a new one. Without a target: of the newest that has another content
    /// than the held one.
    ///
    /// It holds until the source brings something newer than it brought before. Pinned, it holds against the source until
    /// content is put or gone back to without a pin; going back to the held revision lifts or sets the pin, and changes
    /// nothing else.
    ///
    /// # Errors
    /// There is no such dataset or revision, or its content is refused now: what was held is held on.
    pub fn rollback_data(
        &self,
        dataset: &str,
        to: Option<u64>,
        pin: bool,
        who: &str,
    ) -> Result<DatasetChange, DataError> {
        let place = self.place_of(dataset)?;
        let before = self.number_at(place);
        let kept = match to {
            Some(number) => self.kept(dataset, number)?,
            None => self.kept(dataset, self.one_before(dataset, place)?)?,
        };
        let wanted = vec![Wanted::back(place, kept, who, pin)];
        let decided = self.datasets_of().change(wanted, &Cast::default())?;
        let numbers = decided.map_err(|refused| self.refused(refused))?;
        let revision = numbers.first().copied().unwrap_or_default();
        Ok(DatasetChange {
            dataset: dataset.to_owned(),
            revision,
            changed: before != Some(revision),
        })
    }

    /// The records of the kept revisions, newest first, at most `limit`.
    ///
    /// # Errors
    /// No such dataset is declared, or the ledger cannot be read.
    pub fn data_history(
        &self,
        dataset: &str,
        limit: usize,
    ) -> Result<Vec<RevisionRecord>, DataError> {
        self.place_of(dataset)?;
        Ok(self.datasets_of().ledger().history(dataset, limit)?)
    }

    /// A kept revision, with its parsed content; without a number the held one.
    ///
    /// # Errors
    /// There is no such dataset or revision, or its content on disk is damaged.
    pub fn data_revision(
        &self,
        dataset: &str,
        number: Option<u64>,
    ) -> Result<Arc<Revision>, DataError> {
        let place = self.place_of(dataset)?;
        let held = self.datasets_of().held(place);
        match (held, number) {
            (None, None) => Err(DataError::NoRevision {
                dataset: dataset.to_owned(),
                missing: "no revision yet",
            }),
            (Some(held), None) => Ok(held),
            (Some(held), Some(number)) if held.record.number == number => Ok(held),
            (_, Some(number)) => {
                let Kept { record, content } = self.kept(dataset, number)?;
                let parsed = record.format.parse(&content);
                Ok(Arc::new(Revision {
                    parsed: parsed.map_err(|mistake| anyhow::anyhow!("{mistake}"))?,
                    record,
                    content,
                }))
            }
        }
    }

    fn number_at(&self, place: usize) -> Option<u64> {
        let held = self.datasets_of().held(place);
        held.map(|held| held.record.number)
    }

    fn kept(&self, dataset: &str, number: u64) -> Result<Kept, DataError> {
        if let Some(kept) = self.datasets_of().ledger().revision(dataset, number)? {
            return Ok(kept);
        }
        let records = self.datasets_of().ledger().history(dataset, usize::MAX)?;
        let kept = match (records.last(), records.first()) {
            (Some(oldest), Some(newest)) => {
                let count = records.len();
                format!(
                    "{count} are kept, from {} to {}",
                    oldest.number, newest.number
                )
            }
            _ => "none is".to_owned(),
        };
        Err(DataError::UnknownRevision {
            dataset: dataset.to_owned(),
            revision: number,
            kept,
        })
    }

    /// The newest revision whose content is not the held one's.
    fn one_before(&self, dataset: &str, place: usize) -> Result<u64, DataError> {
        let held = self.datasets_of().held(place).map(|held| held.record.hash);
        let records = self.datasets_of().ledger().history(dataset, usize::MAX)?;
        let other = records.iter().find(|record| Some(record.hash) != held);
        other
            .map(|record| record.number)
            .ok_or_else(|| DataError::NoRevision {
                dataset: dataset.to_owned(),
                missing: "no other revision to go back to",
            })
    }

    fn refused(&self, (place, refusal): Refused) -> DataError {
        let dataset = self.datasets_of().datasets().get(place);
        DataError::Refused {
            dataset: dataset.map_or_else(String::new, |dataset| dataset.name.clone()),
            refusal,
        }
    }
}
