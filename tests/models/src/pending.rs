//! Pending: closing waits for owned leases, and whoever it held back is woken.

use crate::{
    gate::{Gate, Owned, Tenant, Within},
    stage::{Watched, check, end, join, pass, swap},
};
use loom::future::block_on;
use std::sync::Arc;

fn entered(gate: &Gate<Watched>) -> Owned<Watched> {
    match block_on(gate.enter_owned(Within::default())) {
        Ok(lease) => lease,
        Err(refusal) => panic!("not let in: {refusal:?}"),
    }
}

/// A call that is pending for a while.
fn call(gate: &Gate<Watched>, caller: usize) -> u64 {
    let mut lease = entered(gate);
    lease.is_a_call();
    lease.tenant().work(caller);
    lease.note_method(1);
    lease.tenant().work(caller)
}

/// Two threads, three preemptions. A caller who is held back and never woken would be found as a deadlock.
#[test]
fn no_call_is_pending_in_what_a_swap_took_out_and_who_waits_is_woken() {
    check(3, |stage| {
        let calling = stage.start(|gate| [call(gate, 0), call(gate, 0)]);
        swap(&stage.gate, stage.tenant(2));
        assert!(join(calling).is_sorted());
    });
}

/// Three threads, two preemptions. One caller is pending, the other passes.
#[test]
fn pending_and_passing_calls_are_both_waited_for() {
    check(2, |stage| {
        let pending = stage.start(|gate| call(gate, 0));
        let passing = stage.start(|gate| pass(gate, 1));
        swap(&stage.gate, stage.tenant(2));
        join(pending);
        join(passing);
    });
}

/// Two threads, three preemptions.
#[test]
fn what_was_replaced_ends_after_the_calls_that_are_pending_in_it() {
    check(3, |stage| {
        let calling = stage.start(|gate| call(gate, 0));
        end(stage
            .gate
            .replace(Some(stage.tenant(2)))
            .expect("the first"));
        join(calling);
    });
}

/// Two threads, three preemptions. The lease is taken inside, so it is not held back, and lasts longer.
#[test]
fn a_lease_that_is_taken_inside_and_kept_is_waited_for() {
    check(3, |stage| {
        let calling = stage.start(|gate| {
            let lease = gate.pass(crate::stage::LONG, crate::stage::CALL, |_| entered(gate));
            let lease = lease.expect("it opens again");
            lease.tenant().work(0);
        });
        swap(&stage.gate, stage.tenant(2));
        join(calling);
    });
}

/// Two threads, three preemptions.
#[test]
fn a_pending_call_is_counted_once() {
    check(3, |stage| {
        let tally = Arc::clone(stage.gate.tenant().expect("the first").tally());
        let calling = stage.start(|gate| call(gate, 0));
        let numbers = tally.numbers();
        assert!(numbers.calls + numbers.in_flight <= 1);
        join(calling);
        let numbers = tally.numbers();
        assert_eq!((numbers.calls, numbers.in_flight), (1, 0));
    });
}
