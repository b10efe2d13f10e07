//! The core: what the parts of one running host share, and the calls that go through it.

use crate::{
    announce::Announcer,
    clock::Clock,
    config::Config,
    data::Data,
    desk::{Switchboard, Turn},
    error::CallError,
    event::Happening,
    foreign::{instance::Unanswered, interpose},
    gate::{self, DEEPEST, Knot, Refusal},
    generation::Generation,
    host::Reply,
    report::Standing,
    slot::{self, Slot},
    store::Store,
    sweeper::Sweeper,
    workers::Workers,
};
use parking_lot::{Mutex, RwLock};
use plugin_api::contract::FaultKind;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What the parts of one running host share.
pub(crate) struct Core {
    /// What an operator has set.
    pub(crate) config: Config,
    /// What is kept on disk.
    pub(crate) store: Store,
    /// Where that is.
    pub(crate) state_dir: PathBuf,
    /// The watched directory.
    pub(crate) directory: Option<PathBuf>,
    /// The program that examines artifacts.
    pub(crate) examiner: PathBuf,
    /// What verdicts depend on beside the artifact.
    pub(crate) host_build: String,
    /// Where callers find plugins.
    pub(crate) slots: RwLock<BTreeMap<String, Arc<Slot>>>,
    /// Held by whoever has closed a gate: at most one of a host is closed at a time.
    pub(crate) closing: Mutex<()>,
    /// Files that are ignored, with the reason.
    pub(crate) ignored: Mutex<BTreeMap<PathBuf, String>>,
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
        self.slots.read().get(plugin).map(Arc::clone)
    }

    /// The slot of a plugin, made if there is none.
    pub(crate) fn slot_for(&self, plugin: &str) -> Arc<Slot> {
        if let Some(slot) = self.slot(plugin) {
            return slot;
        }
        let mut slots = self.slots.write();
        let slot = slots
            .entry(plugin.to_owned())
            .or_insert_with(|| Arc::new(Slot::new(plugin)));
        Arc::clone(slot)
    }

    /// Calls a method by name on this thread, waiting at most `limit` to be let in.
    pub(crate) fn call(
        &self,
        plugin: &str,
        method: &str,
        arguments: &[u8],
        limit: Duration,
    ) -> Result<Reply, CallError> {
        interpose::visit();
        // Calls that running calls make are part of those, which a shutdown waits for.
        if self.shutting_down.load(Ordering::Acquire) && !gate::is_inside_any() {
            return Err(CallError::NotServing(
                "the host is shutting down".to_owned(),
            ));
        }
        let slot = self.slot(plugin).ok_or_else(|| CallError::UnknownPlugin {
            plugin: plugin.to_owned(),
        })?;
        let lease = slot.gate.enter(limit).map_err(|refusal| match refusal {
            Refusal::Vacant => vacant(&slot),
            Refusal::TooDeep => CallError::Failed(format!(
                "{DEEPEST} calls into \"{plugin}\" are inside one another on this thread, and the next may overflow its \
                 stack; `{method}` was not executed; do plugins call each other in a circle?"
            )),
            Refusal::OutOfTime => CallError::Busy(format!(
                "plugin \"{plugin}\" was closed for all of {}; the call was not executed",
                humantime::format_duration(limit)
            )),
        })?;
        let generation = lease.tenant();
        let (number, exclusive) =
            generation
                .method(method)
                .ok_or_else(|| CallError::UnknownMethod {
                    plugin: plugin.to_owned(),
                    method: method.to_owned(),
                    offered: signatures(generation),
                })?;
        lease.note_method(number, exclusive).map_err(|knot| {
            CallError::Failed(match knot {
                Knot::UnderExclusive => format!(
                    "`{method}` would wait for ever: a `&mut self` method of \"{plugin}\" further out on this thread \
                     waits for it; it was not executed"
                ),
                Knot::ExclusiveUnderShared => format!(
                    "`{method}` is `&mut self` and would wait for ever: a method of \"{plugin}\" further out on this \
                     thread waits for it; it was not executed"
                ),
            })
        })?;
        let answered = if exclusive {
            if generation.snapshot_is_stuck() {
                return Err(CallError::NotServing(format!(
                    "`{method}` is `&mut self`, and a snapshot of \"{plugin}\" has not returned; it was not executed"
                )));
            }
            generation.instance.call_exclusive(number, arguments, limit)
        } else {
            generation.instance.call(number, arguments, limit)
        };
        match answered {
            Ok(result) => Ok(Reply {
                result,
                version: Arc::clone(&generation.life.version),
                generation: generation.life.number,
            }),
            Err(Unanswered::OutOfTime) => Err(CallError::Busy(format!(
                "`{method}` waited {} for the calls before it; it was not executed",
                humantime::format_duration(limit)
            ))),
            Err(Unanswered::Fault(fault)) => {
                if exclusive && fault.0.kind == FaultKind::PANICKED && generation.taint() {
                    self.announcer.announce(Happening::Tainted {
                        plugin: plugin.to_owned(),
                        generation: generation.life.number,
                        method: method.to_owned(),
                        reason: fault.to_string(),
                    });
                }
                Err(CallError::from_fault(&fault.0))
            }
        }
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
        if self.workers.submit(Box::new(errand)).is_err() {
            tracing::warn!(
                plugin = &*plugin,
                method = &*method,
                "a timer's call was left out: too many calls wait"
            );
        }
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }
}

fn vacant(slot: &Slot) -> CallError {
    let facts = slot.facts();
    let name = &slot.name;
    CallError::NotServing(match (facts.standing, facts.last_failure) {
        (Standing::Unloaded, _) => format!("plugin \"{name}\" is unloaded"),
        (_, Some(failure)) => format!(
            "plugin \"{name}\" is not serving: {} failed: {}",
            failure.step, failure.reason
        ),
        (_, None) => format!("plugin \"{name}\" is not serving yet"),
    })
}

fn signatures(generation: &Generation) -> String {
    let signatures: Vec<String> = generation
        .life
        .manifest
        .methods
        .iter()
        .map(|method| format!("`{}`", method.signature()))
        .collect();
    if signatures.is_empty() {
        "none".to_owned()
    } else {
        signatures.join(", ")
    }
}

/// The calls that are inside any gate, in words; `None` where there are none.
pub(crate) fn anybody_inside(slots: &[Arc<Slot>]) -> Option<(Arc<str>, String)> {
    slots.iter().find_map(|slot| {
        let blockers = slot.blockers();
        (!blockers.is_empty()).then(|| (Arc::clone(&slot.name), slot::in_words(&blockers)))
    })
}
