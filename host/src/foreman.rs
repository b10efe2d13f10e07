//! The foreman: turns what is seen in the watched directory into journeys.
//!
//! One thread reads sights; each file that is to be looked at gets a lane, a short-lived thread, so that a plugin that is
//! slow to vet or to drain holds up no other. A file that changes while its lane is busy is looked at again afterwards.

use crate::{
    artifact::elf::{Unfit, is_plugin_name},
    config::OnRemoval,
    core::Core,
    directory::{self, Directory, Sight},
    event::Happening,
    journey,
    report::Trigger,
    slot::Slot,
    step::Step,
    steps::watch::{self, Look, NotStaged, Staged},
};
use anyhow::Result;
use crossbeam_channel::{Receiver, RecvTimeoutError, SendError, Sender, bounded, unbounded};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{BTreeSet, HashMap},
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Sights that may wait; more are taken as "look at all of it".
const SIGHTS: usize = 4096;
/// How often the directory is attached to again while it is missing.
const MISSING: Duration = Duration::from_secs(1);
/// How long a new file that nobody is known to write stays as it is before it is looked at.
const QUIET: Duration = Duration::from_millis(250);
/// Pauses between looks at a file that is not all there. After these, only a new sight brings it back.
const PAUSES: [u64; 6] = [20, 50, 100, 200, 400, 800];

/// Turns sights into journeys. [`Foreman::end`] lets its thread end.
pub(crate) struct Foreman {
    orders: Sender<Sight>,
    lanes: Arc<Lanes>,
    only: Arc<Mutex<Option<BTreeSet<String>>>>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The files that are being looked at.
#[derive(Default)]
struct Lanes {
    busy: Mutex<HashMap<PathBuf, Again>>,
    changed: Condvar,
}

/// Whether a file is to be looked at again, once its lane is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    Yes,
}

impl Foreman {
    /// Watches the directory, decides on all that is there, and goes on with what is seen.
    ///
    /// # Errors
    /// The directory cannot be watched.
    pub(crate) fn start(
        core: &Arc<Core>,
        path: &Path,
        only: Option<BTreeSet<String>>,
    ) -> Result<Foreman> {
        let (orders, sights) = bounded(SIGHTS);
        let _only_once = core.sights.set(orders.clone());
        let directory = Directory::watch(path, orders.clone())?;
        let lanes = Arc::new(Lanes::default());
        let only = Arc::new(Mutex::new(only));
        let ended = Arc::new(AtomicBool::new(false));
        let mut shift = Shift {
            core: Arc::downgrade(core),
            directory,
            lanes: Arc::clone(&lanes),
            only: Arc::clone(&only),
            ended: Arc::clone(&ended),
            leaving: HashMap::new(),
            growing: HashMap::new(),
        };
        // What is not all there yet must not hold up the start.
        for unfinished in shift.look_at_all_first(core) {
            shift.look_at(core, unfinished);
        }
        let thread = std::thread::Builder::new()
            .name("foreman".to_owned())
            .spawn(move || shift.run(&sights))?;
        Ok(Foreman {
            orders,
            lanes,
            only,
            ended,
            thread,
        })
    }

    /// Looks at the whole directory again.
    pub(crate) fn rescan(&self) {
        // Full means that it will be looked at anyway.
        let _full = self.orders.try_send(Sight::LookAgain);
    }

    /// Looks only at files with these names from now on.
    pub(crate) fn watch_only(&self, names: BTreeSet<String>) {
        *self.only.lock() = Some(names);
        self.rescan();
    }

    /// Looks at nothing more, and waits until no file is being looked at, at most until `deadline`.
    pub(crate) fn end(&self, deadline: Instant) {
        self.ended.store(true, Ordering::Release);
        // Full means that the thread comes by anyway.
        let _full = self.orders.try_send(Sight::LookAgain);
        // First the thread, then the lanes that it may have begun meanwhile.
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut busy = self.lanes.busy.lock();
        while !busy.is_empty() {
            if self
                .lanes
                .changed
                .wait_until(&mut busy, deadline)
                .timed_out()
            {
                return;
            }
        }
    }
}

