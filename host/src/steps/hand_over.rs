//! Hand over: brings the incumbent's state into the candidate.
//!
//! Takes a [`Drained`] slot. Gives it [`HandedOver`]. Fails when a snapshot, a migration, a restoration or an attachment
//! fails or does not return, or when what was restored is not what was given. Callers wait outside for its length. The
//! incumbent keeps its state: it was only read.

use super::{
    drain::Drained,
    load::{Loaded, Unhanded},
};
use crate::{
    foreign::instance::PluginFault,
    generation::Generation,
    hand::{CallsOut, Hand},
    journal::SavedState,
    likeness,
};
use anyhow::{Result, anyhow, bail, ensure};
use plugin_api::manifest::Encoding;
use std::{sync::Arc, time::Duration};

/// The largest state that is read back after it was restored, in bytes: reading it back takes as long again.
const READ_BACK: usize = 1 << 20;

/// A candidate that holds the state.
pub(crate) struct HandedOver<'a> {
    /// The closed slot, with the candidate.
    pub(crate) drained: Drained<'a, Loaded>,
    /// The state as it was handed over; `None` where there was none to hand over.
    pub(crate) state: Option<SavedState>,
}

/// Where the state comes from.
pub(crate) enum Origin {
    /// The generation that serves, and a thread to ask it for its state, started before the gate is closed.
    Incumbent(Arc<Generation>, Hand),
    /// What was saved when the plugin last stopped.
    Saved(SavedState),
    /// There is none.
    Nothing,
}

/// Hands the state over and attaches the candidate.
pub(crate) fn hand_over(
    mut drained: Drained<'_, Loaded>,
    origin: Origin,
    limit: Duration,
) -> Result<HandedOver<'_>> {
    let schema = drained.ticket.life()?.manifest.schema;
    let state = match (origin, schema) {
        (Origin::Nothing, _) => None,
        (Origin::Incumbent(incumbent, hand), schema) => snapshot(&incumbent, &hand, schema, limit)?,
        // From now on calls come after it.
        (Origin::Saved(saved), Some(_)) => Some(SavedState {
            is_final: false,
            ..saved
        }),
        // It stays saved, for a version that has a use for it.
        (Origin::Saved(_), None) => None,
    };
    if let (Some(state), Some(schema)) = (&state, schema) {
        restore(&mut drained.ticket, state, schema, limit)?;
    }
    attach(&mut drained.ticket, limit)?;
    Ok(HandedOver { drained, state })
}

/// Lets the candidate get hold of what is not state. In overlap mode, all there is to hand over.
pub(crate) fn attach(loaded: &mut Loaded, limit: Duration) -> Result<()> {
    loaded
        .ask(limit, "its `attach` has not returned", |candidate| {
            candidate.attach()
        })
        .map_err(|error| told("attaching it", "`attach`", error, limit))
}

/// The incumbent's state, in the newest format that both know.
fn snapshot(
    incumbent: &Arc<Generation>,
    hand: &Hand,
    wanted: Option<u32>,
    limit: Duration,
) -> Result<Option<SavedState>> {
    let Some(own) = incumbent.life.manifest.schema else {
        return Ok(None);
    };
    let Some(wanted) = wanted else {
        bail!(
            "it has no state, and the incumbent has (schema {own}), which would be lost; to replace it all the same, \
             unload the plugin first: its state is saved then"
        );
    };
    let bytes = take_snapshot(incumbent, hand, own.min(wanted), limit)?;
    Ok(Some(SavedState {
        schema: own.min(wanted),
        generation: incumbent.life.number,
        time: crate::announce::now_millis(),
        is_final: false,
        tainted: incumbent.is_tainted(),
        bytes,
    }))
}

/// A generation's state in the format of `schema`.
pub(crate) fn take_snapshot(
    generation: &Arc<Generation>,
    hand: &Hand,
    schema: u32,
    limit: Duration,
) -> Result<Vec<u8>> {
    ensure!(
        !generation.snapshot_is_stuck(),
        "an earlier snapshot of the incumbent has not returned yet"
    );
    let theirs = Arc::clone(generation);
    generation.set_snapshot_is_stuck(true);
    let snapshot = hand.run(
        limit,
        CallsOut::Refused,
        move || {
            let snapshot = theirs.instance.snapshot(schema);
            theirs.set_snapshot_is_stuck(false);
            snapshot
        },
        |_too_late| {},
    );
    let version = &generation.life.version;
    match snapshot {
        Ok(snapshot) => snapshot.map_err(|fault| {
            anyhow!("taking a snapshot of the incumbent (version {version}): {fault}")
        }),
        Err(_stuck) => bail!(
            "taking a snapshot of the incumbent (version {version}) has not returned within {}; until it does, its \
             `&mut self` methods are refused",
            humantime::format_duration(limit)
        ),
    }
}

/// Restores a state and, where that is cheap, reads it back.
fn restore(loaded: &mut Loaded, state: &SavedState, schema: u32, limit: Duration) -> Result<()> {
    let encoding = loaded.life()?.manifest.encoding;
    let from = state.schema;
    let bytes: Arc<[u8]> = Arc::from(state.bytes.as_slice());
    let given = Arc::clone(&bytes);
    let restored = loaded.ask(limit, "its `restore` has not returned", move |candidate| {
        candidate.restore(from, &given)
    });
    let what = if from == schema {
        format!("restoring the state (schema {schema})")
    } else {
        format!("migrating the state from schema {from} to {schema}")
    };
    restored.map_err(|error| told(&what, "the migration or restoration", error, limit))?;
    if from != schema || encoding != Encoding::Messagepack {
        return Ok(());
    }
    if bytes.len() > READ_BACK {
        loaded.remarks.push(format!(
            "the restored state was not read back, being {} bytes large",
            bytes.len()
        ));
        return Ok(());
    }
    let again = loaded.ask(limit, "its `snapshot` has not returned", move |candidate| {
        candidate.snapshot(schema)
    });
    let again =
        again.map_err(|error| told("reading the state back", "`snapshot`", error, limit))?;
    likeness::holds(&bytes, &again).map_err(|difference| {
        anyhow!(
            "it does not keep the state it was given: {difference}; a changed state is a new schema number and a \
             migrate function"
        )
    })
}

fn told(what: &str, who: &str, error: Unhanded, limit: Duration) -> anyhow::Error {
    match error {
        Unhanded::Fault(PluginFault(fault)) => anyhow!("{what}: {}", fault.message),
        Unhanded::Stuck => anyhow!(
            "{what}: {who} has not returned within {}",
            humantime::format_duration(limit)
        ),
    }
}
