//! Counting: every call is counted once, for the tenant that it was inside of.

use crate::{
    gate::Tenant,
    stage::{check, join, pass, warm_up},
};
use std::sync::Arc;

/// Three threads, two preemptions. The caller's pin settles with one tenant when it comes to the next, and with that
/// one when its thread ends.
#[test]
fn every_call_is_counted_for_whom_it_entered() {
    check(2, |stage| {
        let next = stage.tenant(2);
        let tallies =
            [&stage.gate.tenant().expect("the first"), &next].map(|t| Arc::clone(t.tally()));
        let calling = stage.start(|gate| [pass(gate, 0), pass(gate, 0)]);
        let left = stage.gate.replace(Some(next));
        let counted = join(calling);
        drop(left);
        for (number, tally) in (1..).zip(&tallies) {
            let calls = counted.iter().filter(|found| **found == number).count() as u64;
            let numbers = tally.numbers();
            assert_eq!((numbers.calls, numbers.in_flight), (calls, 0));
        }
    });
}

/// Three threads, two preemptions. A tick has the caller's next call timed, whichever tenant that is for.
#[test]
fn with_ticks_in_between_every_call_has_one_time() {
    check(2, |stage| {
        let next = stage.tenant(2);
        let tallies =
            [&stage.gate.tenant().expect("the first"), &next].map(|t| Arc::clone(t.tally()));
        let calling = stage.start(|gate| [pass(gate, 0), pass(gate, 0), pass(gate, 0)]);
        let ticking = stage.start(|gate| {
            gate.tick();
            gate.send_aside();
        });
        drop(stage.gate.replace(Some(next)));
        let counted = join(calling);
        join(ticking);
        for (number, tally) in (1..).zip(&tallies) {
            let calls = counted.iter().filter(|found| **found == number).count() as u64;
            let numbers = tally.numbers();
            assert_eq!((numbers.calls, numbers.latency.count()), (calls, calls));
        }
    });
}

/// Two threads, three preemptions.
#[test]
fn who_reads_the_numbers_never_reads_too_many_or_fewer_than_before() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let tenant = stage.gate.tenant().expect("the first");
        let tally = Arc::clone(tenant.tally());
        drop(tenant);
        let reading = stage.start(move |_| [tally.numbers(), tally.numbers()]);
        pass(&stage.gate, 0);
        pass(&stage.gate, 0);
        let [before, after] = join(reading);
        assert!(3 <= before.calls && before.calls <= after.calls && after.calls <= 5);
        for numbers in [before, after] {
            assert!(numbers.in_flight <= 1 && numbers.calls + numbers.in_flight <= 5);
        }
    });
}
