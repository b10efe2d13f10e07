//! Faults: what the models find where a fence is missing, so that their silence means something.
//!
//! With [`Fences::OnTheOne`] the callers leave the fence to the swap's `membarrier`, which does nothing in a model.

use crate::{
    gate::{Fences, Gate},
    stage::{CALL, LONG, Stage, Watched, check_with, close, end, join, warm_up},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether a caller is found inside of a tenant that a swap has ended. Two threads, two preemptions.
fn is_found(fences: Fences, swap: fn(&Gate<Watched>, Arc<Watched>)) -> bool {
    let found = Arc::new(AtomicBool::new(false));
    let finds = Arc::clone(&found);
    check_with(fences, false, 2, move |stage: &Stage| {
        warm_up(&stage.gate, 0);
        let next = stage.tenant(2);
        let swapping = stage.start(move |gate| swap(gate, next));
        let call = stage.gate.pass(LONG, CALL, |tenant| tenant.is_gone());
        if call.expect("it opens again") {
            finds.store(true, Ordering::Relaxed);
        }
        join(swapping);
    });
    found.load(Ordering::Relaxed)
}

fn closing(gate: &Gate<Watched>, next: Arc<Watched>) {
    if let Some(left) = close(gate).open_on(Some(next)) {
        end(left);
    }
}

fn replacing(gate: &Gate<Watched>, next: Arc<Watched>) {
    if let Some(left) = gate.replace(Some(next)) {
        end(left);
    }
}

#[test]
fn closing_needs_the_callers_fence() {
    assert!(is_found(Fences::OnTheOne, closing));
    assert!(!is_found(Fences::OnEach, closing));
}

#[test]
fn replacing_needs_the_callers_fence() {
    assert!(is_found(Fences::OnTheOne, replacing));
    assert!(!is_found(Fences::OnEach, replacing));
}
