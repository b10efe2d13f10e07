//! Turned away: what callers are told whose call was not executed.

use crate::{
    error::CallError,
    gate::{DEEPEST, Knot, Refusal},
    generation::Generation,
    report::Standing,
    slot::Slot,
};
use std::time::Duration;

/// The gate has not let a call in.
#[cold]
pub(crate) fn at_the_gate(
    slot: &Slot,
    method: &str,
    refusal: Refusal,
    limit: Duration,
) -> CallError {
    match refusal {
        Refusal::Vacant => vacant(slot),
        Refusal::OutOfTime => closed(&slot.name, limit),
        Refusal::TooDeep => too_deep(&slot.name, method),
        Refusal::Knot(knot) => knotted(knot, &slot.name, method),
        Refusal::ForInsiders => shutting_down(),
    }
}

/// Nothing stands behind the gate.
#[cold]
pub(crate) fn vacant(slot: &Slot) -> CallError {
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

/// The gate was closed for all of the time that a call may wait.
#[cold]
pub(crate) fn closed(plugin: &str, limit: Duration) -> CallError {
    CallError::Busy(format!(
        "plugin \"{plugin}\" was closed for all of {}; the call was not executed",
        humantime::format_duration(limit)
    ))
}

/// The thread is inside as often as it may be.
#[cold]
pub(crate) fn too_deep(plugin: &str, method: &str) -> CallError {
    CallError::Failed(format!(
        "{DEEPEST} calls into \"{plugin}\" are inside one another on this thread, and the next may overflow its stack; \
         `{method}` was not executed; do plugins call each other in a circle?"
    ))
}

/// The call would wait for itself.
#[cold]
pub(crate) fn knotted(knot: Knot, plugin: &str, method: &str) -> CallError {
    CallError::Failed(match knot {
        Knot::UnderExclusive => format!(
            "`{method}` would wait for ever: a `&mut self` method of \"{plugin}\" further out on this thread waits for it; \
             it was not executed"
        ),
        Knot::ExclusiveUnderShared => format!(
            "`{method}` is `&mut self` and would wait for ever: a method of \"{plugin}\" further out on this thread waits \
             for it; it was not executed"
        ),
    })
}

/// The call would wait for a snapshot that does not return.
#[cold]
pub(crate) fn stuck(plugin: &str, method: &str) -> CallError {
    CallError::NotServing(format!(
        "`{method}` is `&mut self`, and a snapshot of \"{plugin}\" has not returned; it was not executed"
    ))
}

/// The calls that it cannot run beside took all of the time that a call may wait.
#[cold]
pub(crate) fn occupied(method: &str, limit: Duration) -> CallError {
    CallError::Busy(format!(
        "`{method}` waited {} for the calls before it; it was not executed",
        humantime::format_duration(limit)
    ))
}

/// The host takes no more calls.
#[cold]
pub(crate) fn shutting_down() -> CallError {
    CallError::NotServing("the host is shutting down".to_owned())
}

/// A pending call of the same plugin waits for the call, and the call would wait for it.
#[cold]
pub(crate) fn waited_for(plugin: &str, method: &str) -> CallError {
    CallError::Failed(format!(
        "`{method}` is `&mut self` and would wait for ever: a pending call of \"{plugin}\" waits for it; it was not executed"
    ))
}

/// As many calls wait for a thread as may.
#[cold]
pub(crate) fn queue_is_full() -> CallError {
    CallError::Busy("too many calls wait for a thread; this one was not executed".to_owned())
}

/// What serves has no such method.
#[cold]
pub(crate) fn unknown_method(generation: &Generation, method: &str) -> CallError {
    CallError::UnknownMethod {
        plugin: generation.life.plugin.to_string(),
        method: method.to_owned(),
        offered: signatures(generation),
    }
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
