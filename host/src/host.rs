//! The host: what an embedding service holds.

use crate::{
    announce::Announcer,
    child,
    clock::Clock,
    config::{CallConfig, Config},
    core::Core,
    data::{Data, Messenger},
    deadline,
    error::{CallError, SwapError},
    event::{Event, Happening},
    foreign::interpose,
    foreman::Foreman,
    journal::{LastGood, Outcome, Record},
    journey,
    method::Method,
    recovery,
    report::{
        HostStatus, PluginStatus, ShutdownReport, SwapReport, Trigger, UnloadReport, Verdict,
    },
    slot::Slots,
    standby::Examiners,
    status,
    step::Step,
    steps::watch::{self, NotStaged},
    store::Store,
    sweeper::Sweeper,
    tick, vetting,
    workers::{Bounds, Workers},
};
use anyhow::{Context, Result, anyhow, ensure};
use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use smol_str::SmolStr;
use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How often a shutdown looks whether calls are inside.
const LOOK: Duration = Duration::from_millis(1);

/// How long the last clone of a host waits for its threads to end.
const THREADS_END: Duration = Duration::from_secs(2);

/// A running host. Clones are the same host; it ends with [`Host::shutdown`], or when the last clone is dropped.
///
/// ```no_run
/// # fn main() -> anyhow::Result<()> {
/// let host = host::Host::builder()
///     .directory("target/release")
///     .state_dir("state")
///     .examiner("/usr/local/bin/host")
///     .start()?;
/// let reply = host.call("counter", "add", b"[5]")?;
/// println!("{} by generation {}", String::from_utf8_lossy(&reply.result), reply.generation);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host(Arc<Owner>);

/// Holds the core and its threads; ends them.
struct Owner {
    core: Arc<Core>,
    foreman: Mutex<Option<Foreman>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How a host is to be started.
#[must_use]
#[derive(Default)]
pub struct HostBuilder {
    config: Config,
    directory: Option<PathBuf>,
    only: Option<BTreeSet<String>>,
    state_dir: Option<PathBuf>,
    examiner: Option<PathBuf>,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The method's result as JSON text.
    pub result: Vec<u8>,
    /// The version that answered. Copied, where it is short, and so written by no other caller.
    pub version: SmolStr,
    /// The generation that answered.
    pub generation: u64,
}

/// Where a rollback goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackTarget {
    /// The last artifact that served with this version.
    Version(String),
    /// The artifact that served as this generation.
    Generation(u64),
}

impl HostBuilder {
    /// Sets the configuration. Default: [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Watches this directory. Default: `plugins.dir` of the configuration; where neither is set, none.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Looks only at files with these names in the directory. Default: all that end in `.so`.
    pub fn only_files(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.only = Some(names.into_iter().collect());
        self
    }

    /// Keeps journal, artifacts and snapshots there. Default: `.host` in the current directory.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Runs this program to examine artifacts: one whose `main` begins with [`examiner`](crate::examiner). Default: the
    /// running program itself, whose `main` must begin so then.
    ///
    /// Once it has examined an artifact, the host starts it ahead for the next one: a process of it waits, with the
    /// environment of the moment at which it was started. A file that was replaced meanwhile is started anew.
    pub fn examiner(mut self, program: impl Into<PathBuf>) -> Self {
        self.examiner = Some(program.into());
        self
    }

