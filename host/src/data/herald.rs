//! The herald: tells plugins that data has changed, those that have a method `on_change` for it.
//!
//! That is outside of the path of calls, and after the publishing: what a plugin makes of it refuses nothing. It is called
//! like anybody calls it, through its gate, on a thread of the host's. Of each plugin and dataset at most one such call
//! runs, and one more waits; so however fast a dataset changes, the last revision is told, and some before it perhaps not.
//!
//! A revision is *applied* when all who read the dataset have been told since it was published, and those who have no such
//! method at once; with the failures of those who failed.
//!
//! # States
//! Of a plugin and a dataset: *nothing*; *queued*: it will find the newest revision; *running*; *running, and to run
//! again*.

use super::{
    dataset::{Applied, Dataset},
    reader::Reader,
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
}

/// What is under way for a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
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
        let told = readers.iter().filter(|reader| reader.title().is_told);
        let waits: BTreeSet<Arc<str>> = told
            .map(|reader| Arc::clone(&reader.title().plugin))
            .collect();
        let due = Due {
            revision,
            waits: waits.clone(),
            failures: Vec::new(),
        };
        let mut queued = Vec::new();
        {
            let mut book = self.book.lock();
            book.due.insert(place, due);
            for plugin in waits {
                let pair = (plugin, place);
                match book.runs.get_mut(&pair) {
                    Some(run @ Run::Running) => *run = Run::RunningAndAgain,
                    Some(Run::Queued | Run::RunningAndAgain) => {}
                    None => {
                        book.runs.insert(pair.clone(), Run::Queued);
                        queued.push(pair);
                    }
                }
            }
        }
        for pair in queued {
            self.queue(pair);
        }
        self.see_applied(place);
    }

    fn queue(self: &Arc<Self>, pair: Pair) {
        let errand = Errand {
            herald: Arc::clone(self),
            pair: Some(pair.clone()),
        };
        match self.messenger() {
            Some(messenger) => messenger.run(&pair.0, Box::new(move || errand.run())),
            None => drop(errand),
        }
    }

    /// The newest revision of the pair's dataset is to be told now.
    fn begin(&self, pair: &Pair) -> Option<u64> {
        let mut book = self.book.lock();
        book.runs.insert(pair.clone(), Run::Running);
        book.due.get(&pair.1).map(|due| due.revision)
    }

    /// This revision was told. Says whether a newer one is to be.
    fn ended(&self, pair: &Pair, told: Option<u64>, outcome: Result<(), String>) -> bool {
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
        match book.runs.remove(pair) {
            Some(Run::RunningAndAgain) => {
                book.runs.insert(pair.clone(), Run::Queued);
                true
            }
            _ => false,
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

/// Tells one plugin of one dataset. Dropping it counts as having told in vain.
struct Errand {
    herald: Arc<Herald>,
    pair: Option<Pair>,
}

impl Errand {
    fn run(mut self) {
        let Some(pair) = self.pair.take() else { return };
        let revision = self.herald.begin(&pair);
        let dataset = self.herald.datasets.get(pair.1);
        let messenger = self.herald.messenger();
        let outcome = match (messenger, dataset) {
            (Some(messenger), Some(dataset)) => messenger.tell(&pair.0, &dataset.name),
            _ => Ok(()),
        };
        self.end(pair, revision, outcome);
    }

    fn end(&self, pair: Pair, revision: Option<u64>, outcome: Result<(), String>) {
        let again = self.herald.ended(&pair, revision, outcome);
        self.herald.see_applied(pair.1);
        if again {
            self.herald.queue(pair);
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if let Some(pair) = self.pair.take() {
            let revision = self.herald.begin(&pair);
            let reason = "it was not told: too many calls wait".to_owned();
            self.end(pair, revision, Err(reason));
        }
    }
}
