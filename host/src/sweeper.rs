//! The sweeper: brings retired generations out of memory, at once where it can, later where something holds them.

use crate::{
    announce::Announcer,
    desk::Desk,
    event::Happening,
    foreign::{
        instance::{Candidate, Remains},
        interpose,
    },
    gate::Leaving,
    generation::{Generation, Life},
    hand::{CallsOut, Hand},
    numbers, pending,
    report::{Departure, LingeringStatus, Numbers},
    slot,
    workers::Workers,
};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use parking_lot::Mutex;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long dropping an author's value may take before its thread is left behind.
const DROP_LIMIT: Duration = Duration::from_secs(5);
/// How often lingering generations are tried again.
const ROUND: Duration = Duration::from_millis(250);

/// A generation on its way out of memory.
pub(crate) struct Retired {
    /// The plugin.
    plugin: Arc<str>,
    number: u64,
    version: Arc<str>,
    /// What is still known of it; gone with its library.
    life: Option<Life>,
    stage: Stage,
    cause: String,
    /// Its calls, as they were last seen.
    numbers: Numbers,
}

/// How far it has come.
enum Stage {
    /// Callers may be inside; jobs may run.
    Inside(Leaving<Generation>),
    /// Its object is to be dropped.
    Object(Box<Object>),
    /// Something of the author's has not returned; the object comes back with it.
    Stuck(Receiver<Stage>),
    /// Its object is gone; the data that it has parsed goes once nothing of its looks at it.
    Data(Remains),
    /// All is gone but its library.
    Remains(Remains),
    /// It can go no further, for a reason that stays.
    Settled,
}

enum Object {
    Candidate(Candidate),
    Generation(crate::foreign::instance::Instance),
}

impl Retired {
    /// A generation that served, and was replaced.
    pub(crate) fn generation(leaving: Leaving<Generation>) -> Self {
        let life = &leaving.tenant().life;
        Retired {
            plugin: Arc::clone(&life.plugin),
            number: life.number,
            version: Arc::clone(&life.version),
            life: None,
            stage: Stage::Inside(leaving),
            cause: String::new(),
            numbers: Numbers::default(),
        }
    }

    /// A candidate that never served.
    pub(crate) fn candidate(life: Life, candidate: Candidate) -> Self {
        let stage = Stage::Object(Box::new(Object::Candidate(candidate)));
        Retired::at(life, stage)
    }

    /// A library whose object could not be made.
    pub(crate) fn remains(life: Life, remains: Remains) -> Self {
        Retired::at(life, Stage::Data(remains))
    }

    /// A candidate that a hand is stuck with.
    pub(crate) fn stuck(life: Life, cause: String, awaited: Awaited) -> Self {
        let mut retired = Retired::at(life, Stage::Stuck(awaited.0));
        retired.cause = cause;
        retired
    }

    fn at(life: Life, stage: Stage) -> Self {
        Retired {
            plugin: Arc::clone(&life.plugin),
            number: life.number,
            version: Arc::clone(&life.version),
            life: Some(life),
            stage,
            cause: String::new(),
            numbers: Numbers::default(),
        }
    }
}

/// The way back for what a hand was stuck with.
pub(crate) struct CameBack(Sender<Stage>);

/// The other end of the way back.
pub(crate) struct Awaited(Receiver<Stage>);

/// A way back, to be laid before a hand is asked for something.
pub(crate) fn way_back() -> (CameBack, Awaited) {
    let (give, take) = bounded(1);
    (CameBack(give), Awaited(take))
}

impl CameBack {
    /// The hand has let go of a candidate.
    pub(crate) fn candidate(self, candidate: Candidate) {
        self.send(Stage::Object(Box::new(Object::Candidate(candidate))));
    }

    /// The hand has let go of a library without an object.
    pub(crate) fn remains(self, remains: Remains) {
        self.send(Stage::Data(remains));
    }

    fn send(self, stage: Stage) {
        // Nobody waits once the host is gone; the library stays mapped to the end of the process.
        let _nobody_waits = self.0.send(stage);
    }
}

/// Brings retired generations out of memory.
pub(crate) struct Sweeper {
    /// Whether libraries can be unmapped here; if not, why not.
    interposition: Result<(), String>,
    announcer: Arc<Announcer>,
    workers: Arc<Workers>,
    lingering: Mutex<Vec<Lingering>>,
    bell: Sender<()>,
    ended: AtomicBool,
}

impl Sweeper {
    /// Starts the sweeper's thread. It ends with the sweeper.
    pub(crate) fn start(
        interposition: Result<(), String>,
        announcer: Arc<Announcer>,
        workers: Arc<Workers>,
    ) -> io::Result<(Arc<Sweeper>, JoinHandle<()>)> {
        let (bell, rung) = bounded(1);
        let sweeper = Arc::new(Sweeper {
            interposition,
            announcer,
            workers,
            lingering: Mutex::new(Vec::new()),
            bell,
            ended: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&sweeper);
        let thread = std::thread::Builder::new()
            .name("sweeper".to_owned())
            .spawn(move || {
                loop {
                    let _bell_or_time = rung.recv_timeout(ROUND);
                    let Some(sweeper) = weak.upgrade() else {
                        return;
                    };
                    sweeper.round();
                    if sweeper.ended.load(Ordering::Acquire) {
                        return;
                    }
                }
            })?;
        Ok((sweeper, thread))
    }

    /// Lets the thread end after one more round, which cancels what is pending in generations that linger. What lingers
    /// then stays to the end of the process.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        let _rings_already = self.bell.try_send(());
    }

