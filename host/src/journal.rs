//! The journal: the durable record of every swap, its intent before the drain and its outcome after.

use crate::{
    artifact::Digest,
    report::{Departure, StepTime, Trigger},
    step::Step,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One journey in the journal. It is written as an intent, and completed by its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the journal, from 1.
    pub sequence: u64,
    /// When it began: milliseconds since 1970.
    pub time: u64,
    /// The plugin.
    pub plugin: String,
    /// What set it off.
    pub trigger: Trigger,
    /// The author's version of the artifact.
    pub version: String,
    /// The number of its state's format.
    pub schema: Option<u32>,
    /// The generation it was to become, or was.
    pub generation: u64,
    /// The generation that served before.
    pub incumbent: Option<u64>,
    /// The digest of the author's file.
    pub digest: Digest,
    /// The digest of the staged copy, which may differ in its dynamic flags.
    pub staged_digest: Digest,
    /// The author's file.
    pub file: Option<PathBuf>,
    /// Bytes of state handed over.
    pub state_bytes: Option<u64>,
    /// What each step took.
    pub steps: Vec<StepTime>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a journey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was about to drain. Where this is the last word, the incumbent is what counts.
    Intent,
    /// It serves, or served.
    Swapped {
        /// What became of the generation it replaced, once known.
        departure: Option<Departure>,
        /// What could not be kept, and what else an operator should know.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remarks: Vec<String>,
    },
    /// It ended before the switch.
    Failed {
        /// Where.
        step: Step,
        /// Why.
        reason: String,
    },
    /// The plugin was unloaded.
    Unloaded {
        /// What became of the generation, once known.
        departure: Option<Departure>,
    },
}

/// What the host remembers of a plugin from one life to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Memory {
    /// The artifact that served last and well.
    pub last_good: Option<LastGood>,
    /// Whether an operator unloaded it.
    pub unloaded: bool,
    /// The digest of the author's file that an operator's decision (unload, rollback, load of another file) has
    /// superseded: it is not loaded again until the file changes.
    pub superseded: Option<Digest>,
}

/// The artifact that served last and well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGood {
    /// The digest of the author's file, by which the store keeps its copy.
    pub digest: Digest,
    /// The digest of the copy that the store keeps; `None` where an older host has written this.
    #[serde(default)]
    pub staged_digest: Option<Digest>,
    /// The author's version.
    pub version: String,
    /// The generation it served as.
    pub generation: u64,
    /// The author's file.
    pub file: Option<PathBuf>,
}

/// A state as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// The number of its format.
    pub schema: u32,
    /// The generation it was taken from.
    pub generation: u64,
    /// When: milliseconds since 1970.
    pub time: u64,
    /// Whether it was taken when the plugin stopped serving, so that no call came after it.
    pub is_final: bool,
    /// Whether a `&mut self` method panicked half-way since the state began, so that it may be inconsistent.
    #[serde(default)]
    pub tainted: bool,
    /// The snapshot itself.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}
