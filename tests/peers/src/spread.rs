//! A spread: how durations are distributed, to three digits.

use anyhow::Result;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Durations, in nanoseconds.
pub(crate) struct Spread(Histogram<u64>);

impl Spread {
    pub(crate) fn new() -> Result<Self> {
        let mut durations = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
        durations.auto(true);
        Ok(Spread(durations))
    }

    /// Adds one. Never fails: what is longer than a minute counts as longer.
    #[inline]
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.saturating_record(duration.as_nanos() as u64);
    }

    /// Adds all of another.
    pub(crate) fn add_all(&mut self, other: &Spread) -> Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    /// As it would be had a call begun every `interval`, whether the one before had ended or not.
    pub(crate) fn corrected(&self, interval: Duration) -> Self {
        Spread(self.0.clone_correct(interval.as_nanos() as u64))
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// In microseconds.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// In microseconds.
    pub(crate) fn max(&self) -> f64 {
        self.0.max() as f64 / 1000.0
    }
}
