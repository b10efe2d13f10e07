//! The journey: the one file that knows the order of the steps.
//!
//! Barrier (the default): vet, load, drain, hand over, switch, unload. Overlap (both sides without state): vet, load,
//! switch, drain, unload. Each step takes the ticket of the step before, and a ticket that is dropped before the switch
//! puts everything back; so what fails, fails without a trace but in the journal.

use crate::{
    announce::now_millis,
    config::PluginConfig,
    core::Core,
    data::{Reader, Snapshot},
    deadline,
    desk::Switchboard,
    error::SwapError,
    generation::Generation,
    hand::Hand,
    journal::SavedState,
    logbook::Logbook,
    report::{Departure, SwapReport, Trigger, UnloadReport},
    slot::Slot,
    step::Step,
    steps::{
        drain::{self, AtDeadline, Drained},
        hand_over::{self, Origin},
        load::{self, Loaded, Loading},
        switch::{self, Switched},
        unload,
        vet::{self, Examination},
        watch::Staged,
    },
};
use anyhow::{Context, Result, anyhow, ensure};
use parking_lot::MutexGuard;
use plugin_api::manifest::Mode;
use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

/// Takes a staged artifact through the whole journey.
///
/// # Errors
/// The step at which it ended. What served before serves on.
pub(crate) fn swap(
    core: &Arc<Core>,
    slot: &Arc<Slot>,
    staged: Staged,
    trigger: Trigger,
) -> Result<SwapReport, SwapError> {
    match begin(core, slot, staged, trigger, None)? {
        Begun::Unchanged(report) => Ok(*report),
        Begun::Candidate(half_way) => half_way.complete(),
    }
}

/// A journey that has come to its candidate, or needs none.
pub(crate) enum Begun<'a> {
    /// The artifact serves already.
    Unchanged(Box<SwapReport>),
    /// The candidate is there.
    Candidate(Box<HalfWay<'a>>),
}

/// A journey whose candidate is there. Nothing has changed by then, and dropping it leaves it so.
pub(crate) struct HalfWay<'a> {
    core: &'a Arc<Core>,
    slot: &'a Arc<Slot>,
    loaded: Loaded,
    incumbent: Option<Arc<Generation>>,
    book: Logbook<'a>,
    span: tracing::Span,
    one_at_a_time: MutexGuard<'a, ()>,
}

impl HalfWay<'_> {
    /// What its candidate reads of hot data.
    pub(crate) fn reader(&self) -> Option<&Arc<Reader>> {
        self.loaded.life().ok()?.desk.reader()
    }

    /// The generation that it is to replace.
    pub(crate) fn incumbent(&self) -> Option<u64> {
        let incumbent = self.incumbent.as_ref();
        incumbent.map(|incumbent| incumbent.life.number)
    }

    /// Takes it to its end.
    ///
    /// # Errors
    /// The step at which it ended. What served before serves on.
    pub(crate) fn complete(self) -> Result<SwapReport, SwapError> {
        let HalfWay {
            core,
            slot,
            loaded,
            incumbent,
            mut book,
            span,
            one_at_a_time: _until_the_end,
        } = self;
        let _inside = span.enter();
        take_over(core, slot, loaded, incumbent, &mut book).inspect_err(|error| book.failed(error))
    }
}

/// Takes a staged artifact as far as its candidate. Where data is `proposed` to be shown in the same step, the candidate has
/// to fit that, and is asked about nothing else before it is published.
///
/// # Errors
/// The step at which it ended. What served before serves on.
pub(crate) fn begin<'a>(
    core: &'a Arc<Core>,
    slot: &'a Arc<Slot>,
    staged: Staged,
    trigger: Trigger,
    proposed: Option<&Arc<Snapshot>>,
) -> Result<Begun<'a>, SwapError> {
    let refuse = |cause| SwapError::new(Step::Load, &*slot.name, cause);
    if crate::gate::is_inside_any() {
        return Err(refuse(anyhow!(
            "a plugin's call cannot ask for a swap: the swap would wait for the call"
        )));
    }
    let one_at_a_time = one_at_a_time(core, slot)?;
    // Under the lock: a shutdown that begins later finds what this brings into service, and retires it.
    if core.shutting_down.load(Ordering::Acquire) {
        return Err(refuse(anyhow!("the host is shutting down")));
    }
    let incumbent = slot.gate.tenant();
    if let Some(incumbent) = &incumbent
        && incumbent.life.digest == staged.digest
    {
        return Ok(Begun::Unchanged(Box::new(unchanged(incumbent))));
    }
    let span = tracing::info_span!("swap", plugin = &*slot.name, digest = %staged.digest.short(), generation = tracing::field::Empty);
    let mut book = Logbook::new(core, slot, trigger, &staged, incumbent.as_ref());
    let reads = staged.manifest.reads.clone();
    let seen = core.data.revisions(&reads);
    let candidate = span.in_scope(|| candidate(core, slot, staged, proposed, &mut book));
    let loaded = candidate.inspect_err(|error| {
        book.failed(error);
        // Perhaps for what they hold.
        core.data.await_change(&reads, &seen);
    })?;
    Ok(Begun::Candidate(Box::new(HalfWay {
        core,
        slot,
        loaded,
        incumbent,
        book,
        span,
        one_at_a_time,
    })))
}

