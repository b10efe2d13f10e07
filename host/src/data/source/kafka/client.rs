//! The client: librdkafka's consumer, with every wait limited, and its log in the host's.

use super::{Inbox, Mark, Offsets, settings::Settings};
use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code},
    message::BorrowedMessage,
};
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

/// How long the brokers are asked before it is looked whether that still makes sense.
const ASK: Duration = Duration::from_secs(1);
/// The pause before they are asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// How often offsets are committed.
const COMMIT: Duration = Duration::from_secs(1);

/// A consumer, and whom it reads for.
pub(super) struct Client<'a> {
    settings: &'a Settings,
    inbox: &'a Inbox,
    consumer: &'a Consumer,
    /// Whether messages came while the brokers were asked, and were let go.
    has_missed: Cell<bool>,
    /// What was committed last, and when.
    committed: RefCell<Option<(Offsets, Instant)>>,
}

/// What comes from the brokers.
pub(super) enum Came<'a> {
    /// A message.
    Message(BorrowedMessage<'a>),
    /// All of a partition was read.
    End(i32),
    /// Nothing, in the time that was given.
    Nothing,
    /// A broker is in trouble. Others may go on for it.
    Doubt,
    /// What was to be read next is not there.
    Reset(String),
}

/// librdkafka's consumer.
pub(super) type Consumer = BaseConsumer<Ear>;

/// Hears what librdkafka has to say.
pub(super) struct Ear {
    dataset: String,
    /// The last trouble, in words.
    trouble: Mutex<String>,
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let dataset = &self.dataset;
        match level {
            RDKafkaLogLevel::Debug => tracing::debug!(dataset, "librdkafka: {facility}: {message}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::info!(dataset, "librdkafka: {facility}: {message}");
            }
            // A broker that is gone is an error to librdkafka, and none of this host.
            _ => tracing::warn!(dataset, "librdkafka: {facility}: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(Code::PartitionEOF) {
            reason.clone_into(&mut self.trouble.lock());
        }
    }
}

impl ConsumerContext for Ear {}

/// A consumer for a source of this dataset. It connects when it is asked something.
///
/// # Errors
/// librdkafka does not take the settings.
pub(super) fn consumer(settings: &Settings, dataset: &str) -> Result<Consumer> {
    let ear = Ear {
        dataset: dataset.to_owned(),
        trouble: Mutex::default(),
    };
    let consumer = settings.for_client(dataset).create_with_context(ear);
    consumer.context("making a client of librdkafka")
}

