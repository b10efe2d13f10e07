//! The source: where the content of a dataset comes from, and how it gets to the publisher.
//!
//! A kind of source is one file below this one, and one line in [`KINDS`]. It says which settings it takes, and how a
//! [`Source`] is made of them. The source is then *followed* on a thread of its own: it brings its truth to the inbox,
//! waits for the decision, and brings the next. However fast the truth changes, one content is under way at a time, and
//! what comes after it is the newest by then.
//!
//! Each push is a hint: a source reads the truth again, and does so every `poll` without a hint too. What fails ends
//! [`Source::follow`]; it is called again after a pause, a tenth of the time that the source has been lost by then. So it is
//! back soon after a server that was away for a moment, and asks one that stays away seldom.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod changes;
pub(crate) mod file;
#[cfg(any(feature = "rabbitmq", feature = "redis"))]
mod tls;
#[cfg(feature = "async-sources")]
mod wait;

use super::{
    dataset::{Dataset, Refusal, SourceState, Stage},
    format::{Format, Mistake},
    publisher::{Decision, Publisher},
    revision::{Origin, Revision},
    triggers::TriggerOrder,
};
use crate::{
    announce::now_millis,
    config::{Key, SourceConfig},
};
use anyhow::{Context, Result, anyhow, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Declares the kinds that are cargo features, each by its file and its feature.
macro_rules! kinds {
    ($($word:ident: $feature:literal,)*) => {
        $(
            #[cfg(feature = $feature)]
            mod $word;
        )*

        /// Every kind of source. One that is not built in still stands here, with the feature that has it.
        pub(crate) const KINDS: &[Kind] = &[
            file::KIND,
            $(
                #[cfg(feature = $feature)]
                $word::KIND,
                #[cfg(not(feature = $feature))]
                Kind::not_built_in(stringify!($word), $feature),
            )*
        ];
    };
}

kinds! {
    kafka: "kafka",
    postgres: "postgres",
    rabbitmq: "rabbitmq",
    redis: "redis",
    sqlite: "sqlite",
}

/// The shortest and the longest pause after a source has failed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A kind of source.
pub(crate) struct Kind {
    /// Its word: `source = { kind = "..." }`.
    pub(crate) word: &'static str,
    /// The cargo feature that has it, if it is not always there.
    pub(crate) feature: Option<&'static str>,
    /// The settings it takes, beside `kind`.
    pub(crate) keys: &'static [Key],
    /// Which of its settings says where the content is, for people. It must hold no secret.
    pub(crate) place: &'static str,
    /// Makes a source of its settings; `None` where the feature is not built in.
    pub(crate) make: Option<Make>,
}

impl Kind {
    /// A kind whose feature is absent.
    #[allow(dead_code, reason = "with every feature there, no kind is missing")]
    const fn not_built_in(word: &'static str, feature: &'static str) -> Kind {
        Kind {
            word,
            feature: Some(feature),
            keys: &[],
            place: "",
            make: None,
        }
    }
}

/// Makes a source of its settings.
type Make = fn(&SourceConfig, &Circumstances) -> Result<Box<dyn Source>>;

/// What a source is told of its dataset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// What the content is written in.
    pub(crate) format: Format,
    /// The largest content in bytes; a source reads no more of it than one byte beyond.
    pub(crate) max_bytes: u64,
    /// How often the truth is read without a hint.
    pub(crate) poll: Duration,
}

/// Brings the content of one dataset.
pub(crate) trait Source: Send {
    /// Brings the truth, and each newer one, until the inbox has ended.
    ///
    /// # Errors
    /// The source cannot be followed any more, or not yet; it is called again after a pause.
    fn follow(&mut self, inbox: &Inbox) -> Result<()>;

    /// Installs what tells the source of changes where its truth is, or takes it away; gives the statements for that.
    ///
    /// # Errors
    /// The kind of source has no triggers, or it could not be done: nothing has changed then.
    fn triggers(&mut self, order: &TriggerOrder) -> Result<String> {
        let _nothing_to_do = order;
        bail!("a source of this kind has no triggers; only databases have")
    }
}

/// Content on its way from a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The content.
    pub(crate) content: Vec<u8>,
    /// What it is written in, where that is not the dataset's format.
    pub(crate) format: Option<Format>,
    /// What tells it from others of the source: a change's number, a message's, an offset.
    pub(crate) cursor: Option<String>,
}

/// Where a source brings content to.
pub(crate) struct Inbox {
    publisher: Arc<Publisher>,
    place: usize,
    config: SourceConfig,
    bell: Receiver<()>,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The time is up.
    TimeUp,
    /// The truth is wanted once more: a pin was lifted.
    Rung,
    /// The host ends, and so must the source.
    Ended,
}