/// Waits for the journey before, no longer than one may take. Only one that keeps trying to drain takes longer.
fn one_at_a_time<'a>(core: &Core, slot: &'a Slot) -> Result<MutexGuard<'a, ()>, SwapError> {
    let config = core.config.for_plugin(&slot.name);
    let limit = (config.handover_timeout.saturating_mul(4))
        .saturating_add(config.vet_timeout)
        .saturating_add(config.drain_deadline);
    slot.journey
        .try_lock_until(deadline::after(limit))
        .ok_or_else(|| {
            let cause = anyhow!("another swap of it has been under way for all of {limit:?}");
            SwapError::new(Step::Drain, &*slot.name, cause)
        })
}

fn unchanged(incumbent: &Generation) -> SwapReport {
    SwapReport {
        plugin: incumbent.life.plugin.to_string(),
        version: incumbent.life.version.to_string(),
        generation: incumbent.life.number,
        replaced: None,
        unchanged: true,
        digest: incumbent.life.digest,
        state_bytes: None,
        steps: Vec::new(),
        departure: None,
        remarks: Vec::new(),
    }
}

/// Vets the artifact, and makes its candidate.
fn candidate(
    core: &Arc<Core>,
    slot: &Arc<Slot>,
    staged: Staged,
    proposed: Option<&Arc<Snapshot>>,
    book: &mut Logbook<'_>,
) -> Result<Loaded, SwapError> {
    let config = core.config.for_plugin(&slot.name);
    let vetted = book.step(Step::Vet, || {
        let held = core.data.held_for(&staged.manifest.reads, proposed)?;
        let examination = Examination {
            examiners: &core.examiners,
            limit: config.vet_timeout,
            host_build: &core.host_build,
            store: Some(&core.store),
            data: Some(&held),
        };
        vet::vet(staged, &examination)
    })?;
    book.step(Step::Load, || {
        let lingering = core.sweeper.lingering(&slot.name);
        ensure!(
            lingering.len() + 1 < config.max_generations,
            "{} older generations of it still linger, as many as max_generations allows; the oldest: {}",
            lingering.len(),
            lingering.first().map_or("", |first| &first.cause)
        );
        let core_as_host: Arc<dyn Switchboard> = Arc::clone(core) as Arc<dyn Switchboard>;
        let host: Weak<dyn Switchboard> = Arc::downgrade(&core_as_host);
        let loading = Loading {
            number: core.store.next_generation()?,
            limit: config.handover_timeout,
            slot: Arc::clone(slot),
            host,
            sweeper: Arc::clone(&core.sweeper),
            data: &core.data,
            proposed,
        };
        load::load(vetted, loading)
    })
}

/// Puts the candidate in the place of what serves.
fn take_over(
    core: &Core,
    slot: &Slot,
    loaded: Loaded,
    incumbent: Option<Arc<Generation>>,
    book: &mut Logbook<'_>,
) -> Result<SwapReport, SwapError> {
    let config = core.config.for_plugin(&slot.name);
    book.intent(&loaded)?;
    let overlaps = |mode| mode == Mode::Overlap;
    let side_by_side = incumbent
        .as_ref()
        .is_some_and(|incumbent| overlaps(incumbent.life.manifest.mode))
        && loaded.life().is_ok_and(|life| overlaps(life.manifest.mode));
    let switched = if side_by_side {
        // Whoever holds it keeps it from leaving.
        drop(incumbent);
        overlap(slot, loaded, config.handover_timeout, book)?
    } else {
        barrier(core, slot, loaded, incumbent, book)?
    };
    slot.now_serves();
    let mut report = book.swapped(&switched);
    let Switched { retired, .. } = switched;
    if let Some(mut retired) = retired {
        if side_by_side {
            book.infallible(Step::Drain, || {
                drain::wait_out(&mut retired, config.drain_deadline);
            });
        }
        let departure = book.infallible(Step::Unload, || unload::unload(retired, &core.sweeper));
        book.departed(&departure);
        report.departure = Some(departure);
    }
    report.steps.clone_from(&book.record.steps);
    Ok(report)
}

