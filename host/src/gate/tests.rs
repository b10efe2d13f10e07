//! The gate's promises, each held up by threads that wait for one another, under either kind of fences.

mod closing;
mod crowds;
mod places;
mod showing;
mod timing;

use super::{fence::Fences, *};
use showing::ByTheDoor;
use std::{
    cell::RefCell,
    sync::{atomic::AtomicBool, mpsc},
};

/// A tenant that notices whether it is used after its end.
struct Numbered(u64, AtomicBool, Arc<Tally>);

/// The plain view and the timed one of every tenant.
static VIEWS: [&str; 2] = ["plain", "timed"];

impl Tenant for Numbered {
    type View = &'static str;

    fn views(&self) -> [&&'static str; 2] {
        VIEWS.each_ref()
    }

    fn number(&self) -> u64 {
        self.0
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.2
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

const SOON: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(60);

fn numbered(number: u64) -> Arc<Numbered> {
    Arc::new(Numbered(number, AtomicBool::new(false), Arc::default()))
}

/// One of each kind: its callers fence, or do not and find their pins in their rows, or in their tables.
fn gates_on(number: u64) -> Vec<Arc<Gate<Numbered>>> {
    let mut gates = vec![Gate::with_fences(Fences::OnEach)];
    // Where the system does not offer the other fences, they are not used either.
    if Fences::of_this_process() == Fences::OnTheOne {
        gates.push(Gate::with_fences(Fences::OnTheOne));
        let mut gate = Gate::with_fences(Fences::OnTheOne);
        gate.id.end();
        gate.id = GateId::without_place();
        gates.push(gate);
    }
    gates
        .into_iter()
        .map(|gate| {
            assert!(gate.replace(Some(numbered(number))).is_none());
            Arc::new(gate)
        })
        .collect()
}

/// Closes a gate that will be free.
fn closed(gate: &Gate<Numbered>) -> Closed<'_, Numbered> {
    match gate.close(Instant::now() + LONG, SOON) {
        Ok(closed) => closed,
        Err(inside) => panic!("still inside: {inside:?}"),
    }
}

/// Enters on another thread and stays inside until the sender is dropped.
fn visitor(gate: &Arc<Gate<Numbered>>) -> (mpsc::Sender<()>, std::thread::JoinHandle<()>) {
    let (leave, stay) = mpsc::channel::<()>();
    let (entered, is_in) = mpsc::channel();
    let gate = Arc::clone(gate);
    let thread = std::thread::Builder::new()
        .name("visitor".into())
        .spawn(move || {
            let lease = gate.enter(LONG).expect("the gate is open");
            lease.note(Call::of(3, false)).expect("nothing further out");
            entered.send(()).expect("the test waits");
            let _ = stay.recv();
        })
        .expect("threads can be started");
    is_in.recv().expect("the visitor enters");
    (leave, thread)
}

#[test]
fn a_gate_with_nothing_behind_it_lets_nobody_in() {
    let gate = Gate::<Numbered>::new();
    assert_eq!(gate.enter(SOON).err(), Some(Refusal::Vacant));
    assert_eq!(gate.inside(), []);
}

#[test]
fn a_nested_call_is_let_in_while_a_swap_waits_for_the_outer_one() {
    for gate in gates_on(1) {
        let outer = gate.enter(LONG).expect("open");
        let swap = {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || gate.close(Instant::now() + LONG, LONG).is_ok())
        };
        // However the swap's try and this fall together, the nested call does not wait for it.
        for _ in 0..1_000 {
            drop(gate.enter(Duration::ZERO).expect("nested"));
        }
        drop(outer);
        assert!(swap.join().expect("no panic"));
    }
}

#[test]
fn nesting_has_an_end() {
    for gate in gates_on(1) {
        let leases: Vec<_> = (0..DEEPEST)
            .map(|_| gate.enter(SOON).expect("not too deep"))
            .collect();
        assert_eq!(gate.enter(SOON).err(), Some(Refusal::TooDeep));
        for lease in leases.into_iter().rev() {
            drop(lease);
        }
        assert_eq!(gate.inside(), []);
        assert!(gate.enter(SOON).is_ok());
    }
}