/// The foreman's thread.
struct Shift {
    core: Weak<Core>,
    directory: Directory,
    lanes: Arc<Lanes>,
    only: Arc<Mutex<Option<BTreeSet<String>>>>,
    ended: Arc<AtomicBool>,
    /// Files that are gone, and when that counts.
    leaving: HashMap<PathBuf, Instant>,
    /// New files with a single name: how they looked, and when they are looked at if they still do.
    growing: HashMap<PathBuf, (Look, Instant)>,
}

impl Shift {
    /// Decides on all that is there, claims in the order of names; as many journeys side by side as there are processors.
    /// Gives the files that are not all there.
    fn look_at_all_first(&self, core: &Arc<Core>) -> Vec<PathBuf> {
        let most = std::thread::available_parallelism().map_or(1, NonZero::get);
        // The journey tells its own outcome.
        let journey = |(slot, staged): (Arc<Slot>, Box<Staged>)| {
            drop(journey::swap(core, &slot, *staged, Trigger::Watch));
        };
        let (give, take) = unbounded();
        let mut unfinished = Vec::new();
        std::thread::scope(|scope| {
            let travellers: Vec<_> = (0..most)
                .map_while(|_| {
                    let take = take.clone();
                    std::thread::Builder::new()
                        .name("swap".to_owned())
                        .spawn_scoped(scope, move || take.into_iter().for_each(journey))
                        .ok()
                })
                .collect();
            drop(take);
            let mut libraries = directory::libraries(self.directory.path());
            libraries.retain(|path| self.concerns(path));
            for path in libraries {
                match decide(core, &path) {
                    Decision::Swap(slot, staged) => {
                        // Where no thread could be started, it is done here.
                        if let Err(SendError(left)) = give.send((slot, staged)) {
                            journey(left);
                        }
                    }
                    Decision::Incomplete(_) => unfinished.push(path),
                    Decision::Leave => {}
                }
            }
            drop(give);
            for traveller in travellers {
                let _told = traveller.join();
            }
        });
        unfinished
    }

