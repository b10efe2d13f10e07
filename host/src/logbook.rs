//! A logbook: one journey's record while it is under way: what each step took, for journal, events and report.

use crate::{
    announce::now_millis,
    core::Core,
    error::SwapError,
    event::Happening,
    generation::Generation,
    journal::{LastGood, Memory, Outcome, Record, SavedState},
    report::{Departure, StepTime, SwapReport, Trigger},
    slot::Slot,
    step::Step,
    steps::{load::Loaded, switch::Switched, watch::Staged},
};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// One journey's record while it is under way.
pub(crate) struct Logbook<'a> {
    core: &'a Core,
    slot: &'a Slot,
    /// What the journal will say.
    pub(crate) record: Record,
    is_journalled: bool,
    /// Whether the journal has its outcome, with what a restart needs.
    is_written: bool,
    remarks: Vec<String>,
}

impl<'a> Logbook<'a> {
    /// The logbook of a swap.
    pub(crate) fn new(
        core: &'a Core,
        slot: &'a Slot,
        trigger: Trigger,
        staged: &Staged,
        incumbent: Option<&std::sync::Arc<Generation>>,
    ) -> Self {
        let record = Record {
            sequence: 0,
            time: now_millis(),
            plugin: slot.name.to_string(),
            trigger,
            version: staged.manifest.version.clone(),
            schema: staged.manifest.schema,
            generation: 0,
            incumbent: incumbent.map(|incumbent| incumbent.life.number),
            digest: staged.digest,
            staged_digest: staged.staged_digest,
            file: staged.file.clone(),
            state_bytes: None,
            steps: Vec::new(),
            outcome: Outcome::Intent,
        };
        let mut book = Logbook::begin(core, slot, record);
        book.note(Step::Watch, staged.took);
        book
    }

    /// The logbook of an unload.
    pub(crate) fn of_departure(
        core: &'a Core,
        slot: &'a Slot,
        trigger: Trigger,
        incumbent: &Generation,
    ) -> Self {
        let life = &incumbent.life;
        let record = Record {
            sequence: 0,
            time: now_millis(),
            plugin: slot.name.to_string(),
            trigger,
            version: life.version.to_string(),
            schema: life.manifest.schema,
            generation: life.number,
            incumbent: Some(life.number),
            digest: life.digest,
            staged_digest: life.digest,
            file: life.file.clone(),
            state_bytes: None,
            steps: Vec::new(),
            outcome: Outcome::Intent,
        };
        Logbook::begin(core, slot, record)
    }

    fn begin(core: &'a Core, slot: &'a Slot, record: Record) -> Self {
        Logbook {
            core,
            slot,
            record,
            is_journalled: false,
            is_written: false,
            remarks: Vec::new(),
        }
    }

