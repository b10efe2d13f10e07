//! The table: what a compacted topic comes to in the mode `table`, the newest value of each key.
//!
//! What a topic comes to depends on nothing but what stands in it, whenever it is read. So a value that cannot be parsed is
//! neither left out nor replaced by the one before, which compaction may have removed: it is refused with all of the table,
//! until its key has another value or none.

use super::{Brought, Inbox, Mark, Offsets, View, cursor, settings::Settings};
use crate::data::{
    dataset::Stage,
    format::{Format, Mistake},
    source::Delivery,
};
use anyhow::{Context, Result, ensure};
use rdkafka::Message;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// The newest value of each key.
pub(super) struct Table<'a> {
    settings: &'a Settings,
    /// Values as JSON, or what is wrong with them.
    values: BTreeMap<String, Result<Box<RawValue>, Mistake>>,
    /// Bytes of keys and values.
    bytes: u64,
    /// What is wrong with a message that was passed over since it has no key.
    passed_over: Option<Mistake>,
    /// Whether a message was read.
    is_found: bool,
    /// Whether it is to be brought.
    is_due: bool,
    /// What became of it when it was brought last.
    brought: Brought,
}

impl<'a> Table<'a> {
    /// An empty one.
    pub(super) fn new(settings: &'a Settings) -> Self {
        Table {
            settings,
            values: BTreeMap::new(),
            bytes: 0,
            passed_over: None,
            is_found: false,
            is_due: true,
            brought: Brought::Decided,
        }
    }

    fn parse(&self, value: &[u8]) -> Result<Box<RawValue>, Mistake> {
        let parsed = self.settings.format.parse(value)?.unwrap_or_default();
        to_raw_value(&parsed).map_err(|error| Mistake::of_all(error.to_string()))
    }

    /// Puts a value under a key, or takes the key away.
    fn put(&mut self, key: &str, value: Option<Result<Box<RawValue>, Mistake>>) {
        let size = |value: &Result<Box<RawValue>, Mistake>| {
            let value = value.as_ref().map_or(0, |value| value.get().len());
            (key.len() + value) as u64
        };
        let added = value.as_ref().map_or(0, size);
        let before = match value {
            Some(value) => self.values.insert(key.to_owned(), value),
            None => self.values.remove(key),
        };
        self.bytes = self.bytes + added - before.as_ref().map_or(0, size);
    }

    /// The content, or what is wrong with the first value that cannot be part of it.
    fn content(&self) -> Result<Result<Vec<u8>, &Mistake>> {
        let mut object = BTreeMap::new();
        for (key, value) in &self.values {
            match value {
                Ok(value) => drop(object.insert(key, value)),
                Err(mistake) => return Ok(Err(mistake)),
            }
        }
        Ok(Ok(serde_json::to_vec(&object).context("writing the table")?))
    }
}

impl View for Table<'_> {
    fn starts(&self, marks: &[Mark]) -> Offsets {
        marks.iter().map(|mark| (mark.partition, mark.low)).collect()
    }

    fn take(&mut self, message: &impl Message) -> Result<()> {
        let place = cursor(&Offsets::from([(message.partition(), message.offset())]));
        (self.is_found, self.is_due) = (true, true);
        let key = match message.key().map(std::str::from_utf8) {
            Some(Ok(key)) => key,
            Some(Err(_)) => {
                let reason = format!("the key of the message {place} is not UTF-8; it is passed over");
                self.passed_over = Some(Mistake::of_all(reason));
                return Ok(());
            }
            None => {
                let reason = format!("the message {place} has no key; it is passed over");
                self.passed_over = Some(Mistake::of_all(reason));
                return Ok(());
            }
        };
        let value = message.payload().map(|value| {
            self.parse(value).map_err(|mistake| {
                let reason = format!("the value of \"{key}\" (message {place}): {mistake}");
                Mistake::of_all(reason)
            })
        });
        self.put(key, value);
        // What is deleted later counts until then; what is published is bounded by the publisher.
        let (bytes, most) = (self.bytes, self.settings.max_bytes.saturating_mul(2));
        ensure!(
            bytes <= most,
            "the table has more than {} at the message {place}, twice the max_bytes of the dataset",
            bytesize::ByteSize(most)
        );
        Ok(())
    }

    fn bring(&mut self, inbox: &Inbox, next: &Offsets) -> Result<Brought> {
        if !std::mem::take(&mut self.is_due) {
            return Ok(self.brought);
        }
        if !self.is_found {
            let topic = &self.settings.topic;
            let reason = format!("the topic \"{topic}\" has no message");
            inbox.refuse(Stage::Received, Mistake::of_all(reason))?;
            return Ok(Brought::Decided);
        }
        self.brought = match self.content()? {
            Ok(content) => {
                let seen = next.iter().map(|(partition, next)| (*partition, next - 1));
                let decision = inbox.deliver(Delivery {
                    content,
                    format: Some(Format::Json),
                    cursor: Some(cursor(&seen.filter(|(_, seen)| *seen >= 0).collect())),
                })?;
                Brought::by(&decision)
            }
            Err(mistake) => {
                inbox.refuse(Stage::Parsed, mistake.clone())?;
                Brought::Decided
            }
        };
        if let Some(mistake) = self.passed_over.take() {
            inbox.refuse(Stage::Received, mistake)?;
        }
        Ok(self.brought)
    }

    fn look(&mut self, next: &Offsets, marks: &[Mark]) -> bool {
        self.is_due = true;
        let ends: Offsets = marks.iter().map(|mark| (mark.partition, mark.high)).collect();
        ends != *next
    }
}
