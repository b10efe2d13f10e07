//! Closing: whoever gets a tenant out of a closed gate has it alone.

use crate::{
    gate::Refusal,
    stage::{CALL, LONG, check, close, end_at_once, join, pass, swap, warm_up},
    sync::Instant,
};
use std::time::Duration;

/// Two threads, three preemptions.
#[test]
fn nobody_passes_into_what_a_swap_took_out() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let swapping = stage.start(|gate| swap(gate, next));
        let found = [pass(&stage.gate, 0), pass(&stage.gate, 0)];
        join(swapping);
        assert!(found[0] <= found[1], "a step back: {found:?}");
        assert_eq!(pass(&stage.gate, 0), 2);
    });
}

/// Two threads, three preemptions.
#[test]
fn no_lease_is_on_what_a_swap_took_out() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let swapping = stage.start(|gate| swap(gate, next));
        for _ in 0..2 {
            let lease = stage.gate.enter(LONG).expect("it opens again");
            lease.tenant().work(0);
            lease.note(CALL).expect("nothing is further out");
            lease.tenant().work(0);
        }
        join(swapping);
    });
}

/// Two threads, three preemptions.
#[test]
fn no_nested_lease_is_on_what_a_swap_took_out() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let swapping = stage.start(|gate| swap(gate, next));
        let found = stage.gate.pass(LONG, CALL, |outer| {
            let inner = pass(&stage.gate, 0);
            assert_eq!(inner, outer.work(0), "a swap came in between");
        });
        found.expect("it opens again");
        join(swapping);
    });
}

/// Three threads, two preemptions.
#[test]
fn two_callers_are_both_waited_for() {
    check(2, |stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let swapping = stage.start(|gate| swap(gate, next));
        let calling = stage.start(|gate| pass(gate, 1));
        pass(&stage.gate, 0);
        join(calling);
        join(swapping);
    });
}

/// Two threads, three preemptions. The pin shows nothing: the caller notices inside, gives its number back
/// and comes again with a lease.
#[test]
fn who_turns_back_is_not_waited_for_and_not_lost() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let (second, third) = (stage.tenant(2), stage.tenant(3));
        swap(&stage.gate, second);
        let swapping = stage.start(|gate| swap(gate, third));
        let found = [pass(&stage.gate, 0), pass(&stage.gate, 0)];
        join(swapping);
        assert!(matches!(found, [2, 2 | 3] | [3, 3]), "{found:?}");
    });
}

/// Two threads, three preemptions. The thread's end, which takes its pin off the list, is in it.
#[test]
fn a_threads_first_call_is_not_missed() {
    check(3, |stage| {
        let calling = stage.start(|gate| pass(gate, 0));
        swap(&stage.gate, stage.tenant(2));
        assert!(matches!(join(calling), 1 | 2));
    });
}

/// Three threads, two preemptions. Whoever comes while another is inside and waited for goes by the door.
#[test]
fn who_goes_by_the_door_is_waited_for_there() {
    check(2, |stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let (calling, swapping) = stage
            .gate
            .pass(LONG, CALL, |tenant| {
                let swapping = stage.start(|gate| swap(gate, next));
                let calling = stage.start(|gate| pass(gate, 1));
                loom::thread::yield_now();
                tenant.work(0);
                (calling, swapping)
            })
            .expect("it is open");
        join(calling);
        join(swapping);
    });
}

/// Two threads, two preemptions. The first swap tries once only.
#[test]
fn a_swap_that_gives_up_leaves_the_gate_to_the_next() {
    check(2, |stage| {
        warm_up(&stage.gate, 0);
        let (second, third) = (stage.tenant(2), stage.tenant(3));
        let swapping = stage.start(|gate| {
            if let Ok(closed) = gate.close(Instant::now(), Duration::ZERO) {
                end_at_once(closed.open_on(Some(second)));
            }
            swap(gate, third);
        });
        pass(&stage.gate, 0);
        join(swapping);
        assert_eq!(pass(&stage.gate, 0), 3);
    });
}

/// Three threads, two preemptions.
#[test]
fn two_swaps_take_turns() {
    check(2, |stage| {
        warm_up(&stage.gate, 0);
        let (second, third) = (stage.tenant(2), stage.tenant(3));
        let one = stage.start(|gate| swap(gate, second));
        let other = stage.start(|gate| swap(gate, third));
        pass(&stage.gate, 0);
        join(one);
        join(other);
    });
}

/// Two threads, three preemptions. Without patience, callers are let in between one try at the door and the next.
#[test]
fn a_gate_that_is_closed_and_opened_again_serves_as_before() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let closing = stage.start(|gate| {
            let closed = gate.close(Instant::now() + LONG, Duration::ZERO);
            drop(closed.expect("it closes in the end"));
        });
        assert_eq!([pass(&stage.gate, 0), pass(&stage.gate, 0)], [1, 1]);
        join(closing);
        assert_eq!(pass(&stage.gate, 0), 1);
    });
}

/// Two threads, three preemptions.
#[test]
fn who_waits_for_no_time_is_refused_or_inside_of_one_tenant() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let swapping = stage.start(|gate| {
            end_at_once(close(gate).open_on(None));
        });
        match stage
            .gate
            .pass(Duration::ZERO, CALL, |tenant| tenant.work(0))
        {
            Ok(found) => assert_eq!(found, 1),
            Err(refusal) => assert!(matches!(refusal, Refusal::Vacant | Refusal::OutOfTime)),
        }
        join(swapping);
    });
}

/// Two threads, three preemptions. The caller comes with a lease, and has its pin show the tenant, just when the swap begins.
#[test]
fn no_pin_comes_to_show_what_a_swap_takes_out() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        stage.gate.send_aside();
        let next = stage.tenant(2);
        let swapping = stage.start(|gate| swap(gate, next));
        let found = [pass(&stage.gate, 0), pass(&stage.gate, 0)];
        join(swapping);
        assert!(found[0] <= found[1], "a step back: {found:?}");
        assert_eq!(pass(&stage.gate, 0), 2);
    });
}

/// Two threads, three preemptions.
#[test]
fn no_pin_comes_to_show_what_is_for_insiders() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        stage.gate.send_aside();
        let restricting = stage.start(|gate| gate.admit_only_insiders());
        for _ in 0..2 {
            let _or_refused = stage.gate.pass(LONG, CALL, |tenant| tenant.work(0));
        }
        join(restricting);
        let refused = stage.gate.pass(LONG, CALL, |tenant| tenant.work(0));
        assert_eq!(refused, Err(Refusal::ForInsiders));
    });
}
