//! The ledger: what is kept of datasets on disk, in `data.redb` of the state directory.
//!
//! For each dataset: the last revisions with their contents, and a *memory*: the last number, what the source brought
//! last, what an operator decided, the last refusal. Rows are JSON, contents as they came.
//!
//! # Invariants
//! 1. One write is one transaction: all of a change set is on disk, or nothing.
//! 2. What [`Ledger::write`] has answered `Ok` to is on disk. Nothing is published before.
//! 3. Of a dataset at most `keep` revisions are kept; the oldest goes first, in the transaction that adds one.
//! 4. A content that no longer has its digest is not given out.

use super::{
    dataset::Refusal,
    revision::{Revision, RevisionRecord},
};
use crate::{artifact::Digest, store::Database};
use anyhow::{Context, Result, ensure};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, path::Path};

/// The ledger's share of memory.
const CACHE: usize = 4 << 20;

/// What is remembered of a dataset.
const MEMORIES: TableDefinition<&str, &[u8]> = TableDefinition::new("memories");
/// Records of revisions, by dataset and number.
const RECORDS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("records");
/// Contents of revisions, by dataset and number.
const CONTENTS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("contents");

/// What is remembered of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The last number that was given to a revision or a candidate.
    pub(crate) last: u64,
    /// Revisions that are kept.
    pub(crate) kept: u64,
    /// What the source brought last that was not refused.
    pub(crate) brought: Option<Brought>,
    /// What an operator decided that the source has not overtaken.
    pub(crate) by_hand: Option<ByHand>,
    /// The last refusal, while nothing good has come after it.
    pub(crate) refusal: Option<Refusal>,
}

/// What a source brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Brought {
    /// Its content.
    pub(crate) hash: Digest,
    /// Where the source was then.
    pub(crate) cursor: Option<String>,
}

/// What an operator decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ByHand {
    /// The revision that was gone back to; `None` where content was put.
    pub(crate) back_to: Option<u64>,
    /// Whether it holds against the source.
    pub(crate) pinned: bool,
}

/// A change of one dataset that is to be written.
pub(crate) struct Entry<'a> {
    /// The dataset.
    pub(crate) dataset: &'a str,
    /// What is to be remembered of it; `kept` is set here.
    pub(crate) memory: &'a mut Memory,
    /// Its new revision, if it gets one.
    pub(crate) revision: Option<&'a Revision>,
    /// Revisions that are kept of it.
    pub(crate) keep: u64,
}

/// A revision as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// All about it but the content.
    pub(crate) record: RevisionRecord,
    /// The content.
    pub(crate) content: Vec<u8>,
}

/// What is kept of datasets on disk.
pub(crate) struct Ledger(Database);

impl Ledger {
    /// Opens the ledger in this file, which is made if it is missing.
    ///
    /// # Errors
    /// It cannot be opened, or is damaged.
    pub(crate) fn open(path: &Path) -> Result<Ledger> {
        let ledger = Ledger(Database::open(path, CACHE)?);
        ledger.in_one(|write| {
            write.open_table(MEMORIES)?;
            write.open_table(RECORDS)?;
            write.open_table(CONTENTS)?;
            Ok(())
        })?;
        Ok(ledger)
    }

    /// What is remembered of a dataset; nothing, if it was never here.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn memory(&self, dataset: &str) -> Result<Memory> {
        let read = self.0.read("reading the ledger of datasets")?;
        match read.open_table(MEMORIES)?.get(dataset)? {
            Some(row) => from_row(row.value()),
            None => Ok(Memory::default()),
        }
    }

    /// The records of a dataset, newest first, at most `limit`.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn history(&self, dataset: &str, limit: usize) -> Result<Vec<RevisionRecord>> {
        let read = self.0.read("reading the ledger of datasets")?;
        let records = read.open_table(RECORDS)?;
        records
            .range(of(dataset))?
            .rev()
            .take(limit)
            .map(|entry| from_row(entry?.1.value()))
            .collect()
    }

    /// The number of what a dataset held before this revision; `None` where that is not kept, or it held nothing.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn before(&self, dataset: &str, number: u64) -> Result<Option<u64>> {
        let read = self.0.read("reading the ledger of datasets")?;
        let records = read.open_table(RECORDS)?;
        let older = records.range((dataset, 0)..(dataset, number))?.next_back();
        Ok(older.transpose()?.map(|(key, _)| key.value().1))
    }

    /// A revision with its content; `None` where it is not kept.
    ///
    /// # Errors
    /// It cannot be read, or its content is damaged.
    pub(crate) fn revision(&self, dataset: &str, number: u64) -> Result<Option<Kept>> {
        let read = self.0.read("reading the ledger of datasets")?;
        let Some(row) = read.open_table(RECORDS)?.get((dataset, number))? else {
            return Ok(None);
        };
        let record: RevisionRecord = from_row(row.value())?;
        let contents = read.open_table(CONTENTS)?;
        let content = contents.get((dataset, number))?;
        let content = content.map_or_else(Vec::new, |content| content.value().to_vec());
        ensure!(
            Digest::of(&content) == record.hash,
            "the content of revision {number} of \"{dataset}\" is damaged on disk"
        );
        Ok(Some(Kept { record, content }))
    }

    /// Writes these changes: all of them are on disk afterwards, or none.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn write(&self, entries: &mut [Entry<'_>]) -> Result<()> {
        self.in_one(|write| {
            for entry in entries.iter_mut() {
                if let Some(revision) = entry.revision {
                    add(write, entry.dataset, revision)?;
                    entry.memory.kept += 1;
                }
                while entry.memory.kept > entry.keep {
                    remove_oldest(write, entry.dataset)?;
                    entry.memory.kept -= 1;
                }
                let row = to_row(entry.memory)?;
                write
                    .open_table(MEMORIES)?
                    .insert(entry.dataset, row.as_slice())?;
            }
            Ok(())
        })
    }

    fn in_one(&self, work: impl FnOnce(&WriteTransaction) -> Result<()>) -> Result<()> {
        self.0.write("writing the ledger of datasets", work)
    }
}