    fn run(mut self, sights: &Receiver<Sight>) {
        loop {
            let sight = sights.recv_timeout(self.next_look());
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            let Some(core) = self.core.upgrade() else {
                return;
            };
            match sight {
                Ok(sight) => self.see(&core, sight),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.directory.has_lost() {
                self.see(&core, Sight::LookAgain);
            }
            self.see_grown(&core);
            self.see_off(&core);
            if !self.directory.path().is_dir() {
                // Whatever is missing of it, the next try comes.
                let _missing = self.directory.attach();
            }
        }
    }

    fn next_look(&self) -> Duration {
        let now = Instant::now();
        let growing = self.growing.values().map(|(_, when)| when);
        self.leaving
            .values()
            .chain(growing)
            .map(|when| when.saturating_duration_since(now))
            .min()
            .unwrap_or(MISSING)
            .min(MISSING)
    }

    fn concerns(&self, path: &Path) -> bool {
        let only = self.only.lock();
        only.as_ref().is_none_or(|names| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| names.contains(name))
        })
    }

    fn see(&mut self, core: &Arc<Core>, sight: Sight) {
        match sight {
            Sight::LookAgain => self.look_at_all(core),
            Sight::Placed(path) | Sight::Written(path) => self.look_at(core, path),
            Sight::Created(path) => match Look::at(&path) {
                Some(look) if look.names >= 2 => self.look_at(core, path),
                // A single name: somebody is writing, and will close it. Or nobody is: it is a symbolic link, or a link
                // to a file whose other name is gone already.
                look => {
                    self.leaving.remove(&path);
                    let when = Instant::now() + QUIET;
                    self.growing.extend(look.map(|look| (path, (look, when))));
                }
            },
            Sight::Removed(path) => {
                self.growing.remove(&path);
                self.note_leaving(core, path);
            }
        }
    }

    fn look_at_all(&mut self, core: &Arc<Core>) {
        let _missing = self.directory.attach();
        for path in directory::libraries(self.directory.path()) {
            self.look_at(core, path);
        }
        let slots: Vec<Arc<Slot>> = core.slots.all().values().cloned().collect();
        for file in slots.iter().filter_map(|slot| slot.facts().file) {
            if directory::is_gone(&file) {
                self.note_leaving(core, file);
            }
        }
    }

    fn look_at(&mut self, core: &Arc<Core>, path: PathBuf) {
        self.leaving.remove(&path);
        self.growing.remove(&path);
        if !self.concerns(&path) {
            return;
        }
        let mut busy = self.lanes.busy.lock();
        if let Some(again) = busy.get_mut(&path) {
            *again = Again::Yes;
            return;
        }
        let (core, lanes, file) = (Arc::downgrade(core), Arc::clone(&self.lanes), path.clone());
        let lane = std::thread::Builder::new()
            .name("lane".to_owned())
            .spawn(move || {
                lanes.run(&file, || {
                    if let Some(core) = core.upgrade() {
                        look_at(&core, &file);
                    }
                });
            });
        match lane {
            Ok(_runs) => drop(busy.insert(path, Again::No)),
            Err(error) => tracing::error!(file = %path.display(), "no thread for it: {error}"),
        }
    }

    fn note_leaving(&mut self, core: &Core, path: PathBuf) {
        let grace = slot_of(core, &path).map_or(core.config.plugins.each.removal_grace, |slot| {
            core.config.for_plugin(&slot.name).removal_grace
        });
        self.leaving
            .entry(path)
            .or_insert_with(|| Instant::now() + grace);
    }

    /// Looks at new files that have stayed as they are.
    fn see_grown(&mut self, core: &Arc<Core>) {
        let now = Instant::now();
        let mut grown = Vec::new();
        self.growing.retain(|path, (look, when)| {
            if *when > now {
                return true;
            }
            match Look::at(path) {
                Some(after) if !after.is_same_file(look) => {
                    (*look, *when) = (after, now + QUIET);
                    true
                }
                _ => {
                    grown.push(path.clone());
                    false
                }
            }
        });
        for path in grown {
            self.look_at(core, path);
        }
    }

    /// Acts on files that have been gone for their grace.
    fn see_off(&mut self, core: &Arc<Core>) {
        let now = Instant::now();
        let due: Vec<PathBuf> = self
            .leaving
            .iter()
            .filter(|(_, when)| **when <= now)
            .map(|(path, _)| path.clone())
            .collect();
        let mut is_any_gone = false;
        for path in due {
            self.leaving.remove(&path);
            if directory::is_gone(&path) {
                is_any_gone = true;
                removed(core, &path);
            }
        }
        if is_any_gone {
            // Another file may have been ignored for the sake of one that is gone.
            let ignored: Vec<PathBuf> = core.ignored.lock().keys().cloned().collect();
            // One that is gone too is on its way out itself.
            for path in ignored.into_iter().filter(|path| !directory::is_gone(path)) {
                self.look_at(core, path);
            }
        }
    }
}

fn slot_of(core: &Core, path: &Path) -> Option<Arc<Slot>> {
    let slots = core.slots.all();
    slots
        .values()
        .find(|slot| slot.facts().file.as_deref() == Some(path))
        .cloned()
}

/// A file is gone for good.
fn removed(core: &Arc<Core>, path: &Path) {
    core.ignored.lock().remove(path);
    let Some(slot) = slot_of(core, path) else {
        return;
    };
    slot.file_is_gone(path);
    let config = core.config.for_plugin(&slot.name);
    if config.on_removal == OnRemoval::Keep || slot.gate.tenant().is_none() {
        return;
    }
    let (core, deadline) = (Arc::clone(core), config.drain_deadline);
    let retire = move || {
        if let Err(error) = journey::retire(&core, &slot, Trigger::Removal, deadline) {
            let text = format!("its file was removed, but it serves on: {error}");
            core.remark(&slot.name, text);
        }
    };
    let started = std::thread::Builder::new()
        .name("removal".to_owned())
        .spawn(retire);
    if let Err(error) = started {
        tracing::error!(file = %path.display(), "no thread to unload it: {error}");
    }
}

impl Lanes {
    /// Looks at a file until it has not changed meanwhile.
    fn run(&self, path: &Path, look: impl Fn()) {
        loop {
            // A panic of ours, or of a library that reads the file, must not leave the lane busy for ever.
            if catch_unwind(AssertUnwindSafe(&look)).is_err() {
                tracing::error!(file = %path.display(), "looking at it panicked; it is looked at again when it changes");
            }
            let mut busy = self.busy.lock();
            match busy.get_mut(path) {
                Some(again) if *again == Again::Yes => *again = Again::No,
                _ => {
                    busy.remove(path);
                    self.changed.notify_all();
                    return;
                }
            }
        }
    }
}

