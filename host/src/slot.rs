//! A slot: where callers find a plugin, whatever generation serves; and the slots of a host, by their names.

use crate::{
    announce::now_millis,
    gate::{Gate, Gated, Inside},
    generation::Generation,
    interfaces::Interfaces,
    report::{Blocker, Failure, Standing},
    step::Step,
};
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

/// Slots by the names of their plugins.
type ByName = BTreeMap<Arc<str>, Arc<Slot>>;

/// The slots of a host. None is ever taken out. Whoever looks one up writes nothing that others read.
#[derive(Default)]
pub(crate) struct Slots(ArcSwap<ByName>);

impl Slots {
    /// All of them as they are now.
    pub(crate) fn all(&self) -> Guard<Arc<ByName>> {
        self.0.load()
    }

    /// The slot of a plugin, made if there is none.
    pub(crate) fn make(&self, plugin: &str) -> Arc<Slot> {
        if let Some(slot) = self.all().get(plugin) {
            return Arc::clone(slot);
        }
        let made = Arc::new(Slot::new(plugin));
        let before = self.0.rcu(|slots| {
            let mut slots = ByName::clone(slots);
            let name = Arc::clone(&made.name);
            slots.entry(name).or_insert_with(|| Arc::clone(&made));
            slots
        });
        before.get(plugin).map_or(made, Arc::clone)
    }
}

impl Gated for Slot {
    type Tenant = Generation;

    #[inline(always)]
    fn gate(&self) -> &Gate<Generation> {
        &self.gate
    }
}

/// Where callers find a plugin.
pub(crate) struct Slot {
    /// The plugin's name.
    pub(crate) name: Arc<str>,
    /// Its door.
    pub(crate) gate: Gate<Generation>,
    /// What live handles use of it.
    pub(crate) interfaces: Interfaces,
    /// Held for the length of a journey: swaps of one slot never overlap.
    pub(crate) journey: Mutex<()>,
    facts: Mutex<Facts>,
}

/// What an operator sees of a slot beside what serves.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Where it stands.
    pub(crate) standing: Standing,
    /// The watched file it comes from.
    pub(crate) file: Option<PathBuf>,
    /// The last artifact that was turned away.
    pub(crate) last_failure: Option<Failure>,
}

impl Slot {
    /// A slot nothing stands in.
    pub(crate) fn new(name: &str) -> Slot {
        Slot {
            name: Arc::from(name),
            gate: Gate::new(),
            interfaces: Interfaces::default(),
            journey: Mutex::new(()),
            facts: Mutex::new(Facts {
                standing: Standing::Failed,
                file: None,
                last_failure: None,
            }),
        }
    }

    /// What an operator sees of it.
    pub(crate) fn facts(&self) -> Facts {
        self.facts.lock().clone()
    }

    /// It serves, from this file.
    pub(crate) fn now_serves(&self) {
        let mut facts = self.facts.lock();
        facts.standing = Standing::Serving;
        facts.last_failure = None;
    }

    /// It serves no longer.
    pub(crate) fn now_unloaded(&self) {
        self.facts.lock().standing = Standing::Unloaded;
    }

    /// Makes it come from this file of the watched directory.
    ///
    /// # Errors
    /// The other file that it comes from, and that is still there.
    pub(crate) fn claim(&self, file: &Path) -> Result<(), PathBuf> {
        let mut facts = self.facts.lock();
        match &facts.file {
            Some(first) if first != file && first.exists() => Err(first.clone()),
            _ => {
                facts.file = Some(file.to_owned());
                Ok(())
            }
        }
    }

    /// This file is gone: if it comes from it, it comes from none.
    pub(crate) fn file_is_gone(&self, file: &Path) {
        let mut facts = self.facts.lock();
        facts.file.take_if(|first| first == file);
    }

    /// An artifact of it was turned away.
    pub(crate) fn note_failure(&self, step: Step, reason: String) {
        self.facts.lock().last_failure = Some(Failure {
            time: now_millis(),
            step,
            reason,
        });
    }

    /// The calls that are inside, as an operator sees them.
    pub(crate) fn blockers(&self) -> Vec<Blocker> {
        let serving = self.gate.tenant();
        describe(&self.gate.inside(), serving.as_deref())
    }
}

/// Calls that are inside, as an operator sees them; names are those of `known`'s methods.
pub(crate) fn describe(inside: &[Inside], known: Option<&Generation>) -> Vec<Blocker> {
    let now = Instant::now();
    inside
        .iter()
        .map(|call| Blocker {
            method: match (call.method, known) {
                (Some(method), Some(known)) if known.life.number == call.tenant => {
                    known.method_name(method)
                }
                (Some(method), _) => format!("method {method}"),
                (None, _) => "entering".to_owned(),
            },
            thread: call.thread.to_string(),
            age_millis: call.since.map_or(0, |since| {
                now.saturating_duration_since(since).as_millis() as u64
            }),
            generation: call.tenant,
        })
        .collect()
}

/// Blockers as one text: "`add` on thread worker-1 for 5.2 s".
pub(crate) fn in_words(blockers: &[Blocker]) -> String {
    const NAMED: usize = 5;
    let mut texts: Vec<String> = blockers
        .iter()
        .take(NAMED)
        .map(|blocker| {
            let age = blocker.age_millis as f64 / 1000.0;
            format!("`{}` {} for {age:.1} s", blocker.method, blocker.place())
        })
        .collect();
    if blockers.len() > NAMED {
        texts.push(format!("{} more", blockers.len() - NAMED));
    }
    if texts.is_empty() {
        "calls that came and went, each longer than a try".to_owned()
    } else {
        texts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_has_one_slot_however_often_it_is_asked_for() {
        let slots = Slots::default();
        let made = slots.make("test");
        assert!(Arc::ptr_eq(&made, &slots.make("test")));
        assert!(!Arc::ptr_eq(&made, &slots.make("other")));
        assert_eq!(slots.all().len(), 2);
    }

    #[test]
    fn one_file_that_is_there_claims_a_slot() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [first, second] = ["liba.so", "libb.so"].map(|name| folder.path().join(name));
        for file in [&first, &second] {
            std::fs::write(file, "a").expect("written");
        }
        let slot = Slot::new("test");
        assert_eq!(slot.claim(&first), Ok(()));
        assert_eq!(slot.claim(&second), Err(first.clone()));
        assert_eq!(slot.claim(&first), Ok(()));
        slot.file_is_gone(&second);
        assert_eq!(slot.facts().file, Some(first.clone()));
        std::fs::remove_file(&first).expect("removed");
        assert_eq!(slot.claim(&second), Ok(()));
    }
}