    /// Starts: the artifacts that served last, with their states, and then what the directory has. Returns when all that
    /// was there has been decided.
    ///
    /// # Errors
    /// The state directory is in use by another host or damaged; the directory cannot be watched; threads cannot be
    /// started. That a plugin cannot be loaded is no error here: see [`Host::status`].
    pub fn start(self) -> Result<Host> {
        ensure!(
            !crate::examiner::is_examiner(),
            "this is an examiner process, and its `main` went on: `host::examiner()` must be the first thing in it"
        );
        let state_dir = absolute(&self.state_dir.unwrap_or_else(|| PathBuf::from(".host")))?;
        let directory = self
            .directory
            .or_else(|| self.config.plugins.dir.clone())
            .map(|directory| absolute(&directory))
            .transpose()?;
        let store = Store::open(&state_dir)?;
        let announcer = Arc::new(Announcer::default());
        let interposition = interpose::in_force();
        if let Err(reason) = &interposition {
            tracing::warn!("retired plugins will stay in memory: {reason}");
        }
        let (workers, mut threads) = Workers::start(bounds(&self.config.call))?;
        let workers = Arc::new(workers);
        let (clock, clock_thread) = Clock::start()?;
        threads.push(clock_thread);
        let (sweeper, sweeper_thread) =
            Sweeper::start(interposition, Arc::clone(&announcer), Arc::clone(&workers))?;
        threads.push(sweeper_thread);
        let examiner = self.examiner.unwrap_or_else(child::own_program);
        let host_build = build_of(&examiner);
        let examiners = Examiners::with_standby(examiner)?;
        let data = Data::open(&self.config.data, &state_dir, Arc::clone(&announcer))?;
        let core = Arc::new_cyclic(|itself| Core {
            itself: Weak::clone(itself),
            host_build,
            config: self.config,
            store,
            state_dir,
            directory,
            examiners,
            slots: Slots::default(),
            closing: Mutex::new(()),
            releasing: Mutex::new(()),
            ignored: Mutex::new(BTreeMap::new()),
            sights: OnceLock::new(),
            data,
            announcer,
            workers,
            clock,
            sweeper,
            shutting_down: AtomicBool::new(false),
            started: Instant::now(),
        });
        let owner = Owner {
            core: Arc::clone(&core),
            foreman: Mutex::new(None),
            threads: Mutex::new(threads),
        };
        let as_messenger = Arc::clone(&core) as Arc<dyn Messenger>;
        core.data.publisher().send_by(Arc::downgrade(&as_messenger));
        drop(as_messenger);
        let sources = core.data.follow(&core.clock)?;
        owner.threads.lock().extend(sources);
        tick::start(&core);
        recovery::come_back(&core)?;
        if let Some(directory) = &core.directory {
            *owner.foreman.lock() = Some(Foreman::start(&core, directory, self.only)?);
        }
        core.announcer.announce(Happening::Started {
            directory: core
                .directory
                .as_ref()
                .map(|path| path.display().to_string()),
        });
        Ok(Host(Arc::new(owner)))
    }
}

/// The path from the root, with what links there are above the last part resolved where they exist.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(_) => {
            let path = std::path::absolute(path)
                .with_context(|| format!("finding {} from the root", path.display()))?;
            Ok(
                match (path.parent().map(Path::canonicalize), path.file_name()) {
                    (Some(Ok(parent)), Some(name)) => parent.join(name),
                    _ => path,
                },
            )
        }
    }
}

/// What the workers may hold at once.
fn bounds(config: &CallConfig) -> Bounds {
    Bounds {
        threads: config.threads,
        share: config.share(),
        queue: config.queue,
    }
}

/// What tells one build of the examiner from another.
fn build_of(program: &Path) -> String {
    let file = std::fs::metadata(program);
    let file = file.map_or_else(
        |_| "unknown".to_owned(),
        |file| format!("{}-{}.{}", file.len(), file.mtime(), file.mtime_nsec()),
    );
    format!("{}-{file}", env!("CARGO_PKG_VERSION"))
}

impl Host {
    /// A host to be started.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// What its parts share.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    /// Calls a method by name on the calling thread. `arguments` is JSON: an array is the argument list, an object whose
    /// keys are the argument names serves too, any other value is the single argument, and nothing is no argument.
    ///
    /// It waits at most `call.timeout` of the configuration to be let in; once inside it runs to its end.
    ///
    /// # Errors
    /// See [`CallError`]; but for `Refused`, `Panicked` and `Failed`, the method was not executed.
    pub fn call(&self, plugin: &str, method: &str, arguments: &[u8]) -> Result<Reply, CallError> {
        let limit = self.core().config.call.timeout;
        self.core().call(plugin, method, arguments, limit)
    }

    /// A method to be called often: its name is looked up once.
    ///
    /// # Errors
    /// [`CallError::UnknownPlugin`]; [`CallError::UnknownMethod`] where a plugin serves that has none of this name. Of a
    /// plugin that does not serve now, any name will do.
    pub fn method(&self, plugin: &str, method: &str) -> Result<Method, CallError> {
        Method::find(self, plugin, method)
    }

