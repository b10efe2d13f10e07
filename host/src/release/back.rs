//! The way back: what puts a release back that failed or was cut off, and the rollback that an operator asks for.

use super::{
    ArtifactOf, ContentOf, DatasetMove, PluginMove, Release, ReleaseError, ReleaseOutcome,
    ReleaseRecord, ReleaseReport, apply,
    face::stands,
    plan::{Change, Content, Part, Plan},
};
use crate::{
    core::Core,
    data::{Cast, DatasetChange, Origin, RevisionRecord, Wanted},
    event::Happening,
    host::{Host, RollbackTarget},
    journal::{LastGood, Memory},
    journey, recovery,
    report::Trigger,
};
use anyhow::{Context, Result, anyhow};
use std::sync::Arc;

/// Goes back to what was there before a release.
pub(super) fn roll_back(
    host: &Host,
    number: Option<u64>,
    who: &str,
) -> Result<ReleaseReport, ReleaseError> {
    let record = to_roll_back(host, number)
        .map_err(|cause| ReleaseError::new("the one to go back from", cause))?;
    let mut release = Release {
        name: None,
        ..Release::default()
    };
    for moved in &record.plugins {
        let wanted = match &moved.before {
            Some(before) => ArtifactOf::Served(RollbackTarget::Generation(before.generation)),
            None => ArtifactOf::None,
        };
        release.plugins.insert(moved.plugin.clone(), wanted);
    }
    for moved in &record.data {
        // What held nothing before holds on to what it has: there is no revision that is nothing.
        if let Some(before) = moved
            .before
            .filter(|before| Some(*before) != moved.revision)
        {
            let wanted = ContentOf::Revision(before);
            release.data.insert(moved.dataset.clone(), wanted);
        }
    }
    apply::apply(host, release, who, Some(record.number))
}

/// The release with this number, or the last that stands.
fn to_roll_back(host: &Host, number: Option<u64>) -> Result<ReleaseRecord> {
    let all = host.releases(usize::MAX)?;
    let found = match number {
        Some(number) => all.iter().find(|record| record.number == number),
        None => all.iter().find(|record| stands(record, &all)),
    };
    let record = found.with_context(|| match number {
        Some(number) => format!("there is no release {number} in the journal"),
        None => "no release is applied that has not been rolled back".to_owned(),
    })?;
    match &record.outcome {
        ReleaseOutcome::Applied => Ok(record.clone()),
        outcome => Err(anyhow!(
            "release {} was not applied: it was {}",
            record.number,
            outcome.word()
        )),
    }
}

/// Puts everything back that a release has done so far. Gives what is left as the release had made it.
///
/// All of it goes back in one go, as it came: what served before may fit only the data of before, and the other way round.
/// Where that fails, each part is tried by itself.
pub(super) fn put_back(core: &Arc<Core>, record: &ReleaseRecord) -> Vec<String> {
    let Err(error) = put_all_back(core, record) else {
        return Vec::new();
    };
    tracing::warn!(
        release = record.number,
        "it cannot be put back in one go: {error:#}"
    );
    let mut left = Vec::new();
    for moved in record.plugins.iter().rev() {
        if let Err(error) = put_plugin_back(core, moved) {
            left.push(format!("plugin \"{}\": {error:#}", moved.plugin));
        }
    }
    left.extend(put_data_back(core, record));
    left
}

fn put_all_back(core: &Arc<Core>, record: &ReleaseRecord) -> Result<()> {
    let mut plan = Plan::default();
    for moved in record.plugins.iter().rev() {
        plan.parts.extend(part_before(core, moved)?);
    }
    for moved in &record.data {
        if let Some(wanted) = content_before(core, record.number, moved)? {
            let dataset = moved.dataset.clone();
            plan.contents.push(Content { dataset, wanted });
        }
    }
    let slots = plan.slots();
    let mut stage = plan.prove(core, &slots)?;
    stage.publish(core)?;
    stage.swap(core, &mut ReleaseReport::default())?;
    Ok(())
}

/// What brings a plugin back to where it was; nothing where it is there.
fn part_before(core: &Core, moved: &PluginMove) -> Result<Option<Part>> {
    let Some(slot) = core.slot(&moved.plugin) else {
        return Ok(None);
    };
    let serving = slot.gate.tenant().map(|generation| generation.life.digest);
    let change = match &moved.before {
        Some(before) if serving == Some(before.digest) => return Ok(None),
        None if serving.is_none() => return Ok(None),
        Some(before) => {
            let staged = recovery::stage_kept(core, before)?;
            Change::To(Box::new(staged), Trigger::Rollback)
        }
        None => Change::Gone,
    };
    Ok(Some(Part { slot, change }))
}

fn put_plugin_back(core: &Arc<Core>, moved: &PluginMove) -> Result<()> {
    match part_before(core, moved)? {
        None => {}
        Some(Part {
            slot,
            change: Change::To(staged, trigger),
        }) => drop(journey::swap(core, &slot, *staged, trigger)?),
        Some(Part { slot, .. }) => {
            let deadline = core.config.for_plugin(&moved.plugin).drain_deadline;
            journey::retire(core, &slot, Trigger::Release, deadline)?;
        }
    }
    Ok(())
}

