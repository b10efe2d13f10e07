//! The recovery: how a host comes back to what the last one on its state directory left.
//!
//! An intent without an outcome means that what served before counts.

use crate::{
    core::Core,
    journal::{LastGood, Outcome, Record, SavedState},
    journey, release,
    report::Trigger,
    step::Step,
    steps::watch::{self, NotStaged, Staged},
    store::Store,
};
use anyhow::{Context, Result};
use std::sync::Arc;

/// Brings back what served when the last host on this state directory ended.
pub(crate) fn come_back(core: &Arc<Core>) -> Result<()> {
    for record in core.store.unfinished()? {
        let (step, journey) = match record.trigger {
            Trigger::Unload | Trigger::Removal => (Step::Unload, "its unload".to_owned()),
            _ => {
                mark_stale(&core.store, &record)?;
                let journey = format!("the swap to version {}", record.version);
                (Step::Switch, journey)
            }
        };
        let reason = format!("the host ended during {journey}");
        core.remark(
            &record.plugin,
            format!("{reason}; what served before counts"),
        );
        let outcome = Outcome::Failed { step, reason };
        core.store.finish(&Record { outcome, ..record })?;
    }
    release::put_back_unfinished(core)?;
    for (plugin, memory) in core.store.plugins()? {
        let slot = core.slot_for(&plugin);
        if memory.unloaded {
            slot.now_unloaded();
            continue;
        }
        let Some(last_good) = memory.last_good else {
            continue;
        };
        match stage_kept(core, &last_good) {
            // The journey tells its own outcome.
            Ok(staged) => drop(journey::swap(core, &slot, staged, Trigger::Start)),
            Err(error) => core.remark(&plugin, format!("it could not be brought back: {error:#}")),
        }
    }
    Ok(())
}

/// Calls may have come after the state that was handed over in a swap, though the host ended before it could write so.
fn mark_stale(store: &Store, intent: &Record) -> Result<()> {
    match store.state(&intent.plugin) {
        // A state of a later generation was saved after that swap.
        Ok(Some(state)) if state.is_final && state.generation < intent.generation => {
            let stale = SavedState {
                is_final: false,
                ..state
            };
            store.save_state(&intent.plugin, &stale)
        }
        // A damaged one is told of when it is to be restored.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Copies an artifact that served out of the store.
///
/// # Errors
/// It is no longer kept, or cannot be read.
pub(crate) fn stage_kept(core: &Core, artifact: &LastGood) -> Result<Staged> {
    let kept = core.store.artifact(artifact.digest).with_context(|| {
        format!(
            "the artifact of version {} is no longer kept",
            artifact.version
        )
    })?;
    watch::stage_kept(
        &kept,
        artifact.digest,
        artifact.staged_digest,
        artifact.file.clone(),
        core.store.staged_dir(),
    )
    .map_err(NotStaged::into_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Digest;

    fn intent(generation: u64) -> Record {
        Record {
            sequence: 0,
            time: 1,
            plugin: "counter".to_owned(),
            trigger: Trigger::Load,
            version: "1.0.0".to_owned(),
            schema: Some(1),
            generation,
            incumbent: None,
            digest: Digest::of(b"counter"),
            staged_digest: Digest::of(b"counter"),
            file: None,
            state_bytes: None,
            steps: Vec::new(),
            outcome: Outcome::Intent,
        }
    }

    #[test]
    fn a_state_that_an_unfinished_swap_may_have_served_from_is_final_no_longer() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(&folder.path().join("state")).expect("opening the store");
        mark_stale(&store, &intent(4)).expect("there is none");
        let saved = SavedState {
            schema: 1,
            generation: 4,
            time: 1,
            is_final: true,
            tainted: false,
            bytes: b"state".to_vec(),
        };
        store.save_state("counter", &saved).expect("saved");
        let is_final = || {
            let state = store.state("counter").expect("it can be read");
            state.expect("it is there").is_final
        };
        mark_stale(&store, &intent(4)).expect("looked at");
        assert!(is_final(), "it was saved after that swap");
        mark_stale(&store, &intent(5)).expect("marked");
        assert!(!is_final());
    }
}
