//! The journal's tables: records, memories, and the numbers of generations.
//!
//! A record is kept under its plugin and its sequence, so that a history is one walk from the end. Records are pruned
//! oldest first, but for those a rollback needs: the last one under which a kept artifact served.

use super::{
    Database, Store,
    rows::{self, ARTIFACTS, COUNTERS, INTENTS, LENGTHS, MEMORIES, RECORDS},
};
use crate::journal::{Memory, Outcome, Record};
use redb::{ReadableTable, WriteTransaction};
use std::{collections::HashSet, ops::RangeInclusive};

/// How many generations are reserved with one write.
const BLOCK: u64 = 64;

/// The generations that are reserved on disk and not yet handed out.
pub(super) struct Reserved {
    next: u64,
    end: u64,
}

/// Makes the tables that are missing, and finds where generations go on: after all that may have been handed out.
pub(super) fn prepare(database: &Database) -> anyhow::Result<Reserved> {
    database.write("preparing the journal", |write| {
        write.open_table(RECORDS)?;
        write.open_table(LENGTHS)?;
        write.open_table(INTENTS)?;
        write.open_table(MEMORIES)?;
        write.open_table(ARTIFACTS)?;
        write.open_table(rows::VERDICTS)?;
        write.open_table(rows::VERDICT_ORDER)?;
        write.open_table(rows::RELEASES)?;
        let counters = write.open_table(COUNTERS)?;
        let next = counters
            .get(rows::GENERATIONS)?
            .map_or(1, |next| next.value());
        Ok(Reserved { next, end: next })
    })
}

impl Store {
    /// A number for a generation: durable, never handed out twice, not always the next one.
    pub(crate) fn next_generation(&self) -> anyhow::Result<u64> {
        let mut reserved = self.generations.lock();
        if reserved.next == reserved.end {
            let end = reserved.end + BLOCK;
            self.write("reserving generations", |write| {
                write.open_table(COUNTERS)?.insert(rows::GENERATIONS, end)?;
                Ok(())
            })?;
            reserved.end = end;
        }
        let generation = reserved.next;
        reserved.next += 1;
        Ok(generation)
    }

    /// Gives back what was reserved and not handed out, so that the next life goes on without a gap. The host takes no
    /// more generations after this.
    pub(crate) fn give_back_generations(&self) -> anyhow::Result<()> {
        let mut reserved = self.generations.lock();
        let next = reserved.next;
        self.write("giving back generations", |write| {
            write
                .open_table(COUNTERS)?
                .insert(rows::GENERATIONS, next)?;
            Ok(())
        })?;
        reserved.end = next;
        Ok(())
    }

    /// Adds a record, and gives its sequence; the one in the record does not count.
    pub(crate) fn begin(&self, mut record: Record) -> anyhow::Result<u64> {
        self.write("adding a record to the journal", |write| {
            record.sequence = next(write, rows::SEQUENCES)?;
            let mut lengths = write.open_table(LENGTHS)?;
            let length = lengths
                .get(record.plugin.as_str())?
                .map_or(0, |length| length.value());
            lengths.insert(record.plugin.as_str(), length + 1)?;
            drop(lengths);
            put_record(write, &record)?;
            let excess = (length + 1).saturating_sub(self.limits.records);
            if excess > 0 {
                prune(write, &record.plugin, excess)?;
            }
            Ok(record.sequence)
        })
    }

    /// Replaces the record with this sequence, now that more is known of it.
    pub(crate) fn finish(&self, record: &Record) -> anyhow::Result<()> {
        self.write("completing a record of the journal", |write| {
            replace(write, record)
        })
    }

    /// [`Store::finish`], and remembers this of the plugin in place of what was remembered before: both are on disk, or
    /// neither.
    pub(crate) fn finish_and_remember(
        &self,
        record: &Record,
        memory: &Memory,
    ) -> anyhow::Result<()> {
        self.write("completing a record of the journal", |write| {
            replace(write, record)?;
            put_memory(write, &record.plugin, memory)
        })
    }

    /// The records of a plugin, newest first, at most `limit`.
    pub(crate) fn history(&self, plugin: &str, limit: usize) -> anyhow::Result<Vec<Record>> {
        let read = self.database.read("reading the journal")?;
        let records = read.open_table(RECORDS)?;
        let mut history = Vec::new();
        for entry in records.range(of(plugin))?.rev() {
            if history.len() == limit {
                break;
            }
            let (key, row) = entry?;
            history.extend(readable(key.value(), row.value()));
        }
        Ok(history)
    }

    /// The records that are still intents, oldest first: journeys that the end of a process cut off.
    pub(crate) fn unfinished(&self) -> anyhow::Result<Vec<Record>> {
        let read = self.database.read("reading the journal")?;
        let records = read.open_table(RECORDS)?;
        let mut unfinished = Vec::new();
        for entry in read.open_table(INTENTS)?.iter()? {
            let (sequence, plugin) = entry?;
            let key = (plugin.value(), sequence.value());
            if let Some(row) = records.get(key)? {
                unfinished.extend(readable(key, row.value()));
            }
        }
        Ok(unfinished)
    }

