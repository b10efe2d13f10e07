//! The dataset: named hot data, as it was declared and as it stands.
//!
//! What came, what is valid, what is published, what was applied and how the source is are different facts, each told by
//! itself in a [`DatasetStatus`]. What is refused stands beside what is held.

use super::{
    format::{Format, Mistake},
    ledger::Memory,
    revision::{Origin, RevisionRecord},
    schema::Schema,
};
use crate::{announce::now_millis, artifact::Digest, config::DatasetConfig};
use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    task::Waker,
    time::{Duration, Instant},
};

/// How far content came before it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It could not be had, or is too large.
    Received,
    /// It is not in its format.
    Parsed,
    /// It does not fit the schema.
    Validated,
    /// Somebody who uses it objects.
    Checked,
}

/// Content that was not published; what was held is held on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When: milliseconds since 1970.
    pub time: u64,
    /// Who brought it.
    pub origin: Origin,
    /// At which stage it was refused.
    pub stage: Stage,
    /// Where the mistake stands, and what it is.
    #[serde(flatten)]
    pub mistake: Mistake,
    /// The digest of the content, if there was any.
    pub hash: Option<Digest>,
}

/// Content that came, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// When: milliseconds since 1970.
    pub time: u64,
    /// Who brought it.
    pub origin: Origin,
    /// Its digest.
    pub hash: Digest,
    /// Its length in bytes.
    pub length: u64,
}

/// A revision that all who read the dataset have been told of, as far as they want to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The revision.
    pub revision: u64,
    /// When: milliseconds since 1970.
    pub time: u64,
    /// Whose `on_change` failed, with the reason. It is published all the same.
    pub failures: Vec<String>,
}

/// A generation that serves and reads a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderStatus {
    /// The plugin.
    pub plugin: String,
    /// The author's version.
    pub version: String,
    /// The generation.
    pub generation: u64,
    /// The revision that its next call will see.
    pub revision: Option<u64>,
    /// Whether it is told of changes: it has a method `on_change`.
    pub is_told: bool,
}

/// How a source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SourceState {
    /// It has not been heard of since the host started.
    Starting,
    /// It is followed.
    Healthy,
    /// It cannot be followed now; it is tried again.
    Lost {
        /// Why.
        reason: String,
    },
}

/// All about a dataset's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its kind: `file`, ...
    pub kind: String,
    /// Where it has the dataset from.
    pub place: String,
    /// How it is.
    #[serde(flatten)]
    pub state: SourceState,
    /// Since when: milliseconds since 1970.
    pub since: u64,
    /// What is to be said of it though it is followed: that it hears of changes late, and why.
    #[serde(default)]
    pub remark: Option<String>,
}

/// All about one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetStatus {
    /// Its name.
    pub name: String,
    /// What it is written in.
    pub format: Format,
    /// The largest content in bytes.
    pub max_bytes: u64,
    /// The revision that is published.
    pub held: Option<RevisionRecord>,
    /// Whether that came from disk at the start, and has not been confirmed by the source since.
    pub from_disk: bool,
    /// Whether nothing has confirmed it for `stale_after`. It is served on.
    pub stale: bool,
    /// The revision that an operator went back to and the source has not overtaken.
    pub rolled_back_to: Option<u64>,
    /// Whether an operator holds it against the source.
    pub pinned: bool,
    /// What came last.
    pub received: Option<Received>,
    /// The last refusal, while nothing good has come after it; that of a source, until the source has brought it.
    pub refusal: Option<Refusal>,
    /// The plugins that read it.
    #[serde(default)]
    pub readers: Vec<ReaderStatus>,
    /// The last revision that all who read it have been told of.
    pub applied: Option<Applied>,
    /// Its source; without one only operators change it.
    pub source: Option<SourceStatus>,
}

impl Stage {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Stage::Received => "received",
            Stage::Parsed => "parsed",
            Stage::Validated => "validated",
            Stage::Checked => "checked",
        }
    }
}

impl Refusal {
    /// Whether it says nothing that the other does not.
    pub(crate) fn repeats(&self, other: &Refusal) -> bool {
        (self.stage, self.hash, &self.mistake) == (other.stage, other.hash, &other.mistake)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.mistake)
    }
}

