//! What the measuring tools share: somebody who builds, callers, a follower of journeys, readings, and how it is told.
//!
//! A tool measures what happens on its own, gives figures as they were measured, and ends with 1 when a promise was broken
//! on the way. Where a test stops at the first thing that is wrong, a tool counts it.

mod access_log;
mod author;
mod client;
mod journeys;
mod reading;
mod telling;
mod traffic;

pub use access_log::{AccessLog, Totals};
pub use author::Author;
pub use client::{Client, Reply};
pub use journeys::{Journey, Journeys};
pub use reading::Reading;
pub use telling::{Load, Quantiles, Section, Spread, mebibytes, progress, tell};
pub use traffic::{Errand, Traffic, TrafficTally};

use anyhow::{Result, anyhow};

/// Fails where libraries cannot be unmapped in this process, because then nothing that is measured means anything.
///
/// # Errors
/// Why they cannot.
pub fn ensure_interposed(host: &host::Host) -> Result<()> {
    host.status()
        .interposition
        .map_err(|reason| anyhow!("libraries cannot be unmapped in this process: {reason}"))
}
