//! Applying a release: all of it, or nothing.
//!
//! Gather, prove, write down, publish, swap; and where one of the last two fails, put back.

use super::{
    ArtifactOf, ContentOf, DatasetMove, PluginMove, Release, ReleaseError, ReleaseOutcome,
    ReleaseRecord, ReleaseReport, back,
    file::read_regular,
    plan::{Change, Content, Part, Plan},
};
use crate::{
    announce::now_millis,
    core::Core,
    data::{Origin, Wanted},
    event::Happening,
    generation::Generation,
    host::{Host, absolute},
    journal::LastGood,
    recovery,
    report::Trigger,
    steps::watch::{self, NotStaged, Staged},
};
use anyhow::{Context, Result, anyhow, ensure};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

/// How long a release waits for the one before.
const ONE_AT_A_TIME: Duration = Duration::from_secs(30);

/// Applies a release; `rolls_back` names another one that it goes back from.
pub(super) fn apply(
    host: &Host,
    release: Release,
    who: &str,
    rolls_back: Option<u64>,
) -> Result<ReleaseReport, ReleaseError> {
    let core = host.core();
    let of_all = |cause| ReleaseError::new("all of it", cause);
    if crate::gate::is_inside_any() {
        return Err(of_all(anyhow!(
            "a plugin's call cannot ask for a release, which would wait for the call"
        )));
    }
    let Some(_one_at_a_time) = core.releasing.try_lock_for(ONE_AT_A_TIME) else {
        let limit = humantime::format_duration(ONE_AT_A_TIME);
        return Err(of_all(anyhow!(
            "another release has been under way for all of {limit}"
        )));
    };
    let mut record = ReleaseRecord {
        number: 0,
        time: now_millis(),
        name: release.name.clone(),
        who: who.to_owned(),
        rolls_back,
        plugins: Vec::new(),
        data: Vec::new(),
        outcome: ReleaseOutcome::Intent,
    };
    let applied = travel(host, release, &mut record);
    tell(core, &record, applied.as_ref().err());
    applied
}

fn tell(core: &Core, record: &ReleaseRecord, error: Option<&ReleaseError>) {
    core.announcer.announce(match error {
        None => Happening::Released {
            release: record.number,
            name: record.name.clone(),
            rolls_back: record.rolls_back,
            plugins: record.plugins.iter().map(|it| it.plugin.clone()).collect(),
            data: record.data.iter().map(|it| it.dataset.clone()).collect(),
        },
        Some(error) => Happening::ReleaseFailed {
            release: Some(record.number).filter(|number| *number > 0),
            name: record.name.clone(),
            reason: error.story(),
            left: error.left.clone(),
        },
    });
}

fn travel(
    host: &Host,
    release: Release,
    record: &mut ReleaseRecord,
) -> Result<ReleaseReport, ReleaseError> {
    let core = host.core();
    let plan = Plan {
        contents: contents(host, release.data, &record.who)?,
        parts: parts(host, release.plugins)?,
    };
    record.plugins = plan.parts.iter().map(plugin_before).collect();
    record.data = plan
        .contents
        .iter()
        .map(|content| dataset_before(core, content))
        .collect();
    let written = core.store.begin_release(record.clone());
    record.number = written.map_err(|cause| {
        let cause = cause.context("writing it to the journal");
        ReleaseError::new("all of it", cause)
    })?;
    let gone = go(core, plan, record).and_then(|report| {
        record.outcome = ReleaseOutcome::Applied;
        // What is said to be applied is so after a restart too.
        let written = core.store.finish_release(record);
        written.map_err(|cause| {
            ReleaseError::new("all of it", cause.context("completing it in the journal"))
        })?;
        Ok(report)
    });
    gone.map_err(|mut error| {
        error.left = back::put_back(core, record);
        let reason = error.story();
        record.outcome = if error.left.is_empty() {
            ReleaseOutcome::PutBack { reason }
        } else {
            ReleaseOutcome::NotPutBack {
                reason,
                left: error.left.clone(),
            }
        };
        if let Err(error) = core.store.finish_release(record) {
            tracing::error!(
                release = record.number,
                "its outcome is not in the journal, so that a restart puts it back: {error:#}"
            );
        }
        error
    })
}

/// Proves, publishes and swaps.
fn go(
    core: &Arc<Core>,
    mut plan: Plan,
    record: &mut ReleaseRecord,
) -> Result<ReleaseReport, ReleaseError> {
    let origin = Origin::Release {
        release: record.number,
        who: record.who.clone(),
    };
    for content in &mut plan.contents {
        content.wanted.come_from(origin.clone());
    }
    let slots = plan.slots();
    let mut stage = plan.prove(core, &slots)?;
    let mut report = ReleaseReport {
        release: record.number,
        name: record.name.clone(),
        rolls_back: record.rolls_back,
        swaps: Vec::new(),
        unloads: Vec::new(),
        changes: Vec::new(),
    };
    for (moved, held) in record.data.iter_mut().zip(stage.publish(core)?) {
        let noted = back::note_published(core, record.number, moved, held);
        let change = noted.map_err(|cause| of_data(&moved.dataset, cause))?;
        report.changes.push(change);
    }
    stage.swap(core, &mut report)?;
    for moved in &mut record.plugins {
        let mut swaps = report.swaps.iter();
        let swap = swaps.find(|swap| swap.plugin == moved.plugin);
        moved.generation = swap.map(|swap| swap.generation);
    }
    Ok(report)
}

