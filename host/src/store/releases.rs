//! The journal's table of releases, by their numbers. The last of them are kept.

use super::{
    Store,
    rows::{self, RELEASES},
};
use crate::release::{ReleaseOutcome, ReleaseRecord};
use redb::{ReadableTable, WriteTransaction};

/// Releases that are kept.
const KEPT: u64 = 1_000;

impl Store {
    /// Adds a record, and gives its number; the one in the record does not count.
    pub(crate) fn begin_release(&self, mut record: ReleaseRecord) -> anyhow::Result<u64> {
        self.write("adding a release to the journal", |write| {
            record.number = super::journal::next(write, rows::RELEASE_NUMBERS)?;
            put(write, &record)?;
            let mut releases = write.open_table(RELEASES)?;
            releases.retain_in(..record.number.saturating_sub(KEPT), |_, _| false)?;
            Ok(record.number)
        })
    }

    /// Replaces the record with this number, now that more is known of it.
    pub(crate) fn finish_release(&self, record: &ReleaseRecord) -> anyhow::Result<()> {
        self.write("completing a release of the journal", |write| {
            put(write, record)
        })
    }

    /// The releases, newest first, at most `limit`. One that cannot be read is left out, loudly.
    pub(crate) fn releases(&self, limit: usize) -> anyhow::Result<Vec<ReleaseRecord>> {
        let read = self.database.read("reading the journal")?;
        let mut releases = Vec::new();
        for entry in read.open_table(RELEASES)?.iter()?.rev().take(limit) {
            let (number, row) = entry?;
            let record = rows::read(row.value(), &format!("release {}", number.value()));
            releases.extend(record.inspect_err(|error: &anyhow::Error| {
                tracing::error!("leaving out a release of the journal: {error:#}");
            }));
        }
        Ok(releases)
    }

    /// The releases that are still intents, newest first: the end of a process has cut them off.
    pub(crate) fn unfinished_releases(&self) -> anyhow::Result<Vec<ReleaseRecord>> {
        let mut releases = self.releases(usize::MAX)?;
        releases.retain(|record| record.outcome == ReleaseOutcome::Intent);
        Ok(releases)
    }
}

fn put(write: &WriteTransaction, record: &ReleaseRecord) -> anyhow::Result<()> {
    let row = rows::write(record, "a release")?;
    write
        .open_table(RELEASES)?
        .insert(record.number, row.as_slice())?;
    Ok(())
}