impl<'a> Client<'a> {
    /// A client of this inbox. What its consumer was doing before is over.
    ///
    /// # Errors
    /// librdkafka does not let go of it.
    pub(super) fn of(
        consumer: &'a Consumer,
        settings: &'a Settings,
        inbox: &'a Inbox,
    ) -> Result<Client<'a>> {
        consumer.unassign().context("letting go of the partitions")?;
        while consumer.poll(Duration::ZERO).is_some() {}
        Ok(Client {
            settings,
            inbox,
            consumer,
            has_missed: Cell::new(false),
            committed: RefCell::default(),
        })
    }

    /// The partitions, and where each begins and ends.
    ///
    /// # Errors
    /// There is no such topic or partition, or the brokers do not say in time.
    pub(super) fn marks(&self) -> Result<Vec<Mark>> {
        let topic = self.settings.topic.as_str();
        let partitions = match self.settings.partition {
            Some(partition) => vec![partition],
            None => self.partitions()?,
        };
        let mark = |partition| {
            let what = format!("where partition {partition} of \"{topic}\" begins and ends");
            let ask = |limit| self.consumer.fetch_watermarks(topic, partition, limit);
            let (low, high) = self.ask(&what, ask)?;
            Ok(Mark {
                partition,
                low,
                high,
            })
        };
        partitions.into_iter().map(mark).collect()
    }

    fn partitions(&self) -> Result<Vec<i32>> {
        let topic = self.settings.topic.as_str();
        let ask = |limit| self.consumer.fetch_metadata(Some(topic), limit);
        let metadata = self.ask(&format!("the partitions of \"{topic}\""), ask)?;
        let about = metadata.topics().iter().find(|about| about.name() == topic);
        let about = about.with_context(|| format!("the brokers say nothing of \"{topic}\""))?;
        if let Some(error) = about.error() {
            bail!("the topic \"{topic}\" cannot be read: {}", said(error.into()));
        }
        let mut partitions: Vec<i32> = about.partitions().iter().map(|one| one.id()).collect();
        partitions.sort_unstable();
        ensure!(!partitions.is_empty(), "the topic \"{topic}\" has no partitions");
        Ok(partitions)
    }

    /// Reads on from these offsets, and from nowhere else.
    ///
    /// # Errors
    /// librdkafka does not take them.
    pub(super) fn assign(&self, next: &Offsets) -> Result<()> {
        self.has_missed.set(false);
        let list = self.list(next).context("naming the partitions to read")?;
        self.consumer.assign(&list).context("reading the partitions")
    }

    /// The next that comes, after this long at most.
    ///
    /// # Errors
    /// The topic cannot be read any more.
    pub(super) fn next(&self, limit: Duration) -> Result<Came<'_>> {
        let error = match self.consumer.poll(limit) {
            None => return Ok(Came::Nothing),
            Some(Ok(message)) => return Ok(Came::Message(message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => return Ok(Came::End(partition)),
            Some(Err(error)) => error,
        };
        let trouble = self.consumer.context().trouble.lock().clone();
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation) => {
                Ok(Came::Reset(trouble))
            }
            Some(Code::BrokerTransportFailure | Code::OperationTimedOut | Code::Resolve) => {
                Ok(Came::Doubt)
            }
            Some(Code::GroupAuthorizationFailed) => {
                self.inbox.remark(&format!(
                    "offsets cannot be committed ({trouble}), so that Kafka's tools do not show how far this host is; what it reads does not depend on them"
                ));
                Ok(Came::Nothing)
            }
            Some(Code::AllBrokersDown) => bail!("no broker can be reached: {trouble}"),
            Some(code) => bail!("the topic \"{}\" cannot be read: {}: {trouble}", self.settings.topic, said(code)),
            None => Err(error).context("reading the topic"),
        }
    }

    /// Whether messages came while the brokers were asked, and were let go.
    pub(super) fn has_missed(&self) -> bool {
        self.has_missed.get()
    }

    /// Has it committed that all before these offsets is decided; now and then, or at once if it is the last time. Nobody
    /// waits for that: librdkafka logs what is refused, and what was not committed is committed with what follows.
    ///
    /// # Errors
    /// librdkafka does not take the offsets.
    pub(super) fn commit(&self, next: &Offsets, is_last: bool) -> Result<()> {
        let mut committed = self.committed.borrow_mut();
        let is_due = committed.as_ref().is_none_or(|(offsets, when)| {
            offsets != next && (is_last || when.elapsed() >= COMMIT)
        });
        if is_due {
            let list = self.list(next)?;
            self.consumer.commit(&list, CommitMode::Async)?;
            *committed = Some((next.clone(), Instant::now()));
        }
        Ok(())
    }

    fn list(&self, next: &Offsets) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(next.len());
        for (partition, offset) in next {
            let offset = Offset::Offset(*offset);
            list.add_partition_offset(&self.settings.topic, *partition, offset)?;
        }
        Ok(list)
    }

    /// Asks until there is an answer, for as long as a broker may be silent.
    fn ask<T>(
        &self,
        what: &str,
        question: impl Fn(Duration) -> KafkaResult<T>,
    ) -> Result<T> {
        let end = Instant::now() + self.settings.timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let error = match question(left.min(ASK)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let code = error.rdkafka_error_code();
            if left.is_zero() || self.inbox.ended() || !code.is_some_and(is_passing) {
                let said = code.map_or_else(|| error.to_string(), said);
                bail!("the brokers do not say {what}: {said}");
            }
            // All brokers may be gone meanwhile, or do not let this client in. However much comes, it is asked again.
            let pause = Instant::now() + PAUSE;
            while let Some(left) = pause.checked_duration_since(Instant::now()) {
                if !matches!(self.next(left)?, Came::Nothing) {
                    self.has_missed.set(true);
                }
            }
        }
    }
}

/// Whether it may be otherwise in a moment.
fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::OffsetNotAvailable
            | Code::NetworkException
            | Code::Resolve
            | Code::WaitCache
    )
}

/// A code in words, with what to do about it.
fn said(code: Code) -> String {
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic => {
            "there is no such topic; create it, or wait until it is created".to_owned()
        }
        Code::UnknownPartition => {
            "there is no such partition; `partition` counts from 0".to_owned()
        }
        Code::TopicAuthorizationFailed => {
            "this client may not read it; grant it READ and DESCRIBE".to_owned()
        }
        Code::OperationTimedOut => "no answer in time".to_owned(),
        code => code.to_string(),
    }
}