/// A declared dataset, and how it stands.
pub(crate) struct Dataset {
    /// Its name.
    pub(crate) name: String,
    /// How it was declared.
    pub(crate) config: DatasetConfig,
    /// What its parsed content must fit.
    pub(crate) schema: Option<Schema>,
    /// How it stands. Changed by the publisher while it decides, and by the source's reports.
    pub(crate) facts: Mutex<Facts>,
    /// Rings when the source should bring its truth once more; gone when the source is to end.
    bell: Mutex<Option<Sender<()>>>,
    /// The other side of the bell.
    pub(crate) rung: Receiver<()>,
    /// The task that waits for the bell on no thread: its source has one at most. It keeps a whole runtime alive.
    waker: Mutex<Option<Waker>>,
}

/// How a dataset stands.
pub(crate) struct Facts {
    /// What is on disk too.
    pub(crate) memory: Memory,
    /// Whether the held revision came from disk, and was not confirmed since.
    pub(crate) from_disk: bool,
    /// When what is held was last known to be the truth.
    pub(crate) confirmed: Option<Instant>,
    /// Whether it was said that it is stale.
    pub(crate) said_stale: bool,
    /// What came last.
    pub(crate) received: Option<Received>,
    /// What those who use it have been told.
    pub(crate) applied: Option<Applied>,
    /// How its source is, and since when.
    pub(crate) source: (SourceState, u64),
    /// What the source has to say that is no failure.
    pub(crate) remark: Option<String>,
}

impl Dataset {
    /// A dataset as declared, as it stood when it was last remembered.
    ///
    /// # Errors
    /// Its schema cannot be used.
    pub(crate) fn new(name: &str, config: &DatasetConfig, memory: Memory) -> Result<Dataset> {
        let schema = config.json_schema.as_deref().map(Schema::load);
        let schema = schema.transpose().with_context(|| {
            format!("json_schema of [data.{name}]: write the path of a JSON Schema")
        })?;
        let (bell, rung) = bounded(1);
        Ok(Dataset {
            name: name.to_owned(),
            config: config.clone(),
            schema,
            facts: Mutex::new(Facts {
                memory,
                from_disk: false,
                confirmed: None,
                said_stale: false,
                received: None,
                applied: None,
                source: (SourceState::Starting, now_millis()),
                remark: None,
            }),
            bell: Mutex::new(Some(bell)),
            rung,
            waker: Mutex::default(),
        })
    }

    /// Asks the source for its truth once more.
    pub(crate) fn ring(&self) {
        if let Some(bell) = &*self.bell.lock() {
            // A bell that rings already is enough.
            let _rings = bell.try_send(());
        }
        self.wake();
    }

    /// Lets the source end.
    pub(crate) fn end(&self) {
        *self.bell.lock() = None;
        self.wake();
    }

    /// Has this one woken at the next ring, or the end, and none that was to be woken before. It looks once more after
    /// this: what came before wakes nobody.
    #[cfg_attr(
        not(feature = "async-sources"),
        expect(dead_code, reason = "only sources that wait on no thread ask for it")
    )]
    pub(crate) fn wakes(&self, waker: &Waker) {
        let mut known = self.waker.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    fn wake(&self) {
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the source is to end.
    pub(crate) fn has_ended(&self) -> bool {
        self.bell.lock().is_none()
    }

    /// How it stands, with this revision held, these that read it, and this time since its host opened it.
    pub(crate) fn status(
        &self,
        held: Option<RevisionRecord>,
        readers: Vec<ReaderStatus>,
        up: Duration,
    ) -> DatasetStatus {
        let facts = self.facts.lock();
        let by_hand = facts.memory.by_hand.as_ref();
        DatasetStatus {
            name: self.name.clone(),
            format: self.config.format,
            max_bytes: self.config.max_bytes,
            from_disk: facts.from_disk,
            stale: held.is_some() && self.is_stale(&facts, up),
            held,
            rolled_back_to: by_hand.and_then(|by_hand| by_hand.back_to),
            pinned: by_hand.is_some_and(|by_hand| by_hand.pinned),
            received: facts.received.clone(),
            refusal: facts.memory.refusal.clone(),
            readers,
            applied: facts.applied.clone(),
            source: self.config.source.as_ref().map(|source| SourceStatus {
                kind: source.kind.clone(),
                place: source.place(),
                state: facts.source.0.clone(),
                since: facts.source.1,
                remark: facts.remark.clone(),
            }),
        }
    }

    /// Whether nothing has confirmed it for too long; `up` is how long it could have been.
    pub(crate) fn is_stale(&self, facts: &Facts, up: Duration) -> bool {
        let unconfirmed = facts.confirmed.map_or(up, |confirmed| confirmed.elapsed());
        let limit = self.config.stale_after;
        limit.is_some_and(|limit| unconfirmed > limit)
    }
}