impl Inbox {
    /// The inbox of the dataset in this place, for a source with these settings.
    pub(super) fn new(
        publisher: &Arc<Publisher>,
        place: usize,
        dataset: &Dataset,
        config: &SourceConfig,
    ) -> Inbox {
        Inbox {
            publisher: Arc::clone(publisher),
            place,
            config: config.clone(),
            bell: dataset.rung.clone(),
        }
    }

    fn dataset(&self) -> Result<&Dataset> {
        let dataset = self.publisher.datasets().get(self.place);
        dataset.context("the dataset is gone")
    }

    /// The name of the dataset.
    #[cfg_attr(
        not(feature = "kafka"),
        expect(dead_code, reason = "files are the same for everybody")
    )]
    pub(crate) fn name(&self) -> &str {
        self.dataset().map_or("", |dataset| &dataset.name)
    }

    fn origin(&self, cursor: Option<String>) -> Origin {
        Origin::Source {
            kind: self.config.kind.clone(),
            place: self.config.place(),
            cursor,
        }
    }

    /// Brings content, and waits until it is decided what becomes of it. What has been published or refused need not be
    /// brought again; what a pin holds out is asked for by the [bell](Inbox::bell).
    ///
    /// # Errors
    /// It could not be written to disk; nothing has changed, and the source should fail with this error.
    pub(crate) fn deliver(&self, delivery: Delivery) -> Result<Decision> {
        let format = delivery.format.unwrap_or(self.dataset()?.config.format);
        let origin = self.origin(delivery.cursor);
        self.publisher
            .bring(self.place, delivery.content, format, origin)
    }

    /// The truth is missing, or cannot be used as content: what is held is held on, and this stands beside it.
    ///
    /// # Errors
    /// As those of [`Inbox::deliver`].
    pub(crate) fn refuse(&self, stage: Stage, mistake: Mistake) -> Result<()> {
        let reason = self.config.redacted(&mistake.reason);
        let refusal = Refusal {
            time: now_millis(),
            origin: self.origin(None),
            stage,
            mistake: Mistake::new(mistake.position, reason),
            hash: None,
        };
        self.publisher.refuse(self.place, refusal)
    }

    /// The source is followed, and all of its truth has been brought.
    pub(crate) fn healthy(&self) {
        self.publisher.note_source(self.place, SourceState::Healthy);
    }

    /// What the dataset holds, and where the source was when it last brought something.
    #[cfg_attr(
        not(any(
            feature = "kafka",
            feature = "postgres",
            feature = "rabbitmq",
            feature = "redis",
            feature = "sqlite"
        )),
        expect(dead_code, reason = "files have no cursor")
    )]
    pub(crate) fn held(&self) -> (Option<Arc<Revision>>, Option<String>) {
        let facts = self.dataset().ok().map(|dataset| dataset.facts.lock());
        let cursor = facts.and_then(|facts| facts.memory.brought.clone()?.cursor);
        (self.publisher.held(self.place), cursor)
    }

    /// Something to say that is no failure. It stands in the status until there is something else to say.
    pub(crate) fn remark(&self, text: &str) {
        let Ok(dataset) = self.dataset() else { return };
        let text = self.config.redacted(text);
        let last = dataset.facts.lock().remark.replace(text.clone());
        if last.as_ref() != Some(&text) {
            tracing::warn!(dataset = dataset.name, "{text}");
        }
    }

    /// Nothing to remark any more.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "rabbitmq")),
        expect(dead_code, reason = "what is remarked of files stays so")
    )]
    pub(crate) fn no_remark(&self) {
        if let Ok(dataset) = self.dataset() {
            dataset.facts.lock().remark = None;
        }
    }

    /// Rings when the truth is wanted once more; cut off when the source is to end.
    pub(crate) fn bell(&self) -> &Receiver<()> {
        &self.bell
    }

    /// Waits for the bell, for this long at most.
    pub(crate) fn wait(&self, limit: Duration) -> Wake {
        match self.bell.recv_timeout(limit) {
            Ok(()) => Wake::Rung,
            Err(RecvTimeoutError::Timeout) => Wake::TimeUp,
            Err(RecvTimeoutError::Disconnected) => Wake::Ended,
        }
    }

    /// Whether the source is to end.
    pub(crate) fn ended(&self) -> bool {
        self.dataset().map_or(true, Dataset::has_ended)
    }

    fn was_healthy(&self) -> bool {
        let healthy = |dataset: &Dataset| dataset.facts.lock().source.0 == SourceState::Healthy;
        self.dataset().is_ok_and(healthy)
    }
}

