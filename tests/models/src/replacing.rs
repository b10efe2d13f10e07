//! Replacing: the old tenant ends when the last lease on it has, and nobody steps back to it.

use crate::{
    gate::Gate,
    stage::{CALL, LONG, Watched, check, end, join, pass, warm_up},
};
use std::sync::Arc;

fn replace(gate: &Gate<Watched>, next: Arc<Watched>) {
    end(gate.replace(Some(next)).expect("a tenant stood there"));
}

/// Two threads, three preemptions.
#[test]
fn nobody_passes_into_what_was_replaced_and_has_ended() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let replacing = stage.start(|gate| replace(gate, next));
        let found = [pass(&stage.gate, 0), pass(&stage.gate, 0)];
        join(replacing);
        assert!(found[0] <= found[1], "a step back: {found:?}");
        assert_eq!(pass(&stage.gate, 0), 2);
    });
}

/// Two threads, three preemptions.
#[test]
fn a_threads_first_lease_is_waited_for() {
    check(3, |stage| {
        let calling = stage.start(|gate| {
            let lease = gate.enter(LONG).expect("it is open");
            lease.tenant().work(0);
        });
        replace(&stage.gate, stage.tenant(2));
        join(calling);
    });
}

/// Three threads, two preemptions.
#[test]
fn two_callers_are_both_waited_for() {
    check(2, |stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let replacing = stage.start(|gate| replace(gate, next));
        let calling = stage.start(|gate| pass(gate, 1));
        pass(&stage.gate, 0);
        join(calling);
        join(replacing);
    });
}

/// Two threads, three preemptions.
#[test]
fn what_is_dropped_with_somebody_inside_stays() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let replacing = stage.start(|gate| drop(gate.replace(Some(next))));
        pass(&stage.gate, 0);
        join(replacing);
    });
}
