//! Guarding: a call that is made alone has nobody beside it, not even those who pass without the lock.

use crate::{
    gate::{Call, Fences, Gate, Openness, Tally, Tenant},
    stage::{CALL, LONG, join},
    sync::{Instant, RwLock},
};
use loom::{
    cell::UnsafeCell,
    model::Builder,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use std::{sync::Arc, time::Duration};

/// A method that is called alone.
const ALONE: Call = Call::of(1, true);

/// What pins show: the way past the lock, or the way to it.
static PAST: &str = "past the lock";
static TO: &str = "to the lock";

/// A tenant with a lock between its calls. The checker stops where a change has anything beside it.
struct Locked {
    number: u64,
    tally: Arc<Tally>,
    openness: Openness,
    lock: RwLock<()>,
    /// What calls look at, and those that are made alone change; not there where a fault is not to stop the checker.
    object: Option<UnsafeCell<()>>,
    /// Whether it is half changed.
    is_half_changed: AtomicBool,
}

impl Locked {
    fn new(number: u64, strictly: bool) -> Arc<Self> {
        Arc::new(Locked {
            number,
            tally: Arc::default(),
            openness: Openness::default(),
            lock: RwLock::new(()),
            object: strictly.then(|| UnsafeCell::new(())),
            is_half_changed: AtomicBool::new(false),
        })
    }

    /// What a call does beside others. Says whether all is well.
    fn look(&self) -> bool {
        if let Some(object) = &self.object {
            object.with(|_| ());
        }
        !self.is_half_changed.load(Ordering::Relaxed)
    }

    /// What a call does alone.
    fn change(&self) {
        self.is_half_changed.store(true, Ordering::Relaxed);
        if let Some(object) = &self.object {
            object.with_mut(|_| ());
        }
        self.is_half_changed.store(false, Ordering::Relaxed);
    }
}

impl Tenant for Locked {
    type View = &'static str;

    fn views(&self) -> [&&'static str; 2] {
        let shown = if self.openness.is_open() { &PAST } else { &TO };
        [shown; 2]
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    fn openness(&self) -> Option<&Openness> {
        Some(&self.openness)
    }
}

/// Runs a model in every order that needs at most so many preemptions, with a tenant that is open, and a caller who passes.
fn check(preemptions: usize, model: impl Fn(&Arc<Gate<Locked>>) + Send + Sync + 'static) {
    check_with(Fences::OnEach, true, preemptions, model);
}

fn check_with(
    fences: Fences,
    strictly: bool,
    preemptions: usize,
    model: impl Fn(&Arc<Gate<Locked>>) + Send + Sync + 'static,
) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    builder.check(move || {
        let gate = Arc::new(Gate::with_fences(fences));
        assert!(gate.replace(Some(Locked::new(1, strictly))).is_none());
        beside(&gate);
        open(&gate);
        beside(&gate);
        assert!(
            beside(&gate).passed,
            "it is open, and so goes past the lock"
        );
        model(&gate);
    });
}

fn start<R: 'static>(
    gate: &Arc<Gate<Locked>>,
    role: impl FnOnce(&Gate<Locked>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let gate = Arc::clone(gate);
    thread::spawn(move || role(&gate))
}

/// What became of a call beside others.
struct Beside {
    /// Whether it went past the lock.
    passed: bool,
    is_well: bool,
}

/// Calls beside others.
fn beside(gate: &Gate<Locked>) -> Beside {
    let passed = gate.pass_by_table(
        CALL,
        |here| (*here.view() == PAST).then_some(()),
        |here, (), ()| here.tenant().look(),
        (),
    );
    let is_well = passed.or_else(|()| {
        gate.pass(LONG, CALL, |tenant| {
            let _side = tenant.lock.try_read_for(LONG);
            tenant.look()
        })
    });
    Beside {
        passed: passed.is_ok(),
        is_well: is_well.expect("it is open to callers"),
    }
}

/// Calls alone as the host's lock does, if nobody passes any more before that moment. Says whether it has.
fn alone_until(gate: &Gate<Locked>, deadline: Instant) -> bool {
    let called = gate.pass(LONG, ALONE, |tenant| {
        loop {
            let openness = &tenant.openness;
            if !openness.is_guarded() && !gate.guard(tenant, deadline) {
                return false;
            }
            let _side = tenant.lock.try_write_for(LONG);
            if openness.is_guarded() {
                tenant.change();
                return true;
            }
        }
    });
    called.expect("it is open to callers")
}

fn alone(gate: &Gate<Locked>) {
    let was_alone = alone_until(gate, Instant::now() + LONG);
    assert!(was_alone, "there is time enough");
}

/// Opens it again, as a tick does.
fn open(gate: &Gate<Locked>) {
    let tenant = gate.tenant().expect("somebody is there");
    let opened = tenant.lock.try_read().map(|_side| tenant.openness.open());
    if opened == Some(true) {
        gate.send_aside();
    }
}

/// Two threads, three preemptions.
#[test]
fn nobody_passes_beside_a_call_that_is_made_alone() {
    check(3, |gate| {
        let calling = start(gate, alone);
        beside(gate);
        beside(gate);
        join(calling);
        assert!(!beside(gate).passed, "it is guarded");
    });
}

/// Three threads, two preemptions.
#[test]
fn two_that_are_to_be_alone_take_turns() {
    check(2, |gate| {
        let one = start(gate, alone);
        let other = start(gate, alone);
        beside(gate);
        join(one);
        join(other);
    });
}

/// Two threads, three preemptions. The caller passes, and goes on to a call that is to be made alone.
#[test]
fn who_passes_and_then_is_to_be_alone_is_not_waited_for_in_vain() {
    check(3, |gate| {
        let calling = start(gate, alone);
        beside(gate);
        alone(gate);
        join(calling);
    });
}

/// Three threads, two preemptions.
#[test]
fn a_tenant_that_is_opened_again_meanwhile_has_nobody_beside_a_call_either() {
    check(2, |gate| {
        let calling = start(gate, |gate| {
            alone(gate);
            alone(gate);
        });
        let opening = start(gate, open);
        beside(gate);
        beside(gate);
        join(calling);
        join(opening);
    });
}

/// Two threads, two preemptions. A caller whose pin is not on the list yet when others are sent to the lock.
#[test]
fn a_threads_first_calls_have_nobody_alone_beside_them() {
    check(2, |gate| {
        let calling = start(gate, |gate| {
            beside(gate);
            beside(gate);
        });
        alone(gate);
        join(calling);
    });
}

/// Two threads, three preemptions.
#[test]
fn who_has_no_time_to_be_alone_calls_nothing_and_leaves_it_open() {
    check(3, |gate| {
        let calling = start(gate, |gate| alone_until(gate, Instant::now()));
        beside(gate);
        let was_alone = join(calling);
        beside(gate);
        assert_eq!(beside(gate).passed, !was_alone);
    });
}

/// Three threads, one preemption.
#[test]
fn who_has_closed_the_gate_has_neither_kind_of_call_beside_him() {
    check(1, |gate| {
        let calling = start(gate, alone);
        let swapping = start(gate, |gate| {
            let closed = gate.close(Instant::now() + LONG, Duration::from_secs(1));
            let closed = closed.expect("it closes in the end");
            gate.tenant().expect("somebody is there").change();
            drop(closed);
        });
        beside(gate);
        join(calling);
        join(swapping);
    });
}

/// Three threads, two preemptions. Who calls alone may be inside of either tenant.
#[test]
fn a_tenant_that_is_replaced_meanwhile_has_nobody_beside_a_call_either() {
    check(2, |gate| {
        let calling = start(gate, alone);
        let replacing = start(gate, |gate| {
            // What somebody is inside of stays where it is.
            drop(gate.replace(Some(Locked::new(2, true))));
            open(gate);
        });
        beside(gate);
        beside(gate);
        join(calling);
        join(replacing);
    });
}

/// Three threads, two preemptions. One has no time, one has, and it is opened in between.
#[test]
fn who_gives_up_lets_nobody_in_beside_another() {
    check(2, |gate| {
        let giving_up = start(gate, |gate| alone_until(gate, Instant::now()));
        let calling = start(gate, |gate| {
            alone(gate);
            open(gate);
        });
        beside(gate);
        join(giving_up);
        join(calling);
    });
}

/// Two threads, two preemptions. With [`Fences::OnTheOne`] callers leave the fence to `membarrier`, which does nothing in a
/// model.
#[test]
fn guarding_needs_the_callers_fence() {
    let is_found = |fences| {
        let found = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let finds = Arc::clone(&found);
        check_with(fences, false, 2, move |gate| {
            let calling = start(gate, alone);
            if !beside(gate).is_well {
                finds.store(true, Ordering::Relaxed);
            }
            join(calling);
        });
        found.load(Ordering::Relaxed)
    };
    assert!(is_found(Fences::OnTheOne));
    assert!(!is_found(Fences::OnEach));
}
