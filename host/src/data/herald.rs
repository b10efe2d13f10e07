//! The herald: tells plugins that data has changed, those that have a method `on_change` for it.
//!
//! That is outside of the path of calls, and after the publishing: what a plugin makes of it refuses nothing. It is called
//! like anybody calls it, through its gate, on a thread of the host's. Of each plugin and dataset at most one such call
//! runs, and one more waits; so however fast a dataset changes, the last revision is told, and some before it perhaps not.
//! A call that hangs holds up nobody else: not its plugin's next generation either, which is told beside it.
//!
//! A revision is *applied* when all who read the dataset have been told since it was published, and those who have no such
//! method at once; with the failures of those who failed.
//!
//! # States
//! Of a plugin and a dataset: *nothing*; *queued*: it will find the newest revision; *running*; *running, and to run
//! again*. What runs for a generation that was replaced since is left to itself, and begins anew for its successor.

use super::{
    dataset::{Applied, Dataset},
    reader::{Reader, Title},
};
use crate::{
    announce::{Announcer, now_millis},
    event::Happening,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock, Weak},
};

/// Calls plugins.
pub(crate) trait Messenger: Send + Sync {
    /// Has a thread of the host's run this errand, which tells a plugin something; it is dropped where that cannot be.
    fn run(&self, plugin: &Arc<str>, errand: Box<dyn FnOnce() + Send>);

    /// Calls the plugin's `on_change`, on this thread. Who does not serve any more, or has no such method by now, needs not
    /// be told.
    ///
    /// # Errors
    /// What the plugin said.
    fn tell(&self, plugin: &str, dataset: &str) -> Result<(), String>;

    /// Has files looked at again that were turned away.
    fn look_again(&self);
}

/// Tells plugins that data has changed.
pub(crate) struct Herald {
    messenger: OnceLock<Weak<dyn Messenger>>,
    datasets: Arc<[Dataset]>,
    announcer: Arc<Announcer>,
    book: Mutex<Book>,
}

/// A plugin, and the place of a dataset.
type Pair = (Arc<str>, usize);

#[derive(Default)]
struct Book {
    runs: BTreeMap<Pair, Run>,
    due: BTreeMap<usize, Due>,
    last_errand: u64,
}

/// What is under way for a pair.
struct Run {
    /// The number of the errand that it is.
    errand: u64,
    /// That which served when it was asked for.
    generation: u64,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Queued,
    Running,
    RunningAndAgain,
}

/// A revision that is published, and not applied yet.
struct Due {
    revision: u64,
    waits: BTreeSet<Arc<str>>,
    failures: Vec<String>,
}

impl Book {
    /// This generation is to be told. Gives the number of a new errand for it, unless one is under way.
    fn ask(&mut self, pair: &Pair, generation: u64) -> Option<u64> {
        if let Some(run) = self.runs.get_mut(pair) {
            match run.progress {
                Progress::Queued => {
                    run.generation = generation;
                    return None;
                }
                Progress::Running | Progress::RunningAndAgain if run.generation == generation => {
                    run.progress = Progress::RunningAndAgain;
                    return None;
                }
                Progress::Running | Progress::RunningAndAgain => {}
            }
        }
        self.last_errand += 1;
        let run = Run {
            errand: self.last_errand,
            generation,
            progress: Progress::Queued,
        };
        self.runs.insert(pair.clone(), run);
        Some(self.last_errand)
    }

    /// What is under way by this errand.
    fn run(&mut self, pair: &Pair, errand: u64) -> Option<&mut Run> {
        self.runs.get_mut(pair).filter(|run| run.errand == errand)
    }
}

impl Herald {
    pub(super) fn new(datasets: Arc<[Dataset]>, announcer: Arc<Announcer>) -> Arc<Herald> {
        Arc::new(Herald {
            messenger: OnceLock::new(),
            datasets,
            announcer,
            book: Mutex::default(),
        })
    }

    /// Who calls plugins. Before that nobody is told.
    pub(super) fn send_by(&self, messenger: Weak<dyn Messenger>) {
        let _only_once = self.messenger.set(messenger);
    }

    pub(super) fn messenger(&self) -> Option<Arc<dyn Messenger>> {
        self.messenger.get().and_then(Weak::upgrade)
    }