    /// Whether libraries can be unmapped here; if not, why not.
    pub(crate) fn interposition(&self) -> &Result<(), String> {
        &self.interposition
    }

    /// Brings a retired generation out of memory, trying for `patience`; what lingers then is tried again later.
    pub(crate) fn depart(&self, mut retired: Retired, patience: Duration) -> Departure {
        let until = Instant::now() + patience;
        let mut pause = Duration::from_micros(100);
        loop {
            if self.advance(&mut retired) {
                self.announce(&retired, Departure::Unmapped);
                return Departure::Unmapped;
            }
            if Instant::now() + pause >= until || matches!(retired.stage, Stage::Settled) {
                let departure = Departure::Lingering {
                    cause: retired.cause.clone(),
                };
                self.announce(&retired, departure.clone());
                self.lingering.lock().push(Lingering::new(retired));
                return departure;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    /// Takes what will never be waited for here: it is brought out of memory on the sweeper's own thread.
    pub(crate) fn leave(&self, mut retired: Retired) {
        if retired.cause.is_empty() {
            "its turn has not come".clone_into(&mut retired.cause);
        }
        self.lingering.lock().push(Lingering::new(retired));
        let _rings_already = self.bell.try_send(());
    }

    /// The generations of a plugin that linger.
    pub(crate) fn lingering(&self, plugin: &str) -> Vec<LingeringStatus> {
        self.lingering
            .lock()
            .iter()
            .filter(|lingering| &*lingering.plugin == plugin)
            .map(|lingering| lingering.status.clone())
            .collect()
    }

    fn announce(&self, retired: &Retired, departure: Departure) {
        self.announcer.announce(Happening::Departed {
            plugin: retired.plugin.to_string(),
            generation: retired.number,
            departure,
        });
    }

    fn round(&self) {
        interpose::visit();
        let numbers: Vec<u64> = self
            .lingering
            .lock()
            .iter()
            .map(|lingering| lingering.status.generation)
            .collect();
        for number in numbers {
            // What is being tried stays on the list, so that nobody takes it for gone.
            let find = |lingering: &Lingering| lingering.status.generation == number;
            let taken = {
                let mut list = self.lingering.lock();
                list.iter_mut()
                    .find(|lingering| find(lingering))
                    .and_then(|lingering| lingering.retired.take())
            };
            let Some(mut retired) = taken else { continue };
            let is_gone = self.advance(&mut retired);
            if is_gone {
                self.announce(&retired, Departure::Unmapped);
            }
            let mut list = self.lingering.lock();
            let Some(place) = list.iter().position(find) else {
                continue;
            };
            if is_gone {
                list.remove(place);
            } else if let Some(lingering) = list.get_mut(place) {
                *lingering = Lingering::new(retired);
            }
        }
    }

    /// Takes it as far as it goes. Says whether it is gone; if not, `cause` says why.
    fn advance(&self, retired: &mut Retired) -> bool {
        loop {
            let stage = std::mem::replace(&mut retired.stage, Stage::Settled);
            match self.next(stage, retired) {
                Onward::To(stage) => retired.stage = stage,
                Onward::Waits(stage, cause) => {
                    retired.stage = stage;
                    retired.cause = cause;
                    return false;
                }
                Onward::Gone => {
                    retired.life = None;
                    return true;
                }
            }
        }
    }

    fn next(&self, stage: Stage, retired: &mut Retired) -> Onward {
        match stage {
            Stage::Inside(leaving) => {
                // Nobody comes by again to see whether its pending calls have ended.
                if self.ended.load(Ordering::Acquire) {
                    pending::cancel_all(Arc::clone(leaving.tenant()), DROP_LIMIT);
                }
                leave_callers(leaving, retired)
            }
            Stage::Object(object) => {
                let desk = retired.life.as_ref().map(|life| Arc::clone(&life.desk));
                drop_object(*object, desk, &retired.plugin)
            }
            Stage::Stuck(comes_back) => match comes_back.try_recv() {
                Ok(stage) => Onward::To(stage),
                Err(TryRecvError::Empty) => {
                    let cause = retired.cause.clone();
                    Onward::Waits(Stage::Stuck(comes_back), cause)
                }
                Err(TryRecvError::Disconnected) => Onward::Waits(
                    Stage::Settled,
                    "the thread that had it is gone without giving it back".to_owned(),
                ),
            },
            Stage::Data(remains) => self.drop_data(remains, retired),
            Stage::Remains(remains) => self.close(remains),
            Stage::Settled => Onward::Waits(Stage::Settled, retired.cause.clone()),
        }
    }

    /// Drops what its library has parsed, once nothing of its can look at it: threads, and destructors of thread-locals.
    fn drop_data(&self, remains: Remains, retired: &Retired) -> Onward {
        let reader = retired.life.as_ref().and_then(|life| life.desk.reader());
        let Some(reader) = reader.map(Arc::clone) else {
            return Onward::To(Stage::Remains(remains));
        };
        if let Some(dataset) = reader.is_parsing() {
            let cause = format!("its parsing of data \"{dataset}\" has not returned");
            return Onward::Waits(Stage::Data(remains), cause);
        }
        remains.vacate();
        interpose::visit();
        self.workers.wake();
        if let Some(cause) = remains.held_by() {
            return Onward::Waits(Stage::Data(remains), cause);
        }
        let Ok(hand) = Hand::new(&retired.plugin) else {
            let cause = "no thread can be started to drop its data".to_owned();
            return Onward::Waits(Stage::Data(remains), cause);
        };
        let (give, take) = bounded(1);
        let work = move || {
            drop(reader.end());
            remains
        };
        let late = move |remains| drop(give.send(Stage::Remains(remains)));
        match hand.run(DROP_LIMIT, CallsOut::Refused, work, late) {
            Ok(remains) => Onward::To(Stage::Remains(remains)),
            Err(_stuck) => Onward::Waits(
                Stage::Stuck(take),
                "dropping its data has not returned".to_owned(),
            ),
        }
    }

    fn close(&self, remains: Remains) -> Onward {
        if let Err(reason) = &self.interposition {
            return Onward::Waits(Stage::Settled, format!("no interposition: {reason}"));
        }
        remains.vacate();
        interpose::visit();
        self.workers.wake();
        match remains.close() {
            Ok(()) => Onward::Gone,
            Err((Some(remains), cause)) => Onward::Waits(Stage::Remains(remains), cause),
            Err((None, cause)) => Onward::Waits(Stage::Settled, cause),
        }
    }
}

/// A generation that lingers, as it is listed.
struct Lingering {
    plugin: Arc<str>,
    status: LingeringStatus,
    /// Absent while it is being tried.
    retired: Option<Retired>,
}

impl Lingering {
    fn new(retired: Retired) -> Self {
        Lingering {
            plugin: Arc::clone(&retired.plugin),
            status: LingeringStatus {
                generation: retired.number,
                version: retired.version.to_string(),
                cause: retired.cause.clone(),
                numbers: retired.numbers,
            },
            retired: Some(retired),
        }
    }
}

/// What comes next for a retired generation.
enum Onward {
    To(Stage),
    Waits(Stage, String),
    Gone,
}

/// Waits for the calls and jobs inside, then takes the generation for itself.
fn leave_callers(mut leaving: Leaving<Generation>, retired: &mut Retired) -> Onward {
    let inside = leaving.inside();
    let generation = leaving.tenant();
    generation.life.desk.close();
    retired.numbers = numbers::of(generation);
    let cause = if !inside.is_empty() {
        let blockers = slot::describe(&inside, Some(generation));
        format!("calls are inside: {}", slot::in_words(&blockers))
    } else if let [first, ..] = &*generation.life.desk.jobs() {
        format!("its job `{first}` has not ended, though it was asked to")
    } else if generation.snapshot_is_stuck() {
        "its snapshot has not returned".to_owned()
    } else {
        match leaving.into_tenant() {
            Ok(Generation { life, instance, .. }) => {
                retired.life = Some(life);
                return Onward::To(Stage::Object(Box::new(Object::Generation(instance))));
            }
            Err(still) => {
                let cause = "it is still looked at".to_owned();
                return Onward::Waits(Stage::Inside(still), cause);
            }
        }
    };
    Onward::Waits(Stage::Inside(leaving), cause)
}

/// Drops the author's value on a thread that can be left behind; before it, the jobs of a candidate that never began,
/// which are the author's values too.
fn drop_object(object: Object, desk: Option<Arc<Desk>>, plugin: &str) -> Onward {
    let Ok(hand) = Hand::new(plugin) else {
        let cause = "no thread can be started to drop it".to_owned();
        return Onward::Waits(Stage::Object(Box::new(object)), cause);
    };
    let name = plugin.to_owned();
    let (give, take) = bounded(1);
    let retire = move || {
        if let Some(desk) = desk {
            desk.close();
        }
        let (remains, outcome) = match object {
            Object::Candidate(candidate) => candidate.retire(),
            Object::Generation(instance) => instance.retire(),
        };
        if let Err(fault) = outcome {
            tracing::warn!(plugin = name, "dropping the plugin's value failed: {fault}");
        }
        remains
    };
    let late = move |remains| drop(give.send(Stage::Data(remains)));
    match hand.run(DROP_LIMIT, CallsOut::Refused, retire, late) {
        Ok(remains) => Onward::To(Stage::Data(remains)),
        Err(_stuck) => Onward::Waits(
            Stage::Stuck(take),
            "dropping its value has not returned".to_owned(),
        ),
    }
}
