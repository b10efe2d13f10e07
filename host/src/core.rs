//! The core: what the parts of one running host share.

use crate::{
    announce::Announcer,
    async_call::AsyncCall,
    clock::Clock,
    config::Config,
    data::{Data, Messenger, Scope},
    desk::{Switchboard, Turn},
    directory::Sight,
    driver,
    error::{CallError, HandleError},
    event::Happening,
    gate::Within,
    handle::Passage,
    host::Reply,
    interfaces::{Interfaces, User},
    pace,
    slot::{self, Slot, Slots},
    standby::Examiners,
    store::Store,
    sweeper::Sweeper,
    task::Calling,
    workers::Workers,
};
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock, Weak, atomic::AtomicBool},
    time::Instant,
};

/// What the parts of one running host share.
pub(crate) struct Core {
    /// Itself, for what may outlive it.
    pub(crate) itself: Weak<Core>,
    /// What an operator has set.
    pub(crate) config: Config,
    /// What is kept on disk.
    pub(crate) store: Store,
    /// Where that is.
    pub(crate) state_dir: PathBuf,
    /// The watched directory.
    pub(crate) directory: Option<PathBuf>,
    /// Who examines artifacts.
    pub(crate) examiners: Examiners,
    /// What verdicts depend on beside the artifact.
    pub(crate) host_build: String,
    /// Where callers find plugins.
    pub(crate) slots: Slots,
    /// Held by whoever has closed a gate: at most one of a host is closed at a time.
    pub(crate) closing: Mutex<()>,
    /// Held by whoever applies a release: one at a time.
    pub(crate) releasing: Mutex<()>,
    /// Files that are ignored, with the reason.
    pub(crate) ignored: Mutex<BTreeMap<PathBuf, String>>,
    /// Where to ask that the watched directory be looked at again.
    pub(crate) sights: OnceLock<Sender<Sight>>,
    /// The datasets.
    pub(crate) data: Data,
    /// Tells what happens.
    pub(crate) announcer: Arc<Announcer>,
    /// Run calls.
    pub(crate) workers: Arc<Workers>,
    /// Fires timers.
    pub(crate) clock: Clock,
    /// Unmaps.
    pub(crate) sweeper: Arc<Sweeper>,
    /// Whether new calls are refused.
    pub(crate) shutting_down: AtomicBool,
    /// When it started.
    pub(crate) started: Instant,
}

impl Core {
    /// The slot of a plugin that is known.
    pub(crate) fn slot(&self, plugin: &str) -> Option<Arc<Slot>> {
        self.slots.all().get(plugin).map(Arc::clone)
    }

    /// The slot of a plugin, made if there is none.
    pub(crate) fn slot_for(&self, plugin: &str) -> Arc<Slot> {
        self.slots.make(plugin)
    }

    /// A way into a plugin by an interface that it offers; `description` is what the caller takes that for.
    ///
    /// # Errors
    /// See [`HandleError`].
    pub(crate) fn passage(
        &self,
        plugin: &str,
        description: &str,
        user: User,
    ) -> Result<Passage, HandleError> {
        let slot = self
            .slot(plugin)
            .ok_or_else(|| HandleError::UnknownPlugin {
                plugin: plugin.to_owned(),
            })?;
        let wanted = serde_json::from_str(description).map_err(|error| HandleError::Differs {
            plugin: plugin.to_owned(),
            difference: format!("how an interface is described: {error}"),
        })?;
        Ok(Passage {
            line: Interfaces::claim(&slot, wanted, user)?,
            announcer: Arc::clone(&self.announcer),
            limit: self.config.call.timeout,
        })
    }

    /// Calls an `async` method on this thread.
    #[cold]
    pub(crate) fn call_and_wait(
        &self,
        plugin: &str,
        method: &str,
        arguments: &[u8],
    ) -> Result<Reply, CallError> {
        let call = AsyncCall {
            plugin: plugin.to_owned(),
            method: method.to_owned(),
            arguments: arguments.to_vec(),
            within: Within::current(),
            scope: Some(Scope::current(self.data.publisher().shown())),
        };
        driver::drive(call.run(Weak::clone(&self.itself)))
    }

