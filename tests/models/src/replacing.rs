//! Replacing: the old tenant ends when the last lease on it has, and nobody steps back to it.

use crate::{
    gate::Gate,
    stage::{CALL, LONG, Watched, check, close, end, join, pass, warm_up},
};
use std::sync::Arc;

fn replace(gate: &Gate<Watched>, next: Arc<Watched>) {
    next.furnish();
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

/// Two threads, two preemptions. The nested lease may be on a later tenant than the one it is nested in.
#[test]
fn a_nested_lease_keeps_what_it_is_on() {
    check(2, |stage| {
        warm_up(&stage.gate, 0);
        let (second, third) = (stage.tenant(2), stage.tenant(3));
        let replacing = stage.start(|gate| {
            let first = gate.replace(Some(second)).expect("the first stood there");
            let second = gate.replace(Some(third)).expect("the second stood there");
            end(second);
            end(first);
        });
        let calls = stage.gate.pass(LONG, CALL, |outer| {
            let inner = stage.gate.enter(LONG).expect("whoever is inside gets in");
            let found = (outer.work(0), inner.tenant().work(0));
            outer.work(0);
            found
        });
        let (outer, inner) = calls.expect("it is open");
        let later = pass(&stage.gate, 0);
        assert!(outer <= inner && inner <= later, "{outer} {inner} {later}");
        join(replacing);
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

/// Two threads, two preemptions. A gate that is closed sends callers to the door, where they may be still when the
/// next swap replaces the tenant.
#[test]
fn nobody_steps_back_by_the_door() {
    check(2, |stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let replacing = stage.start(|gate| {
            drop(close(gate));
            drop(gate.replace(Some(next)));
        });
        let found = [pass(&stage.gate, 0), pass(&stage.gate, 0)];
        join(replacing);
        assert!(found[0] <= found[1], "a step back: {found:?}");
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

/// Two threads, three preemptions. The caller comes with a lease, and has its pin show the tenant, just when that is replaced.
#[test]
fn no_pin_comes_to_show_what_is_replaced() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        stage.gate.send_aside();
        let next = stage.tenant(2);
        let replacing = stage.start(|gate| replace(gate, next));
        let found = [pass(&stage.gate, 0), pass(&stage.gate, 0)];
        join(replacing);
        assert!(found[0] <= found[1], "a step back: {found:?}");
        assert_eq!(pass(&stage.gate, 0), 2);
    });
}
