//! The newest message: what a topic comes to in the mode `latest`.
//!
//! The last offset of a partition need not hold a message: transactions leave marks there. So it is looked for from the
//! end, further back each time.

use super::{Brought, Inbox, Mark, Offsets, View, cursor, settings::Settings};
use crate::data::{
    dataset::Stage,
    format::Mistake,
    publisher::{Decision, too_large},
    revision::Origin,
    source::Delivery,
};
use anyhow::{Result, bail};
use rdkafka::Message;

/// How much further back it is looked for each time.
const STEP: i64 = 16;

/// The newest message of a partition.
pub(super) struct Newest<'a> {
    settings: &'a Settings,
    /// The partition, as it was when the round began.
    mark: Mark,
    /// How far from the end it is looked for.
    back: i64,
    /// Whether one was found in this round, or there is none.
    is_found: bool,
    /// The newest, if it was not brought so far.
    message: Option<Found>,
    /// What became of the last that was brought.
    brought: Brought,
}

/// A message: where it stands, and its value or what is wrong with it.
struct Found {
    cursor: String,
    value: Result<Vec<u8>, Mistake>,
}

impl<'a> Newest<'a> {
    /// Nothing yet.
    ///
    /// # Errors
    /// There is more than one partition: no order says which message is the newest.
    pub(super) fn new(settings: &'a Settings, marks: &[Mark]) -> Result<Self> {
        let &[mark] = marks else {
            bail!(
                "\"{}\" has {} partitions, and nothing says which of their messages is the newest: set `partition`, use mode = \"table\", or make the topic with one partition",
                settings.topic,
                marks.len()
            );
        };
        Ok(Newest {
            settings,
            mark,
            back: 1,
            is_found: false,
            message: None,
            brought: Brought::Decided,
        })
    }

    fn start(&self) -> i64 {
        self.mark.low.max(self.mark.high.saturating_sub(self.back))
    }

    /// There is no message.
    fn miss(&self, inbox: &Inbox) -> Result<Brought> {
        let topic = &self.settings.topic;
        let last = cursor(&Offsets::from([(self.mark.partition, self.mark.high - 1)]));
        let held = inbox.held().0.filter(|held| {
            matches!(&held.record.origin, Origin::Source { cursor: Some(cursor), .. } if *cursor == last)
        });
        let Some(held) = held else {
            let reason = match self.mark.high {
                0 => format!("the topic \"{topic}\" has no message yet"),
                _ => format!(
                    "the topic \"{topic}\" has no message any more: its newest was removed; set retention.ms=-1 for it"
                ),
            };
            inbox.refuse(Stage::Received, Mistake::of_all(reason))?;
            return Ok(Brought::Decided);
        };
        inbox.remark(&format!(
            "the newest message of \"{topic}\", {last}, was removed after it was read; it is held on, but no other host can read it: set retention.ms=-1 for the topic"
        ));
        let delivery = Delivery {
            content: held.content.clone(),
            format: Some(held.record.format),
            cursor: Some(last),
        };
        Ok(Brought::by(&inbox.deliver(delivery)?))
    }
}

impl View for Newest<'_> {
    fn starts(&self, _marks: &[Mark]) -> Offsets {
        Offsets::from([(self.mark.partition, self.start())])
    }

    fn take(&mut self, message: &impl Message) -> Result<()> {
        let most = self.settings.max_bytes;
        let value = match message.payload() {
            None => Err(Mistake::of_all("it has no value")),
            Some(value) if value.len() as u64 > most => Err(too_large(value.len() as u64, most)),
            Some(value) => Ok(value.to_vec()),
        };
        let cursor = cursor(&Offsets::from([(message.partition(), message.offset())]));
        self.message = Some(Found { cursor, value });
        self.is_found = true;
        Ok(())
    }

    fn bring(&mut self, inbox: &Inbox, _next: &Offsets) -> Result<Brought> {
        if let Some(Found { cursor, value }) = self.message.take() {
            self.brought = match value {
                Ok(content) => Brought::by(&inbox.deliver(Delivery {
                    content,
                    format: None,
                    cursor: Some(cursor),
                })?),
                Err(mistake) => {
                    let reason = format!("the message {cursor}: {}", mistake.reason);
                    inbox.refuse(Stage::Received, Mistake::of_all(reason))?;
                    Brought::Decided
                }
            };
        } else if !self.is_found && self.start() > self.mark.low {
            self.back = self.back.saturating_mul(STEP);
            return Ok(Brought::FurtherBack);
        } else if !self.is_found {
            self.is_found = true;
            self.brought = self.miss(inbox)?;
        }
        Ok(self.brought)
    }

    fn look(&mut self, _next: &Offsets, _marks: &[Mark]) -> bool {
        true
    }
}

impl Brought {
    /// What a decision of the publisher comes to.
    pub(super) fn by(decision: &Decision) -> Brought {
        match decision {
            Decision::Pinned => Brought::HeldOut,
            Decision::Published(_) | Decision::Unchanged | Decision::Refused(_) => Brought::Decided,
        }
    }
}