    /// Takes a file through the whole journey, and waits for the outcome.
    ///
    /// # Errors
    /// The step at which it ended. What served before serves on.
    pub fn load(&self, file: &Path) -> Result<SwapReport, SwapError> {
        let core = self.core();
        let refuse = |step, cause| SwapError::new(step, file.display().to_string(), cause);
        let file = absolute(file).map_err(|cause| refuse(Step::Watch, cause))?;
        let staged = watch::stage(&file, core.store.staged_dir()).map_err(|not| match not {
            NotStaged::Unfit(unfit) => refuse(Step::Vet, anyhow!(unfit)),
            NotStaged::Platform(error) => refuse(Step::Watch, error),
        })?;
        let slot = core.slot_for(&staged.manifest.name);
        journey::swap(core, &slot, staged, Trigger::Load)
    }

    /// Takes a plugin out of service: drains it, saves its state, unmaps it. It comes back with [`Host::load`], or when
    /// its file changes, with the saved state.
    ///
    /// # Errors
    /// The step at which it ended; the plugin serves on then.
    pub fn unload(&self, plugin: &str) -> Result<UnloadReport, SwapError> {
        let core = self.core();
        let slot = core.slot(plugin).ok_or_else(|| {
            SwapError::new(Step::Load, plugin, anyhow!("no such plugin is known"))
        })?;
        let deadline = core.config.for_plugin(plugin).drain_deadline;
        journey::retire(core, &slot, Trigger::Unload, deadline)
    }

    /// Goes back to an older artifact by the same journey, as a new generation. Without a target: the one that served
    /// before the current.
    ///
    /// # Errors
    /// No such artifact is kept, or the step at which the journey ended.
    pub fn rollback(
        &self,
        plugin: &str,
        to: Option<&RollbackTarget>,
    ) -> Result<SwapReport, SwapError> {
        let core = self.core();
        let refuse = |cause| SwapError::new(Step::Load, plugin, cause);
        let slot = core
            .slot(plugin)
            .ok_or_else(|| refuse(anyhow!("no such plugin is known")))?;
        let staged = self
            .find_served(plugin, to)
            .and_then(|artifact| recovery::stage_kept(core, &artifact))
            .map_err(refuse)?;
        journey::swap(core, &slot, staged, Trigger::Rollback)
    }

    /// The newest artifact in the journal that served, is not serving, and is what is asked for.
    pub(crate) fn find_served(
        &self,
        plugin: &str,
        to: Option<&RollbackTarget>,
    ) -> Result<LastGood> {
        let core = self.core();
        let serving = core
            .slot(plugin)
            .and_then(|slot| slot.gate.tenant())
            .map(|generation| generation.life.digest);
        let served = core.store.history(plugin, usize::MAX)?;
        let record = served
            .into_iter()
            .filter(|record| matches!(record.outcome, Outcome::Swapped { .. }))
            .find(|record| match to {
                None => Some(record.digest) != serving,
                Some(RollbackTarget::Version(version)) => record.version == *version,
                Some(RollbackTarget::Generation(generation)) => record.generation == *generation,
            })
            .with_context(|| match to {
                None => "no other artifact of it has served".to_owned(),
                Some(RollbackTarget::Version(version)) => {
                    format!("no version {version} of it has served")
                }
                Some(RollbackTarget::Generation(generation)) => {
                    format!("no generation {generation} of it has served")
                }
            })?;
        Ok(LastGood {
            digest: record.digest,
            staged_digest: Some(record.staged_digest),
            version: record.version,
            generation: record.generation,
            file: record.file,
        })
    }

    /// Examines a file as a load would. Nothing is loaded, and no kept verdict is used.
    #[must_use]
    pub fn vet(&self, file: &Path) -> Verdict {
        let core = self.core();
        let limit = core.config.plugins.each.vet_timeout;
        let staging = core.store.staged_dir();
        vetting::vet_in(staging, file, &core.examiners, limit, Some(&core.data))
    }

    /// Looks at the whole directory again, and asks the sources of all datasets for their truth.
    pub fn rescan(&self) {
        self.core().data.ring();
        if let Some(foreman) = &*self.0.foreman.lock() {
            foreman.rescan();
        }
    }