#[test]
fn a_replaced_tenant_is_inside_until_its_last_lease_ends() {
    for gate in gates_on(1) {
        let (leave, thread) = visitor(&gate);
        let mut leaving = gate.replace(Some(numbered(2))).expect("there was one");
        assert_eq!(gate.enter(SOON).expect("open").tenant().number(), 2);
        assert_eq!(leaving.inside().len(), 1);
        let Err(leaving) = leaving.into_tenant() else {
            panic!("the visitor is inside");
        };
        drop(leave);
        thread.join().expect("the visitor leaves");
        assert_eq!(leaving.into_tenant().ok().map(|tenant| tenant.0), Some(1));
    }
}

#[test]
fn leases_nested_in_one_on_the_replaced_tenant_do_not_count_for_it() {
    for gate in gates_on(1) {
        let outer = gate.enter(SOON).expect("open");
        let mut leaving = gate.replace(Some(numbered(2))).expect("there was one");
        for _ in 0..3 {
            let nested = gate.enter(SOON).expect("nested");
            assert_eq!(nested.tenant().number(), 2);
        }
        assert_eq!(outer.tenant().number(), 1);
        assert_eq!(leaving.inside().len(), 1);
        drop(outer);
        assert_eq!(leaving.inside().len(), 0);
    }
}

#[test]
fn a_panic_inside_gives_the_lease_back() {
    for gate in gates_on(1) {
        let inside = Arc::clone(&gate);
        let panicked = std::thread::spawn(move || {
            let _lease = inside.enter(SOON).expect("open");
            std::panic::resume_unwind(Box::new("on its way"));
        });
        assert!(panicked.join().is_err());
        assert!(gate.close(Instant::now() + LONG, SOON).is_ok());
    }
}

#[test]
fn calls_that_would_wait_for_their_own_thread_are_refused() {
    for gate in gates_on(1) {
        let outer = gate.enter(SOON).expect("open");
        outer.note(Call::of(0, false)).expect("nothing further out");
        let nested = gate.enter(SOON).expect("nested");
        assert_eq!(
            nested.note(Call::of(1, true)),
            Err(Knot::ExclusiveUnderShared)
        );
        assert_eq!(nested.note(Call::of(2, false)), Ok(()));
        drop((nested, outer));
        let outer = gate.enter(SOON).expect("open");
        outer.note(Call::of(1, true)).expect("nothing further out");
        let nested = gate.enter(SOON).expect("nested");
        assert_eq!(nested.note(Call::of(2, false)), Err(Knot::UnderExclusive));
        assert!(is_inside_any());
        drop((nested, outer));
        assert!(!is_inside_any());
    }
}

#[test]
fn a_thread_that_ends_takes_its_pins_along() {
    for gate in gates_on(1) {
        for _ in 0..10 {
            let gate = Arc::clone(&gate);
            let caller = std::thread::spawn(move || drop(gate.enter(SOON)));
            caller.join().expect("no panic");
        }
        assert_eq!(gate.pins.all().len(), 0);
    }
}

/// A value in a thread-local that calls when its thread ends, and so after the gate's own thread-locals may be gone.
struct CallsAtTheEnd(Arc<Gate<Numbered>>);

impl Drop for CallsAtTheEnd {
    fn drop(&mut self) {
        let gate = &self.0;
        let lease = gate.enter(LONG).expect("open");
        assert_eq!(lease.tenant().number(), 1);
        assert_eq!(gate.inside().len(), 1, "it is seen");
        let mut leaving = gate.replace(Some(numbered(2))).expect("one was there");
        assert_eq!(leaving.inside().len(), 1, "it is waited for");
        let leaving = leaving.into_tenant().err().expect("somebody is inside");
        drop(lease);
        assert_eq!(leaving.into_tenant().ok().map(|tenant| tenant.0), Some(1));
    }
}

