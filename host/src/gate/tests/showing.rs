//! What pins show: the tenant, where callers may enter by their pins, and nothing where they may not.

use super::*;

/// Waits for what another thread is about to do.
pub(super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// Whether the bias is left, and all pins have come to show nothing, which they do one by one.
pub(super) fn shows_nothing(gate: &Gate<Numbered>) -> bool {
    let pins = gate.pins.all();
    gate.bias.load(Ordering::SeqCst).is_null() && pins.iter().all(|pin| pin.views.shown().is_null())
}

/// A gate with somebody inside whom a swap waits for, so that all others go by the door, until this is dropped.
pub(super) struct ByTheDoor {
    leave: Option<mpsc::Sender<()>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl ByTheDoor {
    /// Has this thread's calls go by the door.
    pub(super) fn begin(gate: &Arc<Gate<Numbered>>) -> ByTheDoor {
        let (leave, visitor) = visitor(gate);
        let swap = {
            let gate = Arc::clone(gate);
            std::thread::spawn(move || drop(closed(&gate)))
        };
        until("no pin shows anything", || shows_nothing(gate));
        ByTheDoor {
            leave: Some(leave),
            threads: vec![visitor, swap],
        }
    }
}

impl Drop for ByTheDoor {
    fn drop(&mut self) {
        drop(self.leave.take());
        for thread in self.threads.drain(..) {
            thread.join().expect("no panic");
        }
    }
}

#[test]
fn a_pin_shows_nothing_from_when_a_swap_is_near_until_a_lease_after_it() {
    for gate in gates_on(1) {
        assert_eq!(passed(&gate), Ok(1));
        assert!(shown_to_this_thread(&gate).is_some());
        let closed = closed(&gate);
        assert_eq!(shown_to_this_thread(&gate), None);
        drop(closed.open_on(Some(numbered(2))));
        assert_eq!(shown_to_this_thread(&gate), None, "it has seen nobody yet");
        assert_eq!(passed(&gate), Ok(2));
        assert!(shown_to_this_thread(&gate).is_some());
        drop(gate.replace(Some(numbered(3))));
        assert_eq!(shown_to_this_thread(&gate), None);
        assert_eq!(passed(&gate), Ok(3));
    }
}

#[test]
fn who_goes_by_the_door_is_shown_nothing_and_a_closing_that_fails_costs_one_lease() {
    for gate in gates_on(1) {
        assert_eq!(passed(&gate), Ok(1));
        let by_the_door = ByTheDoor::begin(&gate);
        for _ in 0..100 {
            assert_eq!(passed(&gate), Ok(1));
            assert_eq!(shown_to_this_thread(&gate), None);
        }
        drop(by_the_door);
        assert_eq!(passed(&gate), Ok(1));
        assert!(shown_to_this_thread(&gate).is_some());
    }
}

#[test]
fn where_only_insiders_are_let_in_nobody_is_shown_anything() {
    for gate in gates_on(1) {
        assert_eq!(passed(&gate), Ok(1));
        gate.admit_only_insiders();
        assert_eq!(shown_to_this_thread(&gate), None);
        assert_eq!(passed(&gate), Err(Refusal::ForInsiders));
        drop(gate.replace(Some(numbered(2))));
        assert_eq!(passed(&gate), Err(Refusal::ForInsiders));
        assert_eq!(shown_to_this_thread(&gate), None);
    }
}

#[test]
fn the_count_goes_round_and_nobody_is_lost_or_counted_twice() {
    for gate in gates_on(1) {
        assert_eq!(passed(&gate), Ok(1));
        let pin = Arc::clone(&gate.pins.all()[0]);
        // As if the thread had called very often already: its third lease from here on is the first of a round.
        let before = pin.own_mark();
        let mut last = Mark::outside(Number::default());
        while last.next().next().ended() != Number::default() {
            last = Mark::from_bits(
                last.bits()
                    .wrapping_sub(before.next().bits() - before.bits()),
            );
        }
        pin.set_mark(last);
        pin.clear();
        let tally = Arc::clone(gate.tenant().expect("open").tally());
        assert_eq!(passed(&gate), Ok(1));
        let lease = gate.enter(SOON).expect("open");
        lease.is_a_call();
        let mut leaving = gate.replace(Some(numbered(2))).expect("there was one");
        assert_eq!(leaving.inside().len(), 1);
        drop(lease);
        assert_eq!(
            leaving.inside().len(),
            0,
            "its number is the last of a round"
        );
        for calls in 3..100 {
            assert_eq!(passed(&gate), Ok(2));
            let first = tally.numbers();
            assert_eq!((first.calls, first.latency.count()), (2, 2));
            let second = gate.tenant().expect("open").tally().numbers();
            assert_eq!(
                (second.calls, second.latency.count()),
                (calls - 2, calls - 2)
            );
        }
        drop(closed(&gate).open_on(None));
    }
}

#[test]
fn a_call_stays_with_the_tenant_that_it_entered() {
    for gate in gates_on(1) {
        while shown_to_this_thread(&gate).is_none() {
            passed(&gate).expect("open");
        }
        let called = Approach::to(Arc::clone(&gate)).pass_quickly(
            ADD,
            |_| Some(()),
            |here, (), ()| {
                let _leaving = gate.replace(Some(numbered(2)));
                assert_eq!(gate.enter(SOON).expect("nested").tenant().number(), 2);
                here.tenant().number()
            },
            (),
        );
        assert_eq!(called, if gate.id.has_place() { Ok(1) } else { Err(()) });
    }
}