    /// Looks only at files with these names in the directory from now on.
    pub fn watch_only(&self, names: impl IntoIterator<Item = String>) {
        if let Some(foreman) = &*self.0.foreman.lock() {
            foreman.watch_only(names.into_iter().collect());
        }
    }

    /// All about the host.
    #[must_use]
    pub fn status(&self) -> HostStatus {
        status::of_host(self.core())
    }

    /// All about one plugin; `None` where no plugin of that name is known.
    #[must_use]
    pub fn plugin(&self, name: &str) -> Option<PluginStatus> {
        let slot = self.core().slot(name)?;
        Some(status::of_plugin(self.core(), &slot))
    }

    /// The journal's records of a plugin, newest first, at most `limit`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn history(&self, plugin: &str, limit: usize) -> Result<Vec<Record>> {
        self.core().store.history(plugin, limit)
    }

    /// The last events, oldest first, at most 100.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.core().announcer.last()
    }

    /// The events from now on. A follower who falls 1,024 behind is cut off.
    #[must_use]
    pub fn follow(&self) -> Receiver<Event> {
        self.core().announcer.follow()
    }

    /// Adds an event of the embedding program's own.
    pub fn announce(&self, what: Happening) {
        self.core().announcer.announce(what);
    }

    /// Ends the host: refuses new calls, waits until `deadline` has passed at most for those inside, saves all states,
    /// and lets the plugins go. Calls made later are [`CallError::NotServing`].
    pub fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.0.shut_down(deadline)
    }
}

impl Owner {
    fn shut_down(&self, deadline: Duration) -> ShutdownReport {
        let core = &self.core;
        let mut report = ShutdownReport {
            saved: Vec::new(),
            out_of_time: Vec::new(),
            failed: Vec::new(),
        };
        let until = deadline::after(deadline);
        if core.shutting_down.swap(true, Ordering::AcqRel) {
            return report;
        }
        core.announcer.announce(Happening::ShuttingDown);
        if let Some(foreman) = self.foreman.lock().take() {
            foreman.end(until);
        }
        core.data.end();
        let slots: Vec<_> = core.slots.all().values().cloned().collect();
        for slot in &slots {
            slot.gate.admit_only_insiders();
        }
        for generation in slots.iter().filter_map(|slot| slot.gate.tenant()) {
            generation.life.desk.close();
        }
        // All calls first, and only then the plugins: calls inside may yet go from one to another.
        while crate::core::anybody_inside(&slots).is_some() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        for slot in &slots {
            // What is on its way into the slot has come there then, or has been turned away.
            drop(slot.journey.try_lock_until(until));
            if slot.gate.tenant().is_none() {
                continue;
            }
            let left = until
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(10));
            match journey::retire(core, slot, Trigger::Shutdown, left) {
                Ok(unloaded) if unloaded.state_saved => report.saved.push(unloaded.plugin),
                Ok(_) => {}
                Err(error) if error.is_out_of_time() => {
                    report
                        .out_of_time
                        .push(format!("{}: {:#}", slot.name, error.cause));
                }
                Err(error) => report
                    .failed
                    .push(format!("{}: {:#}", slot.name, error.cause)),
            }
        }
        core.examiners.close();
        if let Err(error) = core.store.give_back_generations() {
            tracing::warn!("the numbers of generations will have a gap: {error:#}");
        }
        core.announcer.announce(Happening::Stopped);
        core.announcer.end();
        report
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shut_down(self.core.config.plugins.each.drain_deadline);
        self.core.workers.end();
        self.core.sweeper.end();
        self.core.clock.end();
        // So that the state directory is free when this returns. A thread that is stuck in a plugin is left behind, and
        // so is this one, should it be one of them.
        let until = Instant::now() + THREADS_END;
        let this = std::thread::current().id();
        let mut is_own = false;
        for thread in self.threads.get_mut().drain(..) {
            is_own |= thread.thread().id() == this;
            while !thread.is_finished() && thread.thread().id() != this && Instant::now() < until {
                std::thread::sleep(LOOK);
            }
        }
        // Threads that come and go, such as one that was just looking at a file, hold it for moments.
        while !is_own && Arc::strong_count(&self.core) > 1 && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }
}
