//! The desk: where one generation is served by its host: log, calls, jobs, timers.
//!
//! While its generation is a candidate, jobs and timers are only taken down; they begin when it begins to serve. When it
//! is retired they are cancelled, and what is asked then is refused.

mod inert;
#[cfg(test)]
mod tests;

pub(crate) use inert::inert;

use crate::{
    clock::Clock,
    data::{self, Reader, Scope},
    error::{CallError, HandleError},
    foreign::interpose,
    gate::{self, GateId, Within},
    hand,
    handle::Passage,
    port,
    task::Calling,
};
use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RSlice, RStr, RVec},
};
use parking_lot::{Condvar, Mutex, MutexGuard};
use plugin_api::contract::{
    Answer, FORMAT_JSON, Fault, FaultKind, HostServices, HostServices_TO, HostServicesBox,
    JobControl, JobControl_TO, JobObjectBox, Lens, PortBox,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tracing::{Level, level_filters::LevelFilter};

/// Jobs a generation may have at once.
const MOST_JOBS: usize = 64;
/// Timers a generation may have at once.
const MOST_TIMERS: usize = 256;

/// How long a sleeping job keeps to itself what it may hold of other plugins' libraries.
const SLICE: Duration = Duration::from_millis(250);

/// What desks need of their host.
pub(crate) trait Switchboard: Send + Sync {
    /// Calls a plugin's method by name, on this thread.
    fn call(&self, plugin: &str, method: &str, arguments: &[u8]) -> Result<Vec<u8>, CallError>;
    /// Calls a plugin's method by name on a thread of the host's, and forgets about it.
    /// `turn` is dropped once the call has ended or been left out.
    fn call_later(
        self: Arc<Self>,
        plugin: Arc<str>,
        method: Arc<str>,
        arguments: Arc<[u8]>,
        turn: Turn,
    );
    /// A way into a plugin by an interface that it offers, for the plugin `user`.
    fn passage(
        &self,
        plugin: &str,
        description: &str,
        user: Arc<str>,
    ) -> Result<Passage, HandleError>;
    /// The host's timers.
    fn clock(&self) -> &Clock;
    /// Calls a plugin's method by name for a pending call, the innermost of `within`, which sees `scope`.
    fn call_async(
        self: Arc<Self>,
        plugin: String,
        method: String,
        arguments: Vec<u8>,
        within: Within,
        scope: Scope,
    ) -> Calling;
}

/// A timer's turn: as long as there is one, the timer has no other, so that one that is slower than its period keeps no
/// more than one call waiting.
pub(crate) struct Turn(Arc<AtomicBool>);

impl Turn {
    /// Takes the turn, unless it is taken.
    fn take(taken: &Arc<AtomicBool>) -> Option<Turn> {
        (!taken.swap(true, Ordering::AcqRel)).then(|| Turn(Arc::clone(taken)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Where one generation is served.
pub(crate) struct Desk {
    host: Weak<dyn Switchboard>,
    plugin: Arc<str>,
    generation: u64,
    /// The gate that it serves behind.
    gate_id: GateId,
    /// What it reads of hot data.
    reader: Option<Arc<Reader>>,
    book: Mutex<Book>,
    changed: Condvar,
}

struct Book {
    phase: Phase,
    jobs: Vec<Arc<str>>,
    last_timer: u64,
    /// The clock's numbers by the generation's own.
    timers: HashMap<u64, Option<u64>>,
    /// What it uses of other plugins.
    passages: Vec<Weak<Passage>>,
}

enum Phase {
    Candidate(Vec<Order>),
    Serving,
    Closed,
}

impl Book {
    /// How many jobs run, or will.
    fn jobs(&self) -> usize {
        let ordered = match &self.phase {
            Phase::Candidate(orders) => orders
                .iter()
                .filter(|order| matches!(order, Order::Job(..)))
                .count(),
            Phase::Serving | Phase::Closed => 0,
        };
        self.jobs.len() + ordered
    }
}

/// A job that is shared with its thread until that has begun.
type Unbegun = Arc<Mutex<Option<JobObjectBox>>>;

/// Something to be begun once the generation serves.
enum Order {
    Job(Arc<str>, JobObjectBox),
    Timer(u64, Duration, Option<Duration>, Arc<str>, Arc<[u8]>),
}

impl Desk {
    /// A desk for a candidate.
    pub(crate) fn new(
        host: Weak<dyn Switchboard>,
        plugin: Arc<str>,
        generation: u64,
        gate_id: GateId,
        reader: Option<Arc<Reader>>,
    ) -> Arc<Desk> {
        Arc::new(Desk {
            host,
            plugin,
            generation,
            gate_id,
            reader,
            book: Mutex::new(Book {
                phase: Phase::Candidate(Vec::new()),
                jobs: Vec::new(),
                last_timer: 0,
                timers: HashMap::new(),
                passages: Vec::new(),
            }),
            changed: Condvar::new(),
        })
    }

    /// The services to be given to the plugin.
    pub(crate) fn services(self: &Arc<Self>) -> HostServicesBox {
        HostServices_TO::from_value(Served(Arc::clone(self)), TD_Opaque)
    }

    /// The generation serves: begins what it has ordered.
    pub(crate) fn open(self: &Arc<Self>) {
        let mut book = self.book.lock();
        if let Phase::Candidate(orders) = std::mem::replace(&mut book.phase, Phase::Serving) {
            let unbegun: Vec<Option<Unbegun>> = orders
                .into_iter()
                .map(|order| self.begin(&mut book, order))
                .collect();
            drop(book);
            drop(unbegun);
        }
    }

    /// What the generation reads of hot data.
    pub(crate) fn reader(&self) -> Option<&Arc<Reader>> {
        self.reader.as_ref()
    }

    /// The generation is retired: cancels what runs, refuses what comes.
    pub(crate) fn close(&self) {
        if let Some(reader) = &self.reader {
            reader.leave();
        }
        let mut book = self.book.lock();
        let before = std::mem::replace(&mut book.phase, Phase::Closed);
        let timers = std::mem::take(&mut book.timers);
        let passages = std::mem::take(&mut book.passages);
        self.changed.notify_all();
        drop(book);
        if let Some(host) = self.host.upgrade() {
            for number in timers.into_values().flatten() {
                host.clock().remove(number);
            }
        }
        // Calls that are inside may yet use them; they keep no build of another plugin out any more.
        for passage in passages.iter().filter_map(Weak::upgrade) {
            passage.line.release();
        }
        drop(before);
    }

    /// Keeps a passage in mind, to be released when the generation is retired.
    fn keep(&self, passage: &Arc<Passage>) {
        let mut book = self.book.lock();
        book.passages.retain(|passage| passage.strong_count() > 0);
        if matches!(book.phase, Phase::Closed) {
            drop(book);
            passage.line.release();
        } else {
            book.passages.push(Arc::downgrade(passage));
        }
    }

    /// The names of the jobs that run.
    pub(crate) fn jobs(&self) -> Vec<Arc<str>> {
        self.book.lock().jobs.clone()
    }

    /// How many timers there are.
    pub(crate) fn timers(&self) -> usize {
        self.book.lock().timers.len()
    }

    fn is_closed(&self) -> bool {
        matches!(self.book.lock().phase, Phase::Closed)
    }

    fn order(self: &Arc<Self>, order: Order) -> Answer<()> {
        let mut book = self.book.lock();
        if matches!(order, Order::Job(..)) && book.jobs() >= MOST_JOBS {
            drop(book);
            return unavailable("it has 64 jobs already");
        }
        let unbegun = match &mut book.phase {
            Phase::Closed => {
                drop(book);
                return unavailable("this generation is on its way out");
            }
            Phase::Candidate(orders) => {
                orders.push(order);
                None
            }
            Phase::Serving => self.begin(&mut book, order),
        };
        drop(book);
        match unbegun {
            None => RResult::ROk(()),
            Some(_unbegun) => unavailable("no thread could be started for the job"),
        }
    }

    /// Gives back a job that could not be begun: it is to be dropped with the book free, since its author's code runs
    /// then, which may ask for something here.
    fn begin(self: &Arc<Self>, book: &mut Book, order: Order) -> Option<Unbegun> {
        match order {
            Order::Job(name, job) => self.begin_job(book, name, job),
            Order::Timer(number, delay, period, method, arguments) => {
                // One that was stopped before it began is no longer in the book.
                if let (Some(host), Some(place)) =
                    (self.host.upgrade(), book.timers.get_mut(&number))
                {
                    *place =
                        Some(self.begin_timer(&host, number, delay, period, method, arguments));
                }
                None
            }
        }
    }

    fn begin_job(
        self: &Arc<Self>,
        book: &mut Book,
        name: Arc<str>,
        job: JobObjectBox,
    ) -> Option<Unbegun> {
        let desk = Arc::clone(self);
        let own_name = Arc::clone(&name);
        let job: Unbegun = Arc::new(Mutex::new(Some(job)));
        let begun = Arc::clone(&job);
        let started = std::thread::Builder::new()
            // The system's names end at a zero byte; one inside would be a panic here, in the plugin's call.
            .name(format!("job:{}", name.replace('\0', "?")))
            .spawn(move || {
                let job = begun.lock().take();
                if let Some(job) = job {
                    desk.run_job(&own_name, job);
                }
                let mut book = desk.book.lock();
                if let Some(place) = book.jobs.iter().position(|running| *running == own_name) {
                    book.jobs.swap_remove(place);
                }
            });
        match started {
            Ok(_detached) => {
                book.jobs.push(name);
                None
            }
            Err(error) => {
                tracing::error!(
                    plugin = &*self.plugin,
                    generation = self.generation,
                    job = &*name,
                    "the job could not be started: {error}"
                );
                Some(job)
            }
        }
    }

    fn run_job(self: &Arc<Self>, name: &str, mut job: JobObjectBox) {
        let control = JobControl_TO::from_value(Control(Arc::clone(self)), TD_Opaque);
        if let RResult::RErr(fault) = job.run(control) {
            tracing::error!(
                plugin = &*self.plugin,
                generation = self.generation,
                job = name,
                "the job failed: {}",
                fault.message.as_str()
            );
        }
    }

    fn begin_timer(
        self: &Arc<Self>,
        host: &Arc<dyn Switchboard>,
        number: u64,
        delay: Duration,
        period: Option<Duration>,
        method: Arc<str>,
        arguments: Arc<[u8]>,
    ) -> u64 {
        let desk = Arc::downgrade(self);
        let taken = Arc::new(AtomicBool::new(false));
        host.clock().add(
            delay,
            period,
            Arc::new(move || {
                let Some(desk) = desk.upgrade().filter(|desk| !desk.is_closed()) else {
                    return;
                };
                if period.is_none() {
                    desk.book.lock().timers.remove(&number);
                }
                if let Some(host) = desk.host.upgrade()
                    && let Some(turn) = Turn::take(&taken)
                {
                    host.call_later(
                        Arc::clone(&desk.plugin),
                        Arc::clone(&method),
                        Arc::clone(&arguments),
                        turn,
                    );
                }
            }),
        )
    }
}

fn unavailable<T>(message: &str) -> Answer<T> {
    RResult::RErr(Fault::new(FaultKind::UNAVAILABLE, message))
}

/// The desk as the plugin sees it.
struct Served(Arc<Desk>);

impl HostServices for Served {
    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>) {
        let (plugin, generation) = (&*self.0.plugin, self.0.generation);
        let (source, message) = (target.as_str(), message.as_str());
        match level {
            1 => tracing::error!(target: "plugin", plugin, generation, source, "{message}"),
            2 => tracing::warn!(target: "plugin", plugin, generation, source, "{message}"),
            3 => tracing::info!(target: "plugin", plugin, generation, source, "{message}"),
            4 => tracing::debug!(target: "plugin", plugin, generation, source, "{message}"),
            _ => tracing::trace!(target: "plugin", plugin, generation, source, "{message}"),
        }
    }

    fn log_level(&self) -> u32 {
        match LevelFilter::current().into_level() {
            None => 0,
            Some(Level::ERROR) => 1,
            Some(Level::WARN) => 2,
            Some(Level::INFO) => 3,
            Some(Level::DEBUG) => 4,
            Some(_) => 5,
        }
    }

    fn call(
        &self,
        plugin: RStr<'_>,
        method: RStr<'_>,
        format: u32,
        arguments: RSlice<'_, u8>,
    ) -> Answer<RVec<u8>> {
        if format != FORMAT_JSON {
            return RResult::RErr(Fault::new(
                FaultKind::BAD_ARGUMENTS,
                format!("arguments in format {format} are not known to this host"),
            ));
        }
        if !hand::may_call_out() {
            return unavailable("plugins cannot be called during a handover");
        }
        let Some(host) = self.0.host.upgrade() else {
            return unavailable("the host has stopped");
        };
        data::open_frame(self.0.gate_id);
        match host.call(plugin.as_str(), method.as_str(), arguments.as_slice()) {
            Ok(result) => RResult::ROk(result.into()),
            Err(error) => RResult::RErr(error.to_fault()),
        }
    }

    fn spawn(&self, name: RStr<'_>, job: JobObjectBox) -> Answer<()> {
        self.0.order(Order::Job(Arc::from(name.as_str()), job))
    }

    fn timer(
        &self,
        delay: u64,
        period: u64,
        method: RStr<'_>,
        format: u32,
        arguments: RSlice<'_, u8>,
    ) -> Answer<u64> {
        if format != FORMAT_JSON {
            return RResult::RErr(Fault::new(
                FaultKind::BAD_ARGUMENTS,
                format!("arguments in format {format} are not known to this host"),
            ));
        }
        let number = {
            let mut book = self.0.book.lock();
            if book.timers.len() >= MOST_TIMERS {
                return unavailable("it has 256 timers already");
            }
            book.last_timer += 1;
            let number = book.last_timer;
            book.timers.insert(number, None);
            number
        };
        let order = Order::Timer(
            number,
            Duration::from_nanos(delay),
            (period > 0).then(|| Duration::from_nanos(period)),
            Arc::from(method.as_str()),
            Arc::from(arguments.as_slice()),
        );
        match self.0.order(order) {
            RResult::ROk(()) => RResult::ROk(number),
            RResult::RErr(fault) => {
                self.0.book.lock().timers.remove(&number);
                RResult::RErr(fault)
            }
        }
    }

    fn stop_timer(&self, timer: u64) {
        let removed = self.0.book.lock().timers.remove(&timer);
        if let (Some(Some(number)), Some(host)) = (removed, self.0.host.upgrade()) {
            host.clock().remove(number);
        }
    }

    fn now(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64)
    }

    fn random(&self) -> u64 {
        getrandom::u64().unwrap_or_else(|error| {
            tracing::error!("the system gives no random numbers: {error}");
            0
        })
    }

    fn is_inside(&self) -> bool {
        gate::is_inside_any()
    }

    fn timed_call_begins(&self) {
        self.0.gate_id.call_begins();
        data::leave_what_is_over();
    }

    fn timed_call_ends(&self) {
        self.0.gate_id.call_ends();
    }

    fn port(
        &self,
        plugin: RStr<'_>,
        _interface: RStr<'_>,
        description: RStr<'_>,
    ) -> Answer<PortBox> {
        let Some(host) = self.0.host.upgrade() else {
            return unavailable("the host has stopped");
        };
        let user = Arc::clone(&self.0.plugin);
        match host.passage(plugin.as_str(), description.as_str(), user) {
            Ok(passage) => {
                let passage = Arc::new(passage);
                self.0.keep(&passage);
                RResult::ROk(port::object(passage, self.0.gate_id))
            }
            Err(error) => RResult::RErr(error.to_fault()),
        }
    }

    fn lens(&self, read: u32) -> Answer<Lens> {
        let reader = self.0.reader.as_ref();
        match reader.and_then(|reader| reader.lens(read)) {
            Some(lens) => RResult::ROk(lens),
            None => unavailable("its manifest does not say that it reads this"),
        }
    }
}

/// How a running job learns that it should end.
struct Control(Arc<Desk>);

impl JobControl for Control {
    fn cancelled(&self) -> bool {
        self.0.is_closed()
    }

    fn sleep(&self, nanoseconds: u64) -> bool {
        let until = Instant::now().checked_add(Duration::from_nanos(nanoseconds));
        let mut book = self.0.book.lock();
        loop {
            let now = Instant::now();
            if matches!(book.phase, Phase::Closed) {
                return true;
            }
            if until.is_some_and(|until| until <= now) {
                return false;
            }
            let slice = now + SLICE;
            let slice = until.map_or(slice, |until| until.min(slice));
            let _woken_or_time = self.0.changed.wait_until(&mut book, slice);
            // What a job has called may have left thread-locals here, and be on its way out since.
            MutexGuard::unlocked(&mut book, interpose::visit);
        }
    }
}
