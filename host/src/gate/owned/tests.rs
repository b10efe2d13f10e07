//! What owned leases promise, each held up by hand: a lease goes where the test takes it.

use super::super::{Closed, Tally};
use super::*;
use std::{
    pin::pin,
    sync::mpsc,
    task::Wake,
    time::{Duration, Instant},
};

struct Numbered(u64, Arc<Tally>);

impl Tenant for Numbered {
    type View = ();

    fn views(&self) -> [&(); 2] {
        [&(); 2]
    }

    fn number(&self) -> u64 {
        self.0
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.1
    }
}

fn numbered(number: u64) -> Arc<Numbered> {
    Arc::new(Numbered(number, Arc::default()))
}

const SOON: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(60);

fn gate_on(number: u64) -> Arc<Gate<Numbered>> {
    let gate = Gate::new();
    assert!(gate.replace(Some(numbered(number))).is_none());
    Arc::new(gate)
}

/// A waker that tells when it wakes.
struct Bell(mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _nobody_listens = self.0.send(());
    }
}

fn bell() -> (Waker, mpsc::Receiver<()>) {
    let (ring, rung) = mpsc::channel();
    (Waker::from(Arc::new(Bell(ring))), rung)
}

fn poll<T: Tenant>(enter: Pin<&mut Enter<'_, T>>) -> Poll<Result<Owned<T>, Refusal>> {
    enter.poll(&mut Context::from_waker(Waker::noop()))
}

fn entered_within<T: Tenant>(gate: &Gate<T>, within: &Within) -> Owned<T> {
    match poll(pin!(gate.enter_owned(within.clone()))) {
        Poll::Ready(Ok(lease)) => lease,
        Poll::Ready(Err(refusal)) => panic!("refused: {refusal:?}"),
        Poll::Pending => panic!("held back"),
    }
}

fn entered<T: Tenant>(gate: &Gate<T>) -> Owned<T> {
    entered_within(gate, &Within::default())
}

fn closed(gate: &Gate<Numbered>) -> Closed<'_, Numbered> {
    match gate.close(Instant::now() + LONG, SOON) {
        Ok(closed) => closed,
        Err(inside) => panic!("still inside: {inside:?}"),
    }
}

#[test]
fn closing_names_pending_calls_and_closes_once_they_have_ended() {
    let gate = gate_on(1);
    let lease = entered(&gate);
    lease.note_method(3);
    let Err(inside) = gate.close(Instant::now() + SOON, SOON) else {
        panic!("a call is pending");
    };
    assert_eq!((inside[0].tenant, inside[0].method), (1, Some(3)));
    assert_eq!(inside, gate.inside());
    assert!(gate.enter(SOON).is_ok(), "it has given up");
    drop(lease);
    drop(closed(&gate));
}

#[test]
fn a_lease_may_end_on_another_thread_and_closing_notices() {
    let gate = gate_on(1);
    let lease = entered(&gate);
    let (closing, is_closed) = mpsc::channel();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            drop(closed(&gate));
            closing.send(()).expect("the test waits");
        });
        threads.spawn(move || drop(lease));
        is_closed.recv_timeout(LONG).expect("it closes");
    });
}

#[test]
fn new_leases_are_held_back_while_closing_and_woken_when_it_opens_on_another_tenant() {
    let gate = gate_on(1);
    let closed = closed(&gate);
    let (waker, rung) = bell();
    let mut enter = pin!(gate.enter_owned(Within::default()));
    let polled = enter.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    assert!(rung.try_recv().is_err());
    closed.open_on(Some(numbered(2)));
    rung.recv_timeout(LONG).expect("it is woken");
    let Poll::Ready(Ok(lease)) = poll(enter.as_mut()) else {
        panic!("the gate is open");
    };
    assert_eq!(lease.tenant().number(), 2);
}

#[test]
fn who_is_held_back_is_woken_when_closing_gives_up() {
    let gate = gate_on(1);
    let pending = entered(&gate);
    let held_back = gate.hold_back();
    let (waker, rung) = bell();
    let mut enter = pin!(gate.enter_owned(Within::default()));
    let polled = enter.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    assert!(gate.close(Instant::now() + SOON, SOON).is_err());
    assert!(rung.try_recv().is_err(), "somebody else holds it back");
    drop(held_back);
    rung.recv_timeout(LONG).expect("it is woken");
    assert!(poll(enter.as_mut()).is_ready());
    drop(pending);
}

