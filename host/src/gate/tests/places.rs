//! Places in threads' rows: gates that have one, gates that have none, and gates that have one after another.

use super::*;

/// An open gate that was made after the other one has ended, and has its place.
fn successor_of(ended: GateId, number: u64) -> Option<Gate<Numbered>> {
    // Other tests take places too: those that are not the one are held until it comes.
    let mut held = Vec::new();
    while held.len() < 200 {
        let gate = Gate::with_fences(Fences::OnTheOne);
        if gate.id.shares_place_with(ended) {
            assert!(gate.replace(Some(numbered(number))).is_none());
            return Some(gate);
        }
        held.push(gate);
    }
    None
}

/// A gate that has ended after this thread has passed it, and one in its place; with the pin that is left.
fn one_after_another() -> (Gate<Numbered>, std::sync::Weak<Pin>) {
    for _ in 0..1000 {
        let gate = Gate::with_fences(Fences::OnTheOne);
        assert!(gate.replace(Some(numbered(1))).is_none());
        for _ in 0..10 {
            assert_eq!(passed(&gate), Ok(1));
        }
        let (ended, pin) = (gate.id, Arc::downgrade(&gate.pins.all()[0]));
        let shows = || {
            let pin = pin.upgrade().expect("kept");
            !pin.views.shown().is_null()
        };
        assert!(shows());
        drop(gate);
        assert!(!shows(), "the tenant is gone");
        if let Some(gate) = successor_of(ended, 2) {
            return (gate, pin);
        }
    }
    panic!("the place never comes back");
}

#[test]
fn nobody_passes_by_a_pin_that_an_ended_gate_has_left_at_its_place() {
    if Fences::of_this_process() != Fences::OnTheOne {
        return;
    }
    let (gate, left) = one_after_another();
    let shown = gate.id.shown().map(|pin| pin.as_ptr().cast_const());
    assert_eq!(shown, Some(left.as_ptr()), "it is shown");
    let inside = gate.pass(LONG, ADD, |_| gate.inside().len());
    assert_eq!(inside, Ok(1), "a swap would see the caller");
    let tally = Arc::clone(gate.tenant().expect("open").tally());
    assert_eq!(tally.numbers().calls, 1);
    assert!(left.upgrade().is_none(), "the pin is gone");
    for _ in 0..10 {
        assert_eq!(passed(&gate), Ok(2));
    }
    assert_eq!(tally.numbers().calls, 11);
    drop(closed(&gate).open_on(None));
}

#[test]
fn an_ended_gates_tenant_counts_what_was_called_also_when_its_place_is_anothers() {
    for gate in gates_on(1) {
        for _ in 0..3 {
            assert_eq!(passed(&gate), Ok(1));
        }
        let (ended, tally) = (gate.id, Arc::clone(gate.tenant().expect("open").tally()));
        drop(gate);
        if let Some(gate) = successor_of(ended, 2) {
            assert_eq!(passed(&gate), Ok(2));
        }
        assert_eq!(tally.numbers().calls, 3);
    }
}

#[test]
fn gates_are_passed_and_count_whether_or_not_they_have_a_place() {
    if Fences::of_this_process() != Fences::OnTheOne {
        return;
    }
    // More than there are places.
    let gates: Vec<_> = (1..=300).map(|n| gates_on(n).remove(1)).collect();
    assert!(gates.iter().any(|gate| !gate.id.has_place()));
    for _ in 0..3 {
        for gate in &gates {
            gate.pass(LONG, ADD, |_| assert_eq!(gate.inside().len(), 1))
                .expect("open");
        }
    }
    for gate in &gates {
        let tally = Arc::clone(gate.tenant().expect("open").tally());
        assert_eq!(tally.numbers().calls, 3);
        drop(closed(gate).open_on(None));
    }
}
