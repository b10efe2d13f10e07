//! The record of a release: what the journal has of it, and what it takes to put everything back.

use crate::{artifact::Digest, journal::LastGood};
use serde::{Deserialize, Serialize};

/// A release in the journal. It is written as an intent, and completed by its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// Its number, from 1.
    pub number: u64,
    /// When it began: milliseconds since 1970.
    pub time: u64,
    /// What people call it.
    pub name: Option<String>,
    /// Who asked for it, as far as it is known.
    pub who: String,
    /// The release that it goes back from, if it was made for that.
    pub rolls_back: Option<u64>,
    /// Its plugins.
    pub plugins: Vec<PluginMove>,
    /// Its datasets.
    pub data: Vec<DatasetMove>,
    /// What became of it.
    pub outcome: ReleaseOutcome,
}

/// What a release does to a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginMove {
    /// The plugin.
    pub plugin: String,
    /// What served before; nothing where it did not serve.
    pub before: Option<LastGood>,
    /// The version it brings; nothing where it takes the plugin out of service.
    pub version: Option<String>,
    /// The digest of the artifact it brings.
    pub digest: Option<Digest>,
    /// The generation it has become, once it serves.
    pub generation: Option<u64>,
}

/// What a release does to a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetMove {
    /// The dataset.
    pub dataset: String,
    /// The revision that was held before, if any.
    pub before: Option<u64>,
    /// The digest of the content it brings.
    pub hash: Digest,
    /// The revision it has become, once it is published.
    pub revision: Option<u64>,
}

/// What became of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ReleaseOutcome {
    /// It was about to be applied. Where this is the last word, what was there before counts.
    Intent,
    /// All of it is applied.
    Applied,
    /// It failed on the way, and everything was put back.
    PutBack {
        /// Why it failed.
        reason: String,
    },
    /// It failed on the way, and not everything could be put back.
    NotPutBack {
        /// Why it failed.
        reason: String,
        /// What was left as the release had made it, and why.
        left: Vec<String>,
    },
}

impl ReleaseOutcome {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            ReleaseOutcome::Intent => "intent",
            ReleaseOutcome::Applied => "applied",
            ReleaseOutcome::PutBack { .. } => "put back",
            ReleaseOutcome::NotPutBack { .. } => "not put back",
        }
    }
}