#[test]
fn who_goes_away_while_held_back_is_not_woken() {
    let gate = gate_on(1);
    let held_back = gate.hold_back();
    let (waker, rung) = bell();
    {
        let enter = pin!(gate.enter_owned(Within::default()));
        assert!(enter.poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(waker);
    assert_eq!(
        rung.try_recv(),
        Err(mpsc::TryRecvError::Disconnected),
        "nobody keeps it"
    );
    drop(held_back);
}

#[test]
fn callers_with_leases_of_their_threads_come_and_go_while_pending_calls_are_waited_for() {
    let gate = gate_on(1);
    let _pending = entered(&gate);
    let held_back = gate.hold_back();
    assert!(gate.enter(SOON).is_ok());
    drop(held_back);
}

#[test]
fn a_call_from_inside_is_not_held_back() {
    let gate = gate_on(1);
    let outer = entered(&gate);
    let held_back = gate.hold_back();
    let inner = entered_within(&gate, outer.within());
    assert!(
        inner
            .within()
            .holds(&gate, &gate.tenant().expect("there is one"))
    );
    let stale = outer.within().clone();
    drop(outer);
    let tenant = gate.tenant().expect("there is one");
    assert!(!stale.holds(&gate, &tenant), "it has ended");
    let again = entered_within(&gate, inner.within());
    drop((inner, again));
    assert!(
        poll(pin!(gate.enter_owned(stale))).is_pending(),
        "it is inside no longer"
    );
    let by_pin = gate.enter(SOON).expect("it is open to threads");
    drop(entered(&gate));
    drop((by_pin, held_back));
}

#[test]
fn pending_calls_inside_one_another_have_an_end() {
    let gate = gate_on(1);
    let mut leases = vec![entered(&gate)];
    for _ in 1..DEEPEST {
        let inner = entered_within(&gate, leases[leases.len() - 1].within());
        leases.push(inner);
    }
    let within = leases[leases.len() - 1].within().clone();
    assert!(matches!(
        poll(pin!(gate.enter_owned(within))),
        Poll::Ready(Err(Refusal::TooDeep))
    ));
}

#[test]
fn a_replaced_tenant_lingers_until_its_pending_calls_have_ended() {
    let gate = gate_on(1);
    let old = entered(&gate);
    let Some(leaving) = gate.replace(Some(numbered(2))) else {
        panic!("there was a tenant");
    };
    let new = entered(&gate);
    assert_eq!(
        (old.tenant().number(), new.tenant().number()),
        (1, 2),
        "each stays with its own"
    );
    let Err(mut leaving) = leaving.into_tenant() else {
        panic!("a call is pending inside");
    };
    assert_eq!(leaving.inside().len(), 1, "the other one is inside another");
    drop(new);
    drop(closed(&gate));
    drop(old);
    assert_eq!(leaving.inside(), []);
    let Ok(tenant) = leaving.into_tenant() else {
        panic!("nobody is inside");
    };
    assert_eq!(tenant.0, 1);
}

#[test]
fn a_call_from_inside_of_a_replaced_tenant_is_held_back_like_all_others() {
    let gate = gate_on(1);
    let old = entered(&gate);
    let leaving = gate.replace(Some(numbered(2)));
    let closed = closed(&gate);
    assert!(poll(pin!(gate.enter_owned(old.within().clone()))).is_pending());
    drop(closed);
    assert_eq!(entered_within(&gate, old.within()).tenant().number(), 2);
    drop((old, leaving));
}

#[test]
fn a_gate_with_nothing_behind_it_refuses_pending_calls() {
    let gate = Gate::<Numbered>::new();
    assert!(matches!(
        poll(pin!(gate.enter_owned(Within::default()))),
        Poll::Ready(Err(Refusal::Vacant))
    ));
}

#[test]
fn a_thread_knows_what_it_runs_within() {
    let gate = gate_on(1);
    let lease = entered(&gate);
    assert!(!super::super::is_inside_any());
    {
        let _began = lease.within().begin();
        assert!(super::super::is_inside_any());
        assert!(Within::current().holds(&gate, lease.tenant()));
    }
    assert!(!super::super::is_inside_any());
}

#[test]
fn pending_calls_are_counted() {
    let gate = gate_on(1);
    let tally = Arc::clone(gate.tenant().expect("there is one").tally());
    // One that turns back is none.
    drop(entered(&gate));
    let mut lease = entered(&gate);
    lease.is_a_call();
    let numbers = tally.numbers();
    assert_eq!((numbers.calls, numbers.in_flight), (0, 1));
    drop(lease);
    let numbers = tally.numbers();
    assert_eq!((numbers.calls, numbers.in_flight), (1, 0));
    assert_eq!(numbers.latency.count(), 1);
}
