//! Kafka: a source whose truth is a topic.
//!
//! In the mode `latest` the newest message is the whole content. In the mode `table` the topic is a compacted one, and the
//! content is an object of the newest value of each key; a message without a value takes its key away.
//!
//! A host needs all of it, so it takes the partitions for itself: it is no member of a group, and nobody who joins one can
//! take a partition away. Where it has come to is still committed for `group`, after the decision on what was brought, so
//! that the tools which show how far consumers are behind show this one too. What is read never depends on it: the truth
//! is what stands in the topic.
//!
//! It is read in *rounds*. A round asks where the partitions begin and end, reads up to there, brings what it found, and
//! goes on with each batch of messages. What may have torn the thread ends it, and the next one starts from the truth: a
//! broker that is gone, an offset that is out of range, another number of partitions.

mod client;
mod newest;
mod settings;
mod table;

use super::{Circumstances, Inbox, Kind, Source, Wake};
use crate::config::{Key, Reads, SourceConfig};
use anyhow::{Result, ensure};
use client::{Came, Client, Consumer};
use newest::Newest;
use rdkafka::Message;
use settings::{Mode, Settings};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use table::Table;

/// The kind of source.
pub(super) const KIND: Kind = Kind {
    word: "kafka",
    feature: Some("kafka"),
    keys: &[
        Key::required("brokers", Reads::Text),
        Key::required("topic", Reads::Text),
        Key::optional("mode", Reads::Word(settings::MODES)),
        Key::optional("partition", Reads::Count(0, i32::MAX as usize)),
        Key::optional("group", Reads::Text),
        Key::optional("timeout", Reads::Duration),
        Key::optional("security", Reads::Word(settings::SECURITIES)),
        Key::optional("mechanism", Reads::Word(settings::MECHANISMS)),
        Key::optional("username", Reads::Text),
        Key::optional("password", Reads::Secret),
        Key::optional("ca_file", Reads::Path),
        Key::optional("cert_file", Reads::Path),
        Key::optional("key_file", Reads::Path),
    ],
    place: "topic",
    make: Some(make),
};

/// How long a wait for a message may keep the bell from being heard.
const LISTEN: Duration = Duration::from_millis(100);
/// Messages after which a batch is brought though more are there.
const BATCH: usize = 100_000;

fn make(config: &SourceConfig, circumstances: &Circumstances) -> Result<Box<dyn Source>> {
    let settings = Settings::of(config, circumstances)?;
    Ok(Box::new(KafkaSource {
        settings,
        consumer: None,
    }))
}

struct KafkaSource {
    settings: Settings,
    /// Kept when the source is lost: it finds its brokers again by itself, and takes its time to close without them.
    consumer: Option<Consumer>,
}

/// A partition, with the offset of its first message and the one that its next message will get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    partition: i32,
    low: i64,
    high: i64,
}

/// For each partition, an offset.
type Offsets = BTreeMap<i32, i64>;

/// What the messages of a round come to.
trait View {
    /// Where to begin.
    fn starts(&self, marks: &[Mark]) -> Offsets;

    /// Another message.
    ///
    /// # Errors
    /// It is more than may be kept.
    fn take(&mut self, message: &impl Message) -> Result<()>;

    /// All is read up to the end of the partitions, and on to `next`: brings the content, if there is something to bring.
    ///
    /// # Errors
    /// As those of [`Inbox::deliver`].
    fn bring(&mut self, inbox: &Inbox, next: &Offsets) -> Result<Brought>;

    /// Another look at the truth, whose partitions begin and end there now: whether it takes another round. If not, the
    /// content is to be brought once more.
    fn look(&mut self, next: &Offsets, marks: &[Mark]) -> bool;
}

/// What became of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    /// It is decided, so that it need not be read again.
    Decided,
    /// A pin holds it out.
    HeldOut,
    /// There was nothing where it was looked for; it is to be looked for further back.
    FurtherBack,
}

impl Source for KafkaSource {
    fn follow(&mut self, inbox: &Inbox) -> Result<()> {
        let consumer = match &self.consumer {
            Some(consumer) => consumer,
            None => {
                let new = client::consumer(&self.settings, inbox.name())?;
                &*self.consumer.insert(new)
            }
        };
        let client = Client::of(consumer, &self.settings, inbox)?;
        while !inbox.ended() {
            let marks = client.marks()?;
            compare(&self.settings, inbox, &marks);
            match self.settings.mode {
                Mode::Latest => {
                    let view = Newest::new(&self.settings, &marks)?;
                    round(&self.settings, &client, inbox, &marks, view)?;
                }
                Mode::Table => {
                    let view = Table::new(&self.settings);
                    round(&self.settings, &client, inbox, &marks, view)?;
                },
            }
        }
        Ok(())
    }
}