    /// What is remembered of a plugin; nothing, if it was never here.
    pub(crate) fn memory(&self, plugin: &str) -> anyhow::Result<Memory> {
        let read = self.database.read("reading the journal")?;
        match read.open_table(MEMORIES)?.get(plugin)? {
            Some(row) => rows::read(row.value(), &format!("the memory of \"{plugin}\"")),
            None => Ok(Memory::default()),
        }
    }

    /// Remembers this of a plugin, in place of what was remembered before.
    pub(crate) fn remember(&self, plugin: &str, memory: &Memory) -> anyhow::Result<()> {
        self.write("remembering a plugin", |write| {
            put_memory(write, plugin, memory)
        })
    }

    /// Every plugin that is remembered, by name.
    pub(crate) fn plugins(&self) -> anyhow::Result<Vec<(String, Memory)>> {
        let read = self.database.read("reading the journal")?;
        let mut plugins = Vec::new();
        for entry in read.open_table(MEMORIES)?.iter()? {
            let (plugin, row) = entry?;
            let plugin = plugin.value().to_owned();
            let memory = rows::read(row.value(), &format!("the memory of \"{plugin}\""))?;
            plugins.push((plugin, memory));
        }
        Ok(plugins)
    }

    /// Runs `work` in one transaction: all of it is on disk afterwards, or nothing.
    pub(super) fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&WriteTransaction) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.database.write(doing, work)
    }
}

/// The next number of a counter, from 1.
pub(super) fn next(write: &WriteTransaction, counter: &str) -> anyhow::Result<u64> {
    let mut counters = write.open_table(COUNTERS)?;
    let number = counters.get(counter)?.map_or(0, |last| last.value()) + 1;
    counters.insert(counter, number)?;
    Ok(number)
}

/// The keys of a plugin's records.
fn of(plugin: &str) -> RangeInclusive<(&str, u64)> {
    (plugin, 0)..=(plugin, u64::MAX)
}

/// The record in a row. One that cannot be read is left out, loudly: it must not hide all the others.
fn readable(key: (&str, u64), row: &[u8]) -> Option<Record> {
    let (plugin, sequence) = key;
    rows::read(row, &format!("record {sequence}"))
        .inspect_err(|error| {
            tracing::error!(
                plugin,
                sequence,
                "leaving out a record of the journal: {error:#}"
            );
        })
        .ok()
}

fn put_record(write: &WriteTransaction, record: &Record) -> anyhow::Result<()> {
    let row = rows::write(record, "a record")?;
    let plugin = record.plugin.as_str();
    write
        .open_table(RECORDS)?
        .insert((plugin, record.sequence), row.as_slice())?;
    let mut intents = write.open_table(INTENTS)?;
    if record.outcome == Outcome::Intent {
        intents.insert(record.sequence, plugin)?;
    } else {
        intents.remove(record.sequence)?;
    }
    if matches!(record.outcome, Outcome::Swapped { .. }) {
        let digest = record.digest.to_string();
        let mut artifacts = write.open_table(ARTIFACTS)?;
        let key = (plugin, digest.as_str());
        let served = artifacts.get(key)?.map_or(0, |sequence| sequence.value());
        artifacts.insert(key, served.max(record.sequence))?;
    }
    Ok(())
}

fn replace(write: &WriteTransaction, record: &Record) -> anyhow::Result<()> {
    let key = (record.plugin.as_str(), record.sequence);
    let known = write.open_table(RECORDS)?.get(key)?.is_some();
    anyhow::ensure!(
        known,
        "there is no record {} of \"{}\"",
        record.sequence,
        record.plugin
    );
    put_record(write, record)
}

fn put_memory(write: &WriteTransaction, plugin: &str, memory: &Memory) -> anyhow::Result<()> {
    let row = rows::write(memory, "a memory")?;
    write.open_table(MEMORIES)?.insert(plugin, row.as_slice())?;
    Ok(())
}

/// Removes the oldest `excess` records of a plugin that no rollback needs.
fn prune(write: &WriteTransaction, plugin: &str, excess: u64) -> anyhow::Result<()> {
    let needed: HashSet<u64> = super::artifacts::of(write, plugin)?
        .into_iter()
        .map(|(_, sequence)| sequence)
        .collect();
    let mut records = write.open_table(RECORDS)?;
    let mut oldest = Vec::new();
    for entry in records.range(of(plugin))? {
        if oldest.len() as u64 == excess {
            break;
        }
        let sequence = entry?.0.value().1;
        if !needed.contains(&sequence) {
            oldest.push(sequence);
        }
    }
    let mut intents = write.open_table(INTENTS)?;
    for sequence in &oldest {
        records.remove((plugin, *sequence))?;
        intents.remove(*sequence)?;
    }
    let mut lengths = write.open_table(LENGTHS)?;
    let length = lengths.get(plugin)?.map_or(0, |length| length.value());
    lengths.insert(plugin, length.saturating_sub(oldest.len() as u64))?;
    Ok(())
}