    /// This revision is shown, which these read.
    pub(super) fn published(
        self: &Arc<Self>,
        place: usize,
        revision: u64,
        readers: &[Arc<Reader>],
    ) {
        if readers.is_empty() {
            return;
        }
        let titles = readers.iter().map(|reader| reader.title());
        let told: Vec<&Title> = titles.filter(|title| title.is_told).collect();
        let due = Due {
            revision,
            waits: told.iter().map(|title| Arc::clone(&title.plugin)).collect(),
            failures: Vec::new(),
        };
        let mut errands = Vec::new();
        {
            let mut book = self.book.lock();
            book.due.insert(place, due);
            for title in told {
                let pair = (Arc::clone(&title.plugin), place);
                let errand = book.ask(&pair, title.generation);
                errands.extend(errand.map(|number| (pair, number)));
            }
        }
        for (pair, number) in errands {
            self.queue(pair, number);
        }
        self.see_applied(place);
    }

    fn queue(self: &Arc<Self>, pair: Pair, number: u64) {
        let plugin = Arc::clone(&pair.0);
        let errand = Errand {
            herald: Arc::clone(self),
            pair,
            number,
            is_open: true,
        };
        match self.messenger() {
            Some(messenger) => messenger.run(&plugin, Box::new(move || errand.run())),
            None => drop(errand),
        }
    }

    /// The newest revision of the pair's dataset is to be told now.
    fn begin(&self, pair: &Pair, errand: u64) -> Option<u64> {
        let mut book = self.book.lock();
        if let Some(run) = book.run(pair, errand) {
            run.progress = Progress::Running;
        }
        book.due.get(&pair.1).map(|due| due.revision)
    }

    /// This revision was told. Says whether a newer one is to be.
    fn ended(
        &self,
        pair: &Pair,
        errand: u64,
        told: Option<u64>,
        outcome: Result<(), String>,
    ) -> bool {
        let mut book = self.book.lock();
        if let Some(due) = book.due.get_mut(&pair.1)
            && Some(due.revision) == told
            && due.waits.remove(&pair.0)
        {
            due.failures.extend(
                outcome
                    .err()
                    .map(|reason| format!("plugin \"{}\": {reason}", pair.0)),
            );
        }
        match book.run(pair, errand) {
            Some(run) if run.progress == Progress::RunningAndAgain => {
                run.progress = Progress::Queued;
                true
            }
            Some(_) => {
                book.runs.remove(pair);
                false
            }
            None => false,
        }
    }

    /// Says that a revision is applied, once all have been told.
    fn see_applied(&self, place: usize) {
        let mut book = self.book.lock();
        let is_done = |due: &Due| due.waits.is_empty();
        let Some(due) = book.due.get(&place).filter(|due| is_done(due)) else {
            return;
        };
        let applied = Applied {
            revision: due.revision,
            time: now_millis(),
            failures: due.failures.clone(),
        };
        book.due.remove(&place);
        let Some(dataset) = self.datasets.get(place) else {
            return;
        };
        dataset.facts.lock().applied = Some(applied.clone());
        // With the book locked, so that revisions are told of in their order.
        self.announcer.announce(Happening::DataApplied {
            dataset: dataset.name.clone(),
            revision: applied.revision,
            failures: applied.failures,
        });
    }
}

/// Tells one plugin of one dataset. Dropping it before it has ended counts as having told in vain.
struct Errand {
    herald: Arc<Herald>,
    pair: Pair,
    number: u64,
    is_open: bool,
}

impl Errand {
    fn run(mut self) {
        let revision = self.herald.begin(&self.pair, self.number);
        let dataset = self.herald.datasets.get(self.pair.1);
        let messenger = self.herald.messenger();
        let outcome = match (messenger, dataset) {
            (Some(messenger), Some(dataset)) => messenger.tell(&self.pair.0, &dataset.name),
            _ => Ok(()),
        };
        self.end(revision, outcome);
    }

    fn end(&mut self, revision: Option<u64>, outcome: Result<(), String>) {
        self.is_open = false;
        let Errand {
            herald,
            pair,
            number,
            ..
        } = self;
        let again = herald.ended(pair, *number, revision, outcome);
        herald.see_applied(pair.1);
        if again {
            herald.queue(pair.clone(), *number);
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if self.is_open {
            let revision = self.herald.begin(&self.pair, self.number);
            let reason = if std::thread::panicking() {
                "telling it panicked"
            } else {
                "it was not told: too many calls wait"
            };
            self.end(revision, Err(reason.to_owned()));
        }
    }
}