/// A round, until something ends it.
fn round(
        settings: &Settings,
        client: &Client<'_>,
        inbox: &Inbox,
        marks: &[Mark],
        mut view: impl View,
    ) -> Result<()> {
        let mut reach = Reach::of(view.starts(marks));
        client.assign(&reach.next)?;
        let mut look = Instant::now() + settings.poll;
        let mut is_decided = false;
        loop {
            if !read(client, inbox, &mut view, &mut reach)? {
                return Ok(());
            }
            if reach.is_whole() {
                match view.bring(inbox, &reach.next)? {
                    Brought::FurtherBack => {
                        reach = Reach::of(view.starts(marks));
                        client.assign(&reach.next)?;
                        continue;
                    }
                    brought => is_decided = brought == Brought::Decided,
                }
                inbox.healthy();
            } else {
                let (limit, idle) = (settings.timeout, reach.moved.elapsed());
                ensure!(
                    idle <= limit + LISTEN,
                    "the end of the topic \"{}\" was not reached: nothing came for {idle:.1?}",
                    settings.topic
                );
            }
            let wake = inbox.wait(Duration::ZERO);
            if is_decided {
                client.commit(&reach.next, wake == Wake::Ended)?;
            }
            match wake {
                Wake::Ended => return Ok(()),
                Wake::Rung => look = Instant::now(),
                Wake::TimeUp => {}
            }
            if Instant::now() >= look && reach.is_whole() {
                if view.look(&reach.next, &client.marks()?) || client.has_missed() {
                    return Ok(());
                }
                look = Instant::now() + settings.poll;
            }
        }
    }

/// How far a round has come.
struct Reach {
    /// The next offset of each partition.
    next: Offsets,
    /// Partitions whose end was not reached so far.
    before_end: BTreeSet<i32>,
    /// When something came last.
    moved: Instant,
}

impl Reach {
    fn of(next: Offsets) -> Reach {
        Reach {
            before_end: next.keys().copied().collect(),
            next,
            moved: Instant::now(),
        }
    }

    fn is_whole(&self) -> bool {
        self.before_end.is_empty()
    }
}

/// Reads what is there, after a wait for the first of it. `false` if the round is at its end.
fn read(
    client: &Client<'_>,
    inbox: &Inbox,
    view: &mut impl View,
    reach: &mut Reach,
) -> Result<bool> {
    let mut wait = LISTEN;
    for _ in 0..BATCH {
        match client.next(wait)? {
            Came::Message(message) => {
                view.take(&message)?;
                reach.next.insert(message.partition(), message.offset() + 1);
            }
            Came::End(partition) => drop(reach.before_end.remove(&partition)),
            Came::Nothing => break,
            Came::Doubt => return Ok(false),
            Came::Reset(reason) => {
                inbox.remark(&format!("{reason}; the topic is read from the start of its truth"));
                return Ok(false);
            }
        }
        reach.moved = Instant::now();
        wait = Duration::ZERO;
    }
    Ok(true)
}

/// Says what was seen before and is not there any more: the topic was made anew, or messages were removed too soon.
fn compare(settings: &Settings, inbox: &Inbox, marks: &[Mark]) {
    let (topic, cursor) = (&settings.topic, inbox.held().1);
    for (partition, seen) in cursor.as_deref().map(offsets).unwrap_or_default() {
        let Some(mark) = marks.iter().find(|mark| mark.partition == partition) else {
            inbox.remark(&format!(
                "\"{topic}\" has no partition {partition} any more: it was made anew; what it has now is the truth"
            ));
            continue;
        };
        if mark.high <= seen {
            inbox.remark(&format!(
                "partition {partition} of \"{topic}\" ends before offset {}, and {seen} was seen: it was made anew or has lost its end; what it has now is the truth",
                mark.high
            ));
        } else if settings.mode == Mode::Table && mark.low > seen + 1 {
            inbox.remark(&format!(
                "\"{topic}\" has lost its messages before offset {} of partition {partition}, which were not read: a table needs cleanup.policy=compact",
                mark.low
            ));
        }
    }
}

/// Offsets as a cursor: `0:17`, or `0:17,1:4` of several partitions.
fn cursor(offsets: &Offsets) -> String {
    let each = offsets
        .iter()
        .map(|(partition, offset)| format!("{partition}:{offset}"));
    each.collect::<Vec<_>>().join(",")
}

/// The offsets of a cursor.
fn offsets(cursor: &str) -> Offsets {
    let each = cursor.split(',').filter_map(|one| {
        let (partition, offset) = one.split_once(':')?;
        Some((partition.parse().ok()?, offset.parse().ok()?))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let several = Offsets::from([(0, 17), (1, 4)]);
        assert_eq!(cursor(&several), "0:17,1:4");
        assert_eq!(offsets("0:17,1:4"), several);
        assert_eq!(offsets("a change id"), Offsets::new());
    }
}