/// Notes what has become of a dataset that holds this after the release has published: which revision it got, and what it
/// held before. When the release began, that was another one perhaps: a source may have brought something since.
pub(super) fn note_published(
    core: &Core,
    release: u64,
    moved: &mut DatasetMove,
    held: u64,
) -> Result<DatasetChange> {
    let ledger = core.data.publisher().ledger();
    let all = ledger.history(&moved.dataset, usize::MAX)?;
    let own = all.iter().find(|record| is_of(record, release, moved));
    let own = own.map(|record| record.number);
    moved.revision = own.or(Some(held));
    moved.before = match own {
        Some(own) => ledger.before(&moved.dataset, own)?,
        None => Some(held),
    };
    Ok(DatasetChange {
        dataset: moved.dataset.clone(),
        revision: own.unwrap_or(held),
        changed: own.is_some(),
    })
}

fn is_of(record: &RevisionRecord, release: u64, moved: &DatasetMove) -> bool {
    matches!(&record.origin, Origin::Release { release: number, .. } if *number == release)
        && record.hash == moved.hash
}

/// What brings a dataset back to what it held; nothing where it does not hold what the release has brought.
fn content_before(core: &Core, release: u64, moved: &DatasetMove) -> Result<Option<Wanted>> {
    let publisher = core.data.publisher();
    let Some(place) = publisher.place(&moved.dataset) else {
        return Ok(None);
    };
    let held = publisher
        .held(place)
        .filter(|held| is_of(&held.record, release, moved));
    let Some(held) = held else {
        return Ok(None);
    };
    let ledger = publisher.ledger();
    let before = ledger.before(&moved.dataset, held.record.number)?;
    let before = before.with_context(|| match moved.before {
        None => "it held nothing before, and holds the release's content on".to_owned(),
        Some(before) => format!("revision {before} is no longer kept"),
    })?;
    let kept = ledger.revision(&moved.dataset, before)?;
    let kept = kept.with_context(|| format!("revision {before} is no longer kept"))?;
    let who = format!("release {release}, which was not applied");
    let pinned = publisher.is_pinned(place);
    let wanted = Wanted::back(place, kept, &who, pinned);
    // A source may bring something newer in this moment.
    Ok(Some(wanted.instead_of(held.record.number)))
}

/// Puts each dataset back by itself. Gives what is left.
fn put_data_back(core: &Core, record: &ReleaseRecord) -> Vec<String> {
    let put = |moved: &DatasetMove| -> Result<()> {
        let Some(wanted) = content_before(core, record.number, moved)? else {
            return Ok(());
        };
        let changed = core
            .data
            .publisher()
            .change(vec![wanted], &Cast::default())?;
        changed
            .map(drop)
            .map_err(|(_, refusal)| anyhow!("what it held before is refused: {}", refusal.mistake))
    };
    let put = record.data.iter().map(|moved| (moved, put(moved)));
    put.filter_map(|(moved, put)| {
        let error = put.err()?;
        Some(format!("data \"{}\": {error:#}", moved.dataset))
    })
    .collect()
}

/// Puts back what the end of the last process has cut off, before any plugin is brought back.
///
/// # Errors
/// The journal cannot be read or written.
pub(crate) fn put_back_unfinished(core: &Arc<Core>) -> Result<()> {
    for mut record in core.store.unfinished_releases()? {
        let mut left = Vec::new();
        for moved in &record.plugins {
            if let Err(error) = remember_before(core, moved) {
                left.push(format!("plugin \"{}\": {error:#}", moved.plugin));
            }
        }
        left.extend(put_data_back(core, &record));
        let number = record.number;
        let reason = "the host ended on its way".to_owned();
        let text = match left.as_slice() {
            [] => format!("release {number} is put back: {reason}"),
            left => format!(
                "release {number}: {reason}; not put back: {}",
                left.join("; ")
            ),
        };
        core.announcer
            .announce(Happening::Remark { plugin: None, text });
        record.outcome = if left.is_empty() {
            ReleaseOutcome::PutBack { reason }
        } else {
            ReleaseOutcome::NotPutBack { reason, left }
        };
        core.store.finish_release(&record)?;
    }
    Ok(())
}

/// Lets a plugin be brought back as it was before the release: by what is remembered of it.
fn remember_before(core: &Core, moved: &PluginMove) -> Result<()> {
    let memory = core.store.memory(&moved.plugin)?;
    let now = memory.last_good.as_ref().filter(|_| !memory.unloaded);
    let digest = |kept: &LastGood| kept.digest;
    let before = moved.before.as_ref();
    if now.map(digest) == before.map(digest) {
        return Ok(());
    }
    if let Some(before) = before {
        core.store.artifact(before.digest).with_context(|| {
            format!(
                "the artifact of version {} is no longer kept",
                before.version
            )
        })?;
    }
    let memory = Memory {
        unloaded: before.is_none(),
        // What the release brought is not loaded again by a look at the folder.
        superseded: moved.digest.or(memory.superseded),
        last_good: before.cloned().or(memory.last_good),
    };
    core.store.remember(&moved.plugin, &memory)
}