/// Callers out, state over, callers in.
fn barrier(
    core: &Core,
    slot: &Slot,
    loaded: Loaded,
    incumbent: Option<Arc<Generation>>,
    book: &mut Logbook<'_>,
) -> Result<Switched, SwapError> {
    let config = core.config.for_plugin(&slot.name);
    let keeps_state = book.step_part(Step::HandOver, || Ok(loaded.life()?.manifest.schema))?;
    let origin = match incumbent {
        Some(incumbent) if incumbent.life.manifest.schema.is_some() => {
            let hand = book.step_part(Step::Drain, || hand_for(&incumbent))?;
            Origin::Incumbent(incumbent, hand)
        }
        // It stays saved, for a version that has a use for it.
        _ if keeps_state.is_none() => Origin::Nothing,
        // Nobody holds one. Read before the gate is closed: it may be large.
        _ => match book.step_part(Step::HandOver, || core.store.state(&slot.name))? {
            Some(saved) => Origin::Saved(saved),
            None => Origin::Nothing,
        },
    };
    match &origin {
        Origin::Saved(saved) => book.remark_on_saved(saved),
        Origin::Nothing => book.remark_on_nothing(),
        Origin::Incumbent(..) => {}
    }
    let drained = book.step(Step::Drain, || {
        let let_be = AtDeadline::LetThemBe;
        drain::drain(
            loaded,
            slot,
            &core.closing,
            config,
            let_be,
            &core.shutting_down,
        )
    })?;
    let handed_over = book.step(Step::HandOver, || {
        hand_over::hand_over(drained, origin, config.handover_timeout)
    })?;
    book.step(Step::Switch, || switch::switch(handed_over))
}

fn hand_for(generation: &Generation) -> Result<Hand> {
    Hand::new(&generation.life.plugin).context("starting a thread for the snapshot")
}

/// The successor in, while calls inside the incumbent go on.
fn overlap(
    slot: &Slot,
    mut loaded: Loaded,
    limit: Duration,
    book: &mut Logbook<'_>,
) -> Result<Switched, SwapError> {
    book.step_part(Step::HandOver, || hand_over::attach(&mut loaded, limit))?;
    book.step(Step::Switch, || switch::replace(loaded, slot))
}

/// Takes a plugin out of service, with its state saved.
///
/// # Errors
/// Where it ended; the plugin serves on then.
pub(crate) fn retire(
    core: &Arc<Core>,
    slot: &Arc<Slot>,
    trigger: Trigger,
    drain_deadline: Duration,
) -> Result<UnloadReport, SwapError> {
    let error = |step, cause| SwapError::new(step, &*slot.name, cause);
    if crate::gate::is_inside_any() {
        let cause = anyhow!("a plugin's call cannot unload a plugin: the unload would wait for it");
        return Err(error(Step::Drain, cause));
    }
    let _one_at_a_time = one_at_a_time(core, slot)?;
    if trigger == Trigger::Removal && slot.facts().file.is_some() {
        let cause = anyhow!("a file of it is there again");
        return Err(error(Step::Watch, cause));
    }
    let incumbent = slot
        .gate
        .tenant()
        .ok_or_else(|| error(Step::Load, anyhow!("it is not serving")))?;
    let mut config = core.config.for_plugin(&slot.name).clone();
    config.drain_deadline = drain_deadline;
    let mut book = Logbook::of_departure(core, slot, trigger, &incumbent);
    book.intent_to_unload()?;
    let departed = depart(core, slot, incumbent, &config, &mut book);
    if let Err(error) = &departed {
        book.served_on(error);
    }
    departed
}

fn depart(
    core: &Arc<Core>,
    slot: &Arc<Slot>,
    incumbent: Arc<Generation>,
    config: &PluginConfig,
    book: &mut Logbook<'_>,
) -> Result<UnloadReport, SwapError> {
    let hand = book.step_part(Step::Drain, || hand_for(&incumbent))?;
    let drained = book.step(Step::Drain, || {
        let cancel = AtDeadline::CancelThem;
        drain::drain(
            incumbent,
            slot,
            &core.closing,
            config,
            cancel,
            &core.shutting_down,
        )
    })?;
    let Drained {
        ticket,
        closed,
        only_one,
    } = drained;
    let state_saved = book.step(Step::HandOver, || {
        save_final_state(core, &ticket, &hand, config.handover_timeout)
    })?;
    drop(ticket);
    let retired = closed.open_on(None);
    // What follows may take its time, and holds up no other plugin's swap.
    drop(only_one);
    slot.now_unloaded();
    book.unloaded();
    let departure = match retired {
        Some(retired) => book.infallible(Step::Unload, || unload::unload(retired, &core.sweeper)),
        None => Departure::Unmapped,
    };
    book.departed(&departure);
    Ok(UnloadReport {
        plugin: slot.name.to_string(),
        generation: book.record.generation,
        departure,
        state_saved,
    })
}

/// Saves the state of a plugin whose gate is closed. Says whether it has one.
fn save_final_state(
    core: &Core,
    generation: &Arc<Generation>,
    hand: &Hand,
    limit: Duration,
) -> Result<bool> {
    let Some(schema) = generation.life.manifest.schema else {
        return Ok(false);
    };
    let bytes = hand_over::take_snapshot(generation, hand, schema, limit)?;
    let state = SavedState {
        schema,
        generation: generation.life.number,
        time: now_millis(),
        is_final: true,
        tainted: generation.is_tainted(),
        bytes,
    };
    core.store.save_state(&generation.life.plugin, &state)?;
    Ok(true)
}
