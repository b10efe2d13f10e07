//! The rows: how records, memories and verdicts stand in the journal's tables. They are JSON, so that a host reads what
//! an older or newer one has written as long as the fields it needs are there.

use anyhow::Context;
use redb::TableDefinition;
use serde::{Serialize, de::DeserializeOwned};

/// Numbers the store hands out, by their name.
pub(super) const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
/// Records, by plugin and sequence.
pub(super) const RECORDS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("records");
/// How many records a plugin has.
pub(super) const LENGTHS: TableDefinition<&str, u64> = TableDefinition::new("lengths");
/// The plugins of the records that are still intents, by sequence.
pub(super) const INTENTS: TableDefinition<u64, &str> = TableDefinition::new("intents");
/// Memories, by plugin.
pub(super) const MEMORIES: TableDefinition<&str, &[u8]> = TableDefinition::new("memories");
/// The artifacts a plugin refers to, by plugin and digest, with the last sequence they served under; 0 for not yet.
pub(super) const ARTIFACTS: TableDefinition<(&str, &str), u64> = TableDefinition::new("artifacts");
/// Verdicts with their place in the order, by digest and host build.
pub(super) const VERDICTS: TableDefinition<(&str, &str), (u64, &[u8])> =
    TableDefinition::new("verdicts");
/// The order of the verdicts: digest and host build, by place.
pub(super) const VERDICT_ORDER: TableDefinition<u64, (&str, &str)> =
    TableDefinition::new("verdict_order");

/// Releases, by number.
pub(super) const RELEASES: TableDefinition<u64, &[u8]> = TableDefinition::new("releases");

/// The counter of releases.
pub(super) const RELEASE_NUMBERS: &str = "releases";
/// The counter of generations: all below it may be taken.
pub(super) const GENERATIONS: &str = "generations";
/// The counter of records.
pub(super) const SEQUENCES: &str = "sequences";
/// The counter of verdicts.
pub(super) const VERDICT_PLACES: &str = "verdict_places";

/// The row that holds `value`.
pub(super) fn write<T: Serialize>(value: &T, what: &str) -> anyhow::Result<Vec<u8>> {
    serde_json::to_vec(value).with_context(|| format!("writing {what} for the journal"))
}

/// What the row holds.
pub(super) fn read<T: DeserializeOwned>(row: &[u8], what: &str) -> anyhow::Result<T> {
    serde_json::from_slice(row).with_context(|| {
        format!("reading {what} of the journal, perhaps written by another version of the host")
    })
}