thread_local! {
    static AT_THE_END: RefCell<Option<CallsAtTheEnd>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_at_its_end_is_let_in_and_leaves_nothing_behind() {
    for gate in gates_on(1) {
        let inside = Arc::clone(&gate);
        let caller = std::thread::spawn(move || {
            let at_the_end = CallsAtTheEnd(Arc::clone(&inside));
            AT_THE_END.with_borrow_mut(|place| *place = Some(at_the_end));
            drop(inside.enter(SOON));
        });
        caller.join().expect("no panic");
        assert_eq!(gate.pins.all().len(), 0);
    }
}

/// Callers at full speed, on two gates and nested across them, while both are closed and replaced in turn.
#[test]
fn no_caller_ever_finds_a_tenant_that_is_gone() {
    const SWAPS: u64 = 300;
    for gate in gates_on(1) {
        let other = gates_on(1).remove(0);
        let stop = Arc::new(AtomicBool::new(false));
        let (called, has_called) = mpsc::channel();
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (gate, other, stop) = (gate.clone(), other.clone(), stop.clone());
                let called = called.clone();
                std::thread::spawn(move || {
                    let mut newest = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let lease = gate.enter(LONG).expect("open");
                        assert!(lease.tenant().number() >= newest, "a step back");
                        newest = lease.tenant().number();
                        let across = other.enter(LONG).expect("open");
                        let back = gate.enter(LONG).expect("nested");
                        for tenant in [lease.tenant(), across.tenant(), back.tenant()] {
                            assert!(!tenant.1.load(Ordering::SeqCst), "it is gone");
                        }
                        drop((back, across, lease));
                        // After the first nobody listens.
                        let _ = called.send(());
                    }
                })
            })
            .collect();
        for _ in &callers {
            has_called.recv().expect("they call");
        }
        drop(has_called);
        for number in 2..SWAPS + 2 {
            let mut leaving = if number % 2 == 0 {
                gate.replace(Some(numbered(number)))
            } else {
                closed(&gate).open_on(Some(numbered(number)))
            };
            while let Some(still) = leaving.take() {
                leaving = still.into_tenant().err();
            }
            drop(closed(&other).open_on(Some(numbered(number))));
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.join().expect("no panic");
        }
    }
}

const ADD: Call = Call::of(3, false);
const SET: Call = Call::of(4, true);

/// The view that a call of this thread would go by.
fn shown_to_this_thread(gate: &Gate<Numbered>) -> Option<&'static str> {
    let pin = pin::own(gate.id)?;
    unpin::see::<Numbered>(unpin::look(&pin)).copied()
}

/// The tenant's number, asked on the way of most calls.
fn passed(gate: &Gate<Numbered>) -> Result<u64, Refusal> {
    gate.pass(SOON, ADD, Numbered::number)
}

#[test]
fn a_call_without_a_lease_holds_a_swap_up_and_is_named() {
    for gate in gates_on(1) {
        // Past the first, which takes a lease to learn the tenant.
        let (go, wait) = mpsc::channel::<()>();
        let (entered, is_in) = mpsc::channel();
        let inside = Arc::clone(&gate);
        let caller = std::thread::spawn(move || {
            while shown_to_this_thread(&inside) != Some("plain") {
                passed(&inside).expect("open");
            }
            inside.pass(SOON, ADD, |_| {
                entered.send(()).expect("the test waits");
                let _ = wait.recv();
            })
        });
        is_in.recv().expect("it enters");
        let Err(named) = gate.close(Instant::now() + SOON, SOON) else {
            panic!("somebody is inside");
        };
        assert_eq!((named.len(), named[0].method), (1, Some(3)));
        assert!(named[0].since.is_some());
        let mut leaving = gate.replace(Some(numbered(2))).expect("there was one");
        assert_eq!(passed(&gate), Ok(2));
        assert_eq!(leaving.inside().len(), 1);
        drop(go);
        caller.join().expect("no panic").expect("it was let in");
        assert_eq!(leaving.inside().len(), 0);
    }
}