/// Looks at a file, again while it is not all there, and takes it through its journey.
fn look_at(core: &Arc<Core>, path: &Path) {
    let mut pauses = PAUSES.iter();
    loop {
        match decide(core, path) {
            Decision::Swap(slot, staged) => {
                // The journey tells its own outcome.
                let _told = journey::swap(core, &slot, *staged, Trigger::Watch);
                return;
            }
            Decision::Incomplete(reason) => match pauses.next() {
                Some(pause) => std::thread::sleep(Duration::from_millis(*pause)),
                None => return core.ignore(path.to_owned(), reason),
            },
            Decision::Leave => return,
        }
    }
}

/// What is to be done about a file.
enum Decision {
    /// It is to be taken through its journey.
    Swap(Arc<Slot>, Box<Staged>),
    /// It is not all there.
    Incomplete(String),
    /// Nothing; what there was to say has been said.
    Leave,
}

fn decide(core: &Core, path: &Path) -> Decision {
    let staged = match watch::stage(path, core.store.staged_dir()) {
        Ok(staged) => staged,
        Err(NotStaged::Unfit(unfit @ Unfit::Incomplete(_))) => {
            return Decision::Incomplete(unfit.to_string());
        }
        Err(NotStaged::Unfit(Unfit::Stranger(reason))) => {
            core.ignore(path.to_owned(), Unfit::Stranger(reason).to_string());
            return Decision::Leave;
        }
        Err(NotStaged::Unfit(Unfit::Refused { name, reason })) => {
            refuse(core, path, name, reason);
            return Decision::Leave;
        }
        Err(NotStaged::Platform(error)) => {
            if path.exists() {
                core.ignore(path.to_owned(), format!("{error:#}"));
            }
            return Decision::Leave;
        }
    };
    let slot = core.slot_for(&staged.manifest.name);
    if let Err(first) = slot.claim(path) {
        core.ignore(
            path.to_owned(),
            format!(
                "plugin \"{}\" comes from {} already",
                slot.name,
                first.display()
            ),
        );
        return Decision::Leave;
    }
    core.ignored.lock().remove(path);
    match core.store.memory(&slot.name) {
        Ok(memory) if memory.superseded == Some(staged.digest) => {
            let decision = if memory.unloaded {
                "the plugin was unloaded"
            } else {
                "another version was put in its place"
            };
            let reason = format!("{decision} by an operator; that holds until the file changes");
            if memory.unloaded {
                slot.now_unloaded();
            }
            core.ignore(path.to_owned(), reason);
            Decision::Leave
        }
        Ok(_) => Decision::Swap(slot, Box::new(staged)),
        Err(error) => {
            core.ignore(path.to_owned(), format!("{error:#}"));
            Decision::Leave
        }
    }
}

/// Says that a file claims to be a plugin that this host cannot take.
fn refuse(core: &Core, path: &Path, name: Option<String>, reason: String) {
    let slot = name
        .filter(|name| is_plugin_name(name))
        .map(|name| core.slot_for(&name))
        .filter(|slot| slot.claim(path).is_ok());
    let plugin = match slot {
        Some(slot) => {
            slot.note_failure(Step::Vet, reason.clone());
            slot.name.to_string()
        }
        None => {
            core.ignored.lock().insert(path.to_owned(), reason.clone());
            path.display().to_string()
        }
    };
    core.announcer.announce(Happening::SwapFailed {
        plugin,
        step: Step::Vet,
        reason,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_leaves_no_lane_busy() {
        let lanes = Lanes::default();
        let path = Path::new("liba.so");
        lanes.busy.lock().insert(path.to_owned(), Again::Yes);
        let looks = std::cell::Cell::new(0);
        lanes.run(path, || {
            looks.set(looks.get() + 1);
            panic!("on purpose");
        });
        assert_eq!(looks.get(), 2, "it had changed meanwhile");
        assert!(lanes.busy.lock().is_empty());
    }
}
