//! A step: one part of an artifact's journey, by the same word in spans, events, journal and errors.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One part of an artifact's journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Noticing a finished file and taking a private copy of it.
    Watch,
    /// Examining the copy, before it comes near the host's memory.
    Vet,
    /// Mapping the copy and creating the candidate, while the incumbent serves.
    Load,
    /// Waiting until no call is inside.
    Drain,
    /// Bringing the incumbent's state into the candidate.
    HandOver,
    /// Letting the callers in to the successor.
    Switch,
    /// Taking the retired generation out of memory.
    Unload,
}

impl Step {
    /// The step's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Step::Watch => "watch",
            Step::Vet => "vet",
            Step::Load => "load",
            Step::Drain => "drain",
            Step::HandOver => "hand_over",
            Step::Switch => "switch",
            Step::Unload => "unload",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::HandOver => "hand over",
            step => step.word(),
        })
    }
}