    /// Notes an ignored file, and says so once.
    pub(crate) fn ignore(&self, file: PathBuf, reason: String) {
        let mut ignored = self.ignored.lock();
        if ignored.get(&file) != Some(&reason) {
            self.announcer.announce(Happening::Ignored {
                file: file.display().to_string(),
                reason: reason.clone(),
            });
            ignored.insert(file, reason);
        }
    }

    /// Says something that an operator should know.
    pub(crate) fn remark(&self, plugin: &str, text: String) {
        self.announcer.announce(Happening::Remark {
            plugin: Some(plugin.to_owned()),
            text,
        });
    }
}

impl Switchboard for Core {
    fn call(&self, plugin: &str, method: &str, arguments: &[u8]) -> Result<Vec<u8>, CallError> {
        pace::note_call_out();
        Core::call(self, plugin, method, arguments, self.config.call.timeout)
            .map(|reply| reply.result)
    }

    fn call_later(
        self: Arc<Self>,
        plugin: Arc<str>,
        method: Arc<str>,
        arguments: Arc<[u8]>,
        turn: Turn,
    ) {
        let core = Arc::downgrade(&self);
        let (for_plugin, for_method) = (Arc::clone(&plugin), Arc::clone(&method));
        let errand = move || {
            let _until_it_has_ended = turn;
            let Some(core) = core.upgrade() else { return };
            let limit = core.config.call.timeout;
            if let Err(error) = core.call(&for_plugin, &for_method, &arguments, limit) {
                tracing::warn!(
                    plugin = &*for_plugin,
                    method = &*for_method,
                    "a timer's call failed: {error}"
                );
            }
        };
        if self.workers.submit(&plugin, Box::new(errand)).is_err() {
            tracing::warn!(
                plugin = &*plugin,
                method = &*method,
                "a timer's call was left out: too many calls wait"
            );
        }
    }

    fn passage(
        &self,
        plugin: &str,
        description: &str,
        user: Arc<str>,
    ) -> Result<Passage, HandleError> {
        pace::note_call_out();
        Core::passage(self, plugin, description, User::Plugin(user))
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn call_async(
        self: Arc<Self>,
        plugin: String,
        method: String,
        arguments: Vec<u8>,
        within: Within,
        scope: Scope,
    ) -> Calling {
        let call = AsyncCall {
            plugin,
            method,
            arguments,
            within,
            scope: Some(scope),
        };
        let answer = call.run(Weak::clone(&self.itself));
        Box::pin(async move { answer.await.map(|reply| reply.result) })
    }
}

impl Messenger for Core {
    fn run(&self, plugin: &Arc<str>, errand: Box<dyn FnOnce() + Send>) {
        // An errand that finds no room is dropped, which tells its sender.
        let _dropped = self.workers.submit(plugin, errand);
    }

    fn tell(&self, plugin: &str, dataset: &str) -> Result<(), String> {
        let arguments = serde_json::json!([dataset]).to_string();
        let limit = self.config.call.timeout;
        match self.call(plugin, "on_change", arguments.as_bytes(), limit) {
            Ok(_)
            | Err(
                CallError::UnknownPlugin { .. }
                | CallError::UnknownMethod { .. }
                | CallError::NotServing(_),
            ) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn look_again(&self) {
        if let Some(sights) = self.sights.get() {
            // Full means that it will be looked at anyway.
            let _full = sights.try_send(Sight::LookAgain);
        }
    }
}

/// The calls that are inside any gate, in words; `None` where there are none.
pub(crate) fn anybody_inside(slots: &[Arc<Slot>]) -> Option<(Arc<str>, String)> {
    slots.iter().find_map(|slot| {
        let blockers = slot.blockers();
        (!blockers.is_empty()).then(|| (Arc::clone(&slot.name), slot::in_words(&blockers)))
    })
}