fn of(dataset: &str) -> RangeInclusive<(&str, u64)> {
    (dataset, 0)..=(dataset, u64::MAX)
}

fn add(write: &WriteTransaction, dataset: &str, revision: &Revision) -> Result<()> {
    let key = (dataset, revision.record.number);
    let row = to_row(&revision.record)?;
    write.open_table(RECORDS)?.insert(key, row.as_slice())?;
    let content = revision.content.as_slice();
    write.open_table(CONTENTS)?.insert(key, content)?;
    Ok(())
}

fn remove_oldest(write: &WriteTransaction, dataset: &str) -> Result<()> {
    let mut records = write.open_table(RECORDS)?;
    let oldest = match records.range(of(dataset))?.next() {
        Some(entry) => entry?.0.value().1,
        None => return Ok(()),
    };
    records.remove((dataset, oldest))?;
    write.open_table(CONTENTS)?.remove((dataset, oldest))?;
    Ok(())
}

fn to_row(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("writing a row of the ledger")
}

fn from_row<T: for<'de> Deserialize<'de>>(row: &[u8]) -> Result<T> {
    serde_json::from_slice(row)
        .context("reading a row of the ledger, perhaps written by another version of the host")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Format, Origin};

    fn revision(number: u64, content: &[u8]) -> Revision {
        let record = RevisionRecord {
            number,
            time: 0,
            origin: Origin::operator("a test"),
            format: Format::Bytes,
            hash: Digest::of(content),
            length: content.len() as u64,
        };
        Revision {
            record,
            content: content.to_vec(),
            parsed: None,
        }
    }

    fn put(ledger: &Ledger, memory: &mut Memory, number: u64, content: &[u8]) {
        let revision = revision(number, content);
        ledger
            .write(&mut [Entry {
                dataset: "rates",
                memory,
                revision: Some(&revision),
                keep: 3,
            }])
            .expect("it is written");
    }

    fn numbers(ledger: &Ledger, dataset: &str) -> Vec<u64> {
        let history = ledger.history(dataset, 100).expect("it is read");
        history.iter().map(|record| record.number).collect()
    }

    #[test]
    fn the_last_revisions_are_kept_and_the_oldest_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(&folder.path().join("data.redb")).expect("it opens");
        let mut memory = Memory::default();
        for number in [1, 2, 5, 6, 9] {
            put(&ledger, &mut memory, number, &number.to_be_bytes());
        }
        assert_eq!(numbers(&ledger, "rates"), [9, 6, 5]);
        assert_eq!(ledger.revision("rates", 2).expect("it is read"), None);
        let kept = ledger.revision("rates", 6).expect("it is read");
        assert_eq!(
            kept.map(|kept| kept.content),
            Some(vec![0, 0, 0, 0, 0, 0, 0, 6])
        );
        assert_eq!(ledger.memory("rates").expect("it is read"), memory);
        assert_eq!(numbers(&ledger, "rate"), [0; 0]);
        let before = |number| ledger.before("rates", number).expect("it is read");
        assert_eq!([9, 6, 5].map(before), [Some(6), Some(5), None]);
    }

    #[test]
    fn a_damaged_content_is_not_given_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(&folder.path().join("data.redb")).expect("it opens");
        put(&ledger, &mut Memory::default(), 1, b"whole");
        ledger
            .in_one(|write| {
                write
                    .open_table(CONTENTS)?
                    .insert(("rates", 1), b"other".as_slice())?;
                Ok(())
            })
            .expect("it is written");
        let error = ledger.revision("rates", 1).expect_err("it is damaged");
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}
