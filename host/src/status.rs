//! The status: how host and plugins stand now, gathered from their parts.

use crate::{
    core::Core,
    generation::Generation,
    numbers,
    report::{GenerationStatus, HostStatus, IgnoredFile, PluginStatus, ReadStatus},
    slot::{self, Slot},
};
use std::sync::{Arc, atomic::Ordering};

/// How one plugin stands.
pub(crate) fn of_plugin(core: &Core, slot: &Slot) -> PluginStatus {
    let facts = slot.facts();
    let inside = slot.gate.inside();
    let serving = slot.gate.tenant();
    let blockers = slot::describe(&inside, serving.as_deref());
    let serving = serving.map(|generation| GenerationStatus {
        generation: generation.life.number,
        version: generation.life.version.to_string(),
        mode: generation.life.manifest.mode,
        schema: generation.life.manifest.schema,
        digest: generation.life.digest,
        since: generation.since.load(Ordering::Relaxed),
        tainted: generation.is_tainted(),
        jobs: generation.life.desk.jobs().len(),
        timers: generation.life.desk.timers(),
        threads: generation.instance.living_threads(),
        reads: reads(&generation),
        numbers: numbers::of(&generation),
        manifest: generation.life.manifest.clone(),
    });
    PluginStatus {
        name: slot.name.to_string(),
        standing: facts.standing,
        serving,
        lingering: core.sweeper.lingering(&slot.name),
        file: facts.file,
        last_failure: facts.last_failure,
        inside: blockers,
    }
}

/// The datasets that a generation reads.
fn reads(generation: &Generation) -> Vec<ReadStatus> {
    let Some(reader) = generation.life.desk.reader() else {
        return Vec::new();
    };
    let reads = reader.reads().iter().enumerate();
    reads
        .map(|(number, of)| ReadStatus {
            dataset: of.dataset.to_string(),
            revision: reader.revision(number),
        })
        .collect()
}

/// How the host stands.
pub(crate) fn of_host(core: &Core) -> HostStatus {
    let slots: Vec<Arc<Slot>> = core.slots.all().values().cloned().collect();
    HostStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_seconds: core.started.elapsed().as_secs(),
        directory: core.directory.clone(),
        state_dir: core.state_dir.clone(),
        interposition: core.sweeper.interposition().clone(),
        shutting_down: core.shutting_down.load(Ordering::Acquire),
        plugins: slots.iter().map(|slot| of_plugin(core, slot)).collect(),
        datasets: core.data.statuses(),
        ignored: core
            .ignored
            .lock()
            .iter()
            .map(|(path, reason)| IgnoredFile {
                path: path.clone(),
                reason: reason.clone(),
            })
            .collect(),
    }
}
