//! The host's gate under a model checker: its very sources, in every order that its threads can meet in.
//!
//! [loom](https://docs.rs/loom) runs a model again and again, and each time lets the threads take turns in another way,
//! and loads find another of the values that the memory orders allow. So a model that passes is more than a test that
//! passed many times: no order is left out that takes no more preemptions than the bound that each model names.
//!
//! Where a model finds a fault, a thread panics inside of the gate and the checker ends the process: the first panic is the
//! one to read, and `LOOM_LOCATION=1` has it name the places.
//!
//! What is checked are the protocols of the gate's header, with full fences on both sides. Not checked are the other kind
//! of fences (the system call `membarrier` has no model; but for who fences, the code is the same), threads past their
//! thread-locals, and the histograms of latencies.
#![cfg(test)]

#[path = "../../../host/src/gate/mod.rs"]
#[expect(dead_code, reason = "models ask less of the gate than the host does")]
mod gate;

#[expect(
    clippy::arc_with_non_send_sync,
    reason = "a model's threads are taken in turns on one thread of the system"
)]
mod stage;
mod sync;

mod closing;
mod counting;
mod faults;
#[expect(
    clippy::arc_with_non_send_sync,
    reason = "a model's threads are taken in turns on one thread of the system"
)]
mod guarding;
mod pending;
mod replacing;
#[expect(
    clippy::arc_with_non_send_sync,
    reason = "a model's threads are taken in turns on one thread of the system"
)]
mod staying;
