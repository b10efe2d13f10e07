//! Staying: what is held for the length of a call, or while it is looked at, is not taken out before.
//!
//! Entries of hot data are held so. Here a cell stands for what they hold: the call reads it without a lock, and the
//! keeper writes to it once it takes it out.

use crate::{
    gate::{Gate, Stay},
    stage::{CALL, LONG, Watched, check, join, warm_up},
    sync::{AtomicU32, Mutex, Ordering},
};
use loom::cell::UnsafeCell;
use std::sync::Arc;

struct Held {
    /// Whose call holds it; `None` once it is taken out.
    stay: Mutex<Option<Stay>>,
    looks: AtomicU32,
    cell: UnsafeCell<()>,
}

impl Held {
    fn new() -> Arc<Self> {
        Arc::new(Held {
            stay: Mutex::default(),
            looks: AtomicU32::new(0),
            cell: UnsafeCell::new(()),
        })
    }

    /// Holds it for the call that the thread is inside of.
    fn hold(&self, gate: &Gate<Watched>) {
        let stay = gate.gate_id().stay().expect("the thread is inside");
        stay.keep(&mut self.stay.lock());
    }

    /// The same, if it is there yet.
    fn share(&self, gate: &Gate<Watched>) -> bool {
        let mut stay = self.stay.lock();
        if stay.is_some() {
            let call = gate.gate_id().stay().expect("the thread is inside");
            call.keep(&mut stay);
        }
        stay.is_some()
    }

    fn begin_look(&self) {
        self.looks.store(1, Ordering::Release);
        self.cell.with(|_| ());
    }

    fn end_look(&self) {
        self.cell.with(|_| ());
        self.looks.store(0, Ordering::Release);
    }

    /// What the keeper does. Says whether it took it out.
    fn take_free(&self) -> bool {
        let mut stay = self.stay.lock();
        let is_free =
            stay.as_ref().is_some_and(Stay::is_over) && self.looks.load(Ordering::Acquire) == 0;
        if is_free {
            self.cell.with_mut(|_| ());
            *stay = None;
        }
        is_free
    }
}

/// Two threads, three preemptions.
#[test]
fn what_a_call_looks_at_is_there_until_the_call_ends() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let held = Held::new();
        let keeps = Arc::clone(&held);
        let keeper = stage.start(move |_| keeps.take_free() || keeps.take_free());
        let called = stage.gate.pass(LONG, CALL, |_| {
            held.hold(&stage.gate);
            for _ in 0..2 {
                held.begin_look();
                held.end_look();
            }
        });
        called.expect("it is open");
        let was_taken = join(keeper);
        assert_eq!(held.take_free(), !was_taken, "once, by now");
    });
}

/// Two threads, three preemptions.
#[test]
fn what_is_looked_at_beyond_its_call_is_there_until_the_look_ends() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let held = Held::new();
        let keeps = Arc::clone(&held);
        let keeper = stage.start(move |_| keeps.take_free() || keeps.take_free());
        let called = stage.gate.pass(LONG, CALL, |_| {
            held.hold(&stage.gate);
            held.begin_look();
        });
        called.expect("it is open");
        held.end_look();
        let was_taken = join(keeper);
        assert_eq!(held.take_free(), !was_taken, "once, by now");
    });
}

/// Two threads, three preemptions. The second call takes over what the first one held, unless it is gone.
#[test]
fn the_next_call_holds_what_it_shares() {
    check(3, |stage| {
        warm_up(&stage.gate, 0);
        let held = Held::new();
        let first = stage.gate.pass(LONG, CALL, |_| held.hold(&stage.gate));
        first.expect("it is open");
        let keeps = Arc::clone(&held);
        let keeper = stage.start(move |_| keeps.take_free());
        let second = stage.gate.pass(LONG, CALL, |_| {
            if held.share(&stage.gate) {
                held.begin_look();
                held.end_look();
            }
        });
        second.expect("it is open");
        let was_taken = join(keeper);
        assert_eq!(held.take_free(), !was_taken, "once, by now");
    });
}