/// The kind with this word.
///
/// # Errors
/// There is none, or its feature is not built in.
pub(crate) fn kind_of(kinds: &'static [Kind], word: &str) -> Result<&'static Kind, String> {
    let Some(kind) = kinds.iter().find(|kind| kind.word == word) else {
        let words: Vec<String> = kinds
            .iter()
            .map(|kind| format!("\"{}\"", kind.word))
            .collect();
        return Err(format!(
            "there is no such kind; write {}",
            words.join(" or ")
        ));
    };
    match (kind.make, kind.feature) {
        (None, Some(feature)) => Err(format!(
            "this host was built without it; build one that has it: `cargo build --release -p host --features {}`",
            with_those_there(kinds, feature)
        )),
        _ => Ok(kind),
    }
}

/// This feature behind those that are built in, as cargo takes them: the next host is to have all of them.
fn with_those_there(kinds: &[Kind], feature: &str) -> String {
    let there = kinds.iter().filter(|kind| kind.make.is_some());
    let mut features: Vec<&str> = there.filter_map(|kind| kind.feature).collect();
    features.push(feature);
    features.join(",")
}

/// Starts to follow the sources of all datasets, each on a thread of its own.
///
/// # Errors
/// A source cannot be made of its settings, or a thread cannot be started.
pub(crate) fn follow_all(publisher: &Arc<Publisher>) -> Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    for (place, dataset) in publisher.datasets().iter().enumerate() {
        let Some(config) = &dataset.config.source else {
            continue;
        };
        let making = || format!("the source of data \"{}\"", dataset.name);
        let mut source = make(dataset, config).with_context(making)?;
        let inbox = Inbox::new(publisher, place, dataset, config);
        let thread = std::thread::Builder::new()
            .name(format!("source-{}", dataset.name))
            .spawn(move || follow(source.as_mut(), &inbox))
            .context("starting a thread")?;
        threads.push(thread);
    }
    Ok(threads)
}

/// The source that a dataset is declared with.
///
/// # Errors
/// It cannot be made of its settings.
pub(super) fn make(dataset: &Dataset, config: &SourceConfig) -> Result<Box<dyn Source>> {
    let kind = kind_of(KINDS, &config.kind).map_err(|error| anyhow!(error))?;
    let circumstances = Circumstances {
        format: dataset.config.format,
        max_bytes: dataset.config.max_bytes,
        poll: dataset.config.poll,
    };
    kind.make.context("its kind is not built in")?(config, &circumstances)
}

/// Follows a source until its inbox ends, again and again where it fails.
pub(super) fn follow(source: &mut dyn Source, inbox: &Inbox) {
    let mut lost_since = None;
    while !inbox.ended() {
        let ended = catch_unwind(AssertUnwindSafe(|| source.follow(inbox)));
        if inbox.ended() {
            return;
        }
        let reason = match ended {
            Ok(Ok(())) => "it ended without a reason".to_owned(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "it panicked; the log has its words".to_owned(),
        };
        // A server may say a lot.
        let reason = Mistake::of_all(inbox.config.redacted(&reason)).reason;
        let now = Instant::now();
        if inbox.was_healthy() {
            lost_since = None;
        }
        let lost = now - *lost_since.get_or_insert(now);
        inbox
            .publisher
            .note_source(inbox.place, SourceState::Lost { reason });
        if inbox.wait(with_jitter(pause_after(lost))) == Wake::Ended {
            return;
        }
    }
}

/// How long a source that has been lost for so long is left alone.
fn pause_after(lost: Duration) -> Duration {
    (lost / 10).clamp(PAUSES.0, PAUSES.1)
}

/// Between half of the pause and all of it, so that many who lost the same server do not come back at once.
fn with_jitter(pause: Duration) -> Duration {
    // Without randomness there is no jitter.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_not_built_in_names_its_feature() {
        const REDIS: Kind = Kind {
            word: "redis",
            feature: Some("redis"),
            ..file::KIND
        };
        const ABSENT: &[Kind] = &[file::KIND, Kind::not_built_in("kafka", "kafka"), REDIS];
        let error = kind_of(ABSENT, "kafka").err();
        // What is there is to stay there.
        assert!(error.is_some_and(|error| error.contains("--features redis,kafka`")));
        let error = kind_of(ABSENT, "nfs").err();
        assert!(error.is_some_and(|error| error.contains("\"file\" or \"kafka\"")));
        assert!(kind_of(ABSENT, "file").is_ok());
    }

    #[test]
    fn pauses_are_within_their_bounds() {
        for _ in 0..1_000 {
            let pause = with_jitter(PAUSES.0);
            assert!(pause >= PAUSES.0 / 2 && pause <= PAUSES.0);
        }
    }

    #[test]
    fn a_source_that_comes_back_is_found_within_a_tenth_of_its_absence_and_a_long_one_is_asked_seldom()
     {
        let longest = Duration::from_secs(3600);
        let (mut lost, mut tries) = (Duration::ZERO, 0);
        while lost < longest {
            let pause = pause_after(lost);
            assert!(pause <= (lost / 10).max(PAUSES.0), "{lost:?}: {pause:?}");
            assert!(pause <= PAUSES.1);
            lost += pause;
            tries += 1;
        }
        assert!(tries < 800, "{tries} in {longest:?}");
    }
}