#[test]
fn knots_are_found_whichever_way_a_call_goes() {
    for gate in gates_on(1) {
        for _ in 0..100 {
            let nested = gate.pass(SOON, ADD, |_| passed(&gate));
            assert_eq!(nested, Ok(Ok(1)));
            let nested = gate.pass(SOON, ADD, |_| gate.pass(SOON, SET, |_| ()));
            let knot = Refusal::Knot(Knot::ExclusiveUnderShared);
            assert_eq!(nested, Ok(Err(knot)));
            let nested = gate.pass(SOON, SET, |_| passed(&gate));
            let knot = Refusal::Knot(Knot::UnderExclusive);
            assert_eq!(nested, Ok(Err(knot)));
        }
    }
}

#[test]
fn a_tenant_is_not_taken_for_one_that_lay_where_it_lies() {
    for gate in gates_on(1) {
        let mut places = Vec::new();
        for number in 2..50 {
            // The one of before is gone with this, and the thread's pin still knows it.
            drop(gate.replace(None));
            let tenant = numbered(number);
            places.push(Arc::as_ptr(&tenant).addr());
            let tally = tenant.2.clone();
            assert!(gate.replace(Some(tenant)).is_none());
            for _ in 0..8 {
                assert_eq!(gate.pass(LONG, ADD, Numbered::number), Ok(number));
            }
            assert_eq!(tally.numbers().calls, 8);
        }
        let all = places.len();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() < all, "no place was used again");
    }
}

#[test]
fn every_call_is_counted_once_for_the_tenant_that_it_entered() {
    const CALLS: u64 = 10_000;
    for gate in gates_on(1) {
        let mut tallies = vec![gate.tenant().expect("there is one").2.clone()];
        let (go, wait) = crossbeam_channel::bounded::<()>(0);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (gate, wait) = (Arc::clone(&gate), wait.clone());
                std::thread::spawn(move || {
                    let mut entered = [0; 32];
                    for call in 0..CALLS {
                        let number = if call % 3 == 0 {
                            let lease = gate.enter(LONG).expect("open");
                            lease.is_a_call();
                            lease.tenant().number()
                        } else if call % 3 == 1 {
                            // Turns back, and comes again.
                            drop(gate.enter(LONG).expect("open"));
                            gate.pass(LONG, ADD, Numbered::number).expect("open")
                        } else {
                            gate.pass(LONG, ADD, Numbered::number).expect("open")
                        };
                        entered[number as usize] += 1;
                        if call == CALLS / 2 {
                            let _ = wait.recv();
                        }
                    }
                    entered
                })
            })
            .collect();
        for number in 2..20 {
            let tenant = numbered(number);
            tallies.push(tenant.2.clone());
            if number % 2 == 0 {
                drop(gate.replace(Some(tenant)));
            } else {
                drop(closed(&gate).open_on(Some(tenant)));
            }
        }
        drop(go);
        let mut entered = [0; 32];
        for caller in callers {
            let by_one = caller.join().expect("no panic");
            for (sum, calls) in entered.iter_mut().zip(by_one) {
                *sum += calls;
            }
        }
        let counted: Vec<u64> = tallies.iter().map(|tally| tally.numbers().calls).collect();
        assert_eq!(counted, entered[1..=tallies.len()]);
        assert_eq!(counted.iter().sum::<u64>(), 3 * CALLS);
        let last = tallies[tallies.len() - 1].numbers();
        assert_eq!((last.in_flight, last.errors), (0, 0));
        assert!(last.latency.count() > 0 && last.latency.quantile(0.5).is_some());
    }
}

#[test]
fn failures_are_counted_and_calls_inside_are_seen() {
    for gate in gates_on(1) {
        let tally = gate.tenant().expect("there is one").2.clone();
        gate.pass(SOON, ADD, |tenant| {
            gate.count_failure(tenant, Failure::Panic);
            let nested = gate.enter(SOON).expect("nested");
            nested.is_a_call();
            gate.count_failure(nested.tenant(), Failure::Error);
            assert_eq!(tally.numbers().in_flight, 1);
        })
        .expect("open");
        let numbers = tally.numbers();
        assert_eq!((numbers.calls, numbers.in_flight), (2, 0));
        assert_eq!((numbers.errors, numbers.panics), (2, 1));
    }
}