    /// Does a step, and notes what it took.
    pub(crate) fn step<T>(
        &mut self,
        step: Step,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T, SwapError> {
        let began = Instant::now();
        let done = self.step_part(step, work)?;
        self.note(step, began.elapsed());
        Ok(done)
    }

    /// Does a part of a step, which is noted with the rest of it.
    pub(crate) fn step_part<T>(
        &mut self,
        step: Step,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T, SwapError> {
        work().map_err(|cause| SwapError::new(step, &*self.slot.name, cause))
    }

    /// Does a step that cannot fail, and notes what it took.
    pub(crate) fn infallible<T>(&mut self, step: Step, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.note(step, began.elapsed());
        done
    }

    fn note(&mut self, step: Step, took: Duration) {
        let micros = took.as_micros() as u64;
        self.record.steps.push(StepTime { step, micros });
        self.core.announcer.announce(Happening::StepDone {
            plugin: self.record.plugin.clone(),
            generation: Some(self.record.generation).filter(|number| *number > 0),
            step,
            micros,
        });
    }

    /// Writes down, durably, that the candidate is about to take over.
    ///
    /// # Errors
    /// The journal's: without it, nothing is begun.
    pub(crate) fn intent(&mut self, loaded: &Loaded) -> Result<(), SwapError> {
        let (core, record) = (self.core, &mut self.record);
        let result = loaded.life().and_then(|life| {
            record.generation = life.number;
            record.sequence = core.store.begin(record.clone())?;
            Ok(())
        });
        result.map_err(|cause| {
            let cause = cause.context("writing the swap's intent to the journal");
            SwapError::new(Step::Load, &*self.slot.name, cause)
        })?;
        self.is_journalled = true;
        tracing::Span::current().record("generation", self.record.generation);
        Ok(())
    }

    /// Writes down, durably, that a plugin is about to be taken out of service. A shutdown is nobody's decision against a
    /// plugin: it leaves no intent.
    ///
    /// # Errors
    /// The journal's: without it, nothing is begun.
    pub(crate) fn intent_to_unload(&mut self) -> Result<(), SwapError> {
        if self.record.trigger == Trigger::Shutdown {
            return Ok(());
        }
        self.record.sequence = self
            .core
            .store
            .begin(self.record.clone())
            .map_err(|cause| {
                let cause = cause.context("writing the unload's intent to the journal");
                SwapError::new(Step::Drain, &*self.slot.name, cause)
            })?;
        self.is_journalled = true;
        Ok(())
    }

    /// A state that was saved is about to be restored: says what may be missing of it.
    pub(crate) fn remark_on_saved(&mut self, saved: &SavedState) {
        if !saved.is_final {
            self.remarks.push(format!(
                "the state was restored from a snapshot of generation {}, taken {} s ago while it served; the calls \
                 after that are lost",
                saved.generation,
                now_millis().saturating_sub(saved.time) / 1000
            ));
        }
    }

    /// No state was saved. At a start of the host that is worth saying.
    pub(crate) fn remark_on_nothing(&mut self) {
        if self.record.trigger == Trigger::Start && self.record.schema.is_some() {
            self.remarks.push(
                "it starts with a new state: the host ended without saving one, or it never had one".to_owned(),
            );
        }
    }

    /// The journey ended before its switch.
    pub(crate) fn failed(&mut self, error: &SwapError) {
        let reason = format!("{:#}", error.cause);
        self.slot.note_failure(error.step, reason.clone());
        self.core.announcer.announce(Happening::SwapFailed {
            plugin: self.record.plugin.clone(),
            step: error.step,
            reason: reason.clone(),
        });
        self.record.outcome = Outcome::Failed {
            step: error.step,
            reason,
        };
        let written = self.write();
        self.warn_unwritten(written);
    }

    /// The unload ended before its gate was opened on nothing.
    pub(crate) fn served_on(&mut self, error: &SwapError) {
        if !self.is_journalled {
            return;
        }
        self.record.outcome = Outcome::Failed {
            step: error.step,
            reason: format!("{:#}", error.cause),
        };
        let written = self.write();
        self.warn_unwritten(written);
    }

    /// Writes the record as it is now.
    fn write(&mut self) -> Result<()> {
        if self.is_journalled {
            return self.core.store.finish(&self.record);
        }
        self.record.sequence = self.core.store.begin(self.record.clone())?;
        self.is_journalled = true;
        Ok(())
    }

    /// The successor serves: writes that down, with what a restart needs, and gives the report.
    pub(crate) fn swapped(&mut self, switched: &Switched) -> SwapReport {
        let life = &switched.successor.life;
        self.remarks.extend(switched.remarks.iter().cloned());
        self.record.state_bytes = switched
            .state
            .as_ref()
            .map(|state| state.bytes.len() as u64);
        if switched.state.as_ref().is_some_and(|state| state.tainted) {
            self.remarks.push(
                "the state handed over is tainted: a `&mut self` method panicked half-way"
                    .to_owned(),
            );
        }
        self.core.announcer.announce(Happening::Swapped {
            plugin: self.record.plugin.clone(),
            version: self.record.version.clone(),
            generation: self.record.generation,
            replaced: self.record.incumbent,
            trigger: self.record.trigger,
        });
        for remark in &self.remarks {
            self.core.remark(&self.record.plugin, remark.clone());
        }
        self.record.outcome = Outcome::Swapped {
            departure: None,
            remarks: self.remarks.clone(),
        };
        let written = self.write_success(switched);
        self.is_written = written.is_ok();
        self.warn_unwritten(written);
        SwapReport {
            plugin: self.record.plugin.clone(),
            version: self.record.version.clone(),
            generation: self.record.generation,
            replaced: self.record.incumbent,
            unchanged: false,
            digest: life.digest,
            state_bytes: self.record.state_bytes,
            steps: Vec::new(),
            departure: None,
            remarks: self.remarks.clone(),
        }
    }

    /// What a restart needs, in the order in which it must be there: artifact, state, then the word that they count.
    fn write_success(&self, switched: &Switched) -> Result<()> {
        let (store, plugin) = (&self.core.store, &self.record.plugin);
        let life = &switched.successor.life;
        let kept = store.keep_artifact(plugin, life.digest, life.copy.path());
        // Whatever became of the artifact: a state that calls come after must not pass for the last one.
        if let Some(state) = &switched.state {
            store.save_state(plugin, state)?;
        }
        kept?;
        let memory = self.memory(store.memory(plugin)?);
        store.finish_and_remember(&self.record, &memory)?;
        let keep = self.core.config.for_plugin(plugin).keep_artifacts;
        store.prune_artifacts(plugin, keep, life.digest)
    }

    fn memory(&self, before: Memory) -> Memory {
        let record = &self.record;
        let watched = self.slot.facts().file;
        let follows_the_file = match record.trigger {
            Trigger::Rollback | Trigger::Start => false,
            _ => watched.is_none() || record.file == watched,
        };
        let superseded = if follows_the_file {
            None
        } else {
            let replaced = before.last_good.map(|last_good| last_good.digest);
            before
                .superseded
                .or(replaced.filter(|_| record.trigger != Trigger::Start))
        };
        Memory {
            last_good: Some(LastGood {
                digest: record.digest,
                staged_digest: Some(record.staged_digest),
                version: record.version.clone(),
                generation: record.generation,
                file: record.file.clone(),
            }),
            unloaded: false,
            superseded,
        }
    }

    /// The generation that was replaced or unloaded has departed, or lingers.
    pub(crate) fn departed(&mut self, became: &Departure) {
        // Unwritten, it stays an intent: at recovery what is remembered counts, which is what was before.
        if !self.is_written {
            return;
        }
        if let Outcome::Swapped { departure, .. } | Outcome::Unloaded { departure } =
            &mut self.record.outcome
        {
            *departure = Some(became.clone());
        }
        let written = self.write();
        self.warn_unwritten(written);
    }

    /// The plugin is out of service: writes that down before anything of it is dropped, which may take long.
    pub(crate) fn unloaded(&mut self) {
        self.record.outcome = Outcome::Unloaded { departure: None };
        let written = self.write_unloaded();
        self.is_written = written.is_ok();
        self.warn_unwritten(written);
        self.core.announcer.announce(Happening::Unloaded {
            plugin: self.record.plugin.clone(),
            generation: self.record.generation,
            trigger: self.record.trigger,
        });
    }

    fn write_unloaded(&mut self) -> Result<()> {
        let store = &self.core.store;
        let mut memory = store.memory(&self.record.plugin)?;
        match self.record.trigger {
            Trigger::Shutdown => return self.write(),
            // An operator's word holds until the file changes; a file that comes back is welcome as it is.
            Trigger::Removal => memory.superseded = None,
            _ => memory.superseded = memory.superseded.or(Some(self.record.digest)),
        }
        memory.unloaded = true;
        store.finish_and_remember(&self.record, &memory)
    }

    /// What has happened has happened: a journal that cannot be written is said aloud, and no reason to stop.
    fn warn_unwritten(&self, written: Result<()>) {
        if let Err(error) = written.context("writing to the state directory") {
            let text = format!("{error:#}; after a restart the host may not know of this journey");
            self.core.remark(&self.record.plugin, text);
        }
    }
}
