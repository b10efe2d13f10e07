//! A slot: where callers find a plugin, whatever generation serves.

use crate::{
    announce::now_millis,
    gate::{Gate, Inside},
    generation::Generation,
    report::{Blocker, Failure, Standing},
    step::Step,
};
use parking_lot::Mutex;
use std::{path::PathBuf, sync::Arc, time::Instant};

/// Where callers find a plugin.
pub(crate) struct Slot {
    /// The plugin's name.
    pub(crate) name: Arc<str>,
    /// Its door.
    pub(crate) gate: Gate<Generation>,
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

    /// It comes from this file of the watched directory, or from none.
    pub(crate) fn set_file(&self, file: Option<PathBuf>) {
        self.facts.lock().file = file;
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
                    known.method_name(method).to_owned()
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
            format!(
                "`{}` on thread {} for {:.1} s",
                blocker.method,
                blocker.thread,
                blocker.age_millis as f64 / 1000.0
            )
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
