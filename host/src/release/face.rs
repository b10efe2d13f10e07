//! The face: what an embedding service asks of its host about releases.

use super::{Release, ReleaseOutcome, ReleaseRecord, apply, back};
use crate::{
    data::DatasetChange,
    error::SwapError,
    host::Host,
    report::{SwapReport, UnloadReport},
    step::Step,
};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a release has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseReport {
    /// Its number.
    pub release: u64,
    /// What people call it.
    pub name: Option<String>,
    /// The release that it goes back from, if it was made for that.
    pub rolls_back: Option<u64>,
    /// What became of each plugin.
    pub swaps: Vec<SwapReport>,
    /// What became of each plugin that it takes out of service.
    pub unloads: Vec<UnloadReport>,
    /// What became of each dataset.
    pub changes: Vec<DatasetChange>,
}

/// Why a release was not applied.
#[derive(Debug)]
pub struct ReleaseError {
    /// The part that failed: `plugin "pricing"`, `data "rates"`, or the release itself.
    pub part: String,
    /// The step of that plugin's journey at which it failed, if it was one.
    pub step: Option<Step>,
    /// Why.
    pub cause: anyhow::Error,
    /// What was left as the release had made it, and why, where not everything could be put back. Empty: nothing has
    /// changed, or everything was put back.
    pub left: Vec<String>,
}

impl ReleaseError {
    pub(super) fn new(part: impl Into<String>, cause: anyhow::Error) -> Self {
        ReleaseError {
            part: part.into(),
            step: None,
            cause,
            left: Vec::new(),
        }
    }

    /// Whether trying again later may succeed: it was only the callers of a plugin, or another release, who stood in the
    /// way.
    #[must_use]
    pub fn is_out_of_time(&self) -> bool {
        self.step == Some(Step::Drain) && self.left.is_empty()
    }

    /// The word for its kind, as it stands in answers: the step of the journey that failed, if it was one.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.step {
            _ if !self.left.is_empty() => "not_put_back",
            Some(Step::Drain) => "out_of_time",
            Some(step) => step.word(),
            None => "refused",
        }
    }
}

impl From<SwapError> for ReleaseError {
    fn from(error: SwapError) -> Self {
        ReleaseError {
            part: format!("plugin \"{}\"", error.subject),
            step: Some(error.step),
            cause: error.cause,
            left: Vec::new(),
        }
    }
}

impl ReleaseError {
    /// The part that failed and why, without what became of the rest.
    pub(super) fn story(&self) -> String {
        let step = self
            .step
            .map_or_else(String::new, |step| format!(" stopped at {step}"));
        format!("{}{step}: {:#}", self.part, self.cause)
    }
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the release is not applied: {}", self.story())?;
        if !self.left.is_empty() {
            write!(f, "; and not put back: {}", self.left.join("; "))?;
        }
        Ok(())
    }
}

impl std::error::Error for ReleaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause.as_ref())
    }
}

impl Host {
    /// Applies a release: all of it, or nothing. Waits until all of its plugins serve and all of its data is published.
    ///
    /// Callers are not held up but for the moments in which each plugin's own gate is closed. In the moment between the
    /// first plugin's switch and the last one's, calls find some of the plugins in their new version and some in their old.
    ///
    /// # Errors
    /// The part that failed; everything is as it was, unless the error names what is not.
    pub fn release(&self, release: Release, who: &str) -> Result<ReleaseReport, ReleaseError> {
        apply::apply(self, release, who, None)
    }

    /// Puts a release back: its plugins to what served before it, its data to what was held before it, as a release of
    /// its own. Without a number: the last that is applied and not put back.
    ///
    /// # Errors
    /// There is no such release, what it replaced is no longer kept, or what [`Host::release`] fails for.
    pub fn rollback_release(
        &self,
        number: Option<u64>,
        who: &str,
    ) -> Result<ReleaseReport, ReleaseError> {
        back::roll_back(self, number, who)
    }

    /// The releases in the journal, newest first, at most `limit`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn releases(&self, limit: usize) -> Result<Vec<ReleaseRecord>> {
        self.core().store.releases(limit)
    }
}

/// Whether a release stands: it is applied, and none of the later ones has put it back.
pub(super) fn stands(record: &ReleaseRecord, all: &[ReleaseRecord]) -> bool {
    let rolled_back = all.iter().any(|other| {
        other.rolls_back == Some(record.number) && other.outcome == ReleaseOutcome::Applied
    });
    record.outcome == ReleaseOutcome::Applied && record.rolls_back.is_none() && !rolled_back
}