fn of_data(dataset: &str, cause: anyhow::Error) -> ReleaseError {
    ReleaseError::new(format!("data \"{dataset}\""), cause)
}

/// What is to become of a plugin, beside what serves now.
fn plugin_before(part: &Part) -> PluginMove {
    let serving = part.slot.gate.tenant();
    let (version, digest) = match &part.change {
        Change::To(staged, _) => (Some(staged.manifest.version.clone()), Some(staged.digest)),
        Change::Gone => (None, None),
    };
    PluginMove {
        plugin: part.slot.name.to_string(),
        before: serving.as_deref().map(as_kept),
        version,
        digest,
        generation: None,
    }
}

/// A generation that serves, as the store keeps its artifact.
fn as_kept(generation: &Generation) -> LastGood {
    let life = &generation.life;
    LastGood {
        digest: life.digest,
        staged_digest: None,
        version: life.version.to_string(),
        generation: life.number,
        file: life.file.clone(),
    }
}

fn dataset_before(core: &Core, content: &Content) -> DatasetMove {
    let held = core.data.publisher().held(content.wanted.place);
    DatasetMove {
        dataset: content.dataset.clone(),
        before: held.map(|held| held.record.number),
        hash: content.wanted.hash(),
        revision: None,
    }
}

/// The plugins, with their artifacts staged.
fn parts(host: &Host, plugins: BTreeMap<String, ArtifactOf>) -> Result<Vec<Part>, ReleaseError> {
    plugins
        .into_iter()
        .map(|(plugin, wanted)| {
            part(host, &plugin, &wanted)
                .map_err(|cause| ReleaseError::new(format!("plugin \"{plugin}\""), cause))
        })
        .collect()
}

fn part(host: &Host, plugin: &str, wanted: &ArtifactOf) -> Result<Part> {
    let core = host.core();
    let change = match wanted {
        ArtifactOf::None => Change::Gone,
        ArtifactOf::File(file) => Change::To(Box::new(staged(core, file)?), Trigger::Release),
        ArtifactOf::Served(target) => {
            let served = host.find_served(plugin, Some(target))?;
            let staged = recovery::stage_kept(core, &served)?;
            Change::To(Box::new(staged), Trigger::Rollback)
        }
    };
    let slot = match &change {
        Change::To(staged, _) => {
            let name = &staged.manifest.name;
            ensure!(
                name == plugin,
                "its file holds the plugin \"{name}\"; write that name, or the right file"
            );
            core.slot_for(plugin)
        }
        Change::Gone => core
            .slot(plugin)
            .filter(|slot| slot.gate.tenant().is_some())
            .context("it is to be unloaded, and does not serve")?,
    };
    let keep = core.config.for_plugin(plugin).keep_artifacts;
    ensure!(
        keep >= 2 || slot.gate.tenant().is_none(),
        "keep_artifacts is {keep}, so that what serves now could not be put back; a release needs 2 at least"
    );
    Ok(Part { slot, change })
}

fn staged(core: &Core, file: &Path) -> Result<Staged> {
    let file = absolute(file)?;
    watch::stage(&file, core.store.staged_dir())
        .map_err(NotStaged::into_error)
        .with_context(|| file.display().to_string())
}

/// The datasets, with their contents.
fn contents(
    host: &Host,
    data: BTreeMap<String, ContentOf>,
    who: &str,
) -> Result<Vec<Content>, ReleaseError> {
    data.into_iter()
        .map(|(dataset, wanted)| {
            content(host, &dataset, wanted, who).map_err(|cause| of_data(&dataset, cause))
        })
        .collect()
}

fn content(host: &Host, dataset: &str, wanted: ContentOf, who: &str) -> Result<Content> {
    let publisher = host.core().data.publisher();
    let place = publisher
        .place(dataset)
        .with_context(|| format!("it is not declared; write [data.{dataset}] in host.toml"))?;
    let config = publisher.datasets().get(place).map(|it| &it.config);
    let (bytes, format) = match wanted {
        ContentOf::Bytes(bytes) => (bytes, None),
        ContentOf::File(file) => {
            let most = config.map_or(0, |config| config.max_bytes);
            let bytes =
                read_regular(&file, most).with_context(|| format!("reading {}", file.display()))?;
            (bytes, None)
        }
        ContentOf::Revision(number) => {
            let revision = host.data_revision(dataset, Some(number))?;
            (revision.content.clone(), Some(revision.record.format))
        }
    };
    let own = config.map(|config| config.format);
    let format = format.or(own).context("it is gone")?;
    ensure!(
        config.is_none_or(|config| config.keep >= 2) || publisher.held(place).is_none(),
        "its keep is 1, so that what it holds now could not be put back; a release needs 2 at least"
    );
    let wanted = Wanted::new(place, bytes, format, Origin::operator(who));
    Ok(Content {
        dataset: dataset.to_owned(),
        // A pin stays until an operator lifts it: it holds what the release brings then.
        wanted: wanted.pinned(publisher.is_pinned(place)),
    })
}
