//! The gate beside a bare function pointer and a plain lock: at one thread, at two, nested, and by the door.
//!
//! ```text
//! cargo bench -p host --bench gate
//! ```

#![allow(missing_docs, reason = "criterion's macros write functions without")]

/// The gate's own source, since it is private.
#[path = "../src"]
mod sources {
    #[allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "the host uses all of it"
    )]
    pub(crate) mod gate;
}
mod threads;

use criterion::{Criterion, criterion_group, criterion_main};
use parking_lot::RwLock;
use sources::gate::{Call, Gate, Tally, Tenant};
use std::{
    hint::black_box,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};
use threads::together;

/// What is called, as far as the gate is told.
const CALL: Call = Call::of(0, false);
/// How long anybody waits.
const LIMIT: Duration = Duration::from_secs(60);

/// A function, behind a gate.
struct Adder {
    add: fn(u64, u64) -> u64,
    tally: Arc<Tally>,
}

impl Tenant for Adder {
    type View = Self;

    fn views(&self) -> [&Self; 2] {
        [self; 2]
    }

    fn number(&self) -> u64 {
        1
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

#[inline(never)]
fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

fn adder() -> Arc<Adder> {
    Arc::new(Adder {
        add: black_box(add as fn(u64, u64) -> u64),
        tally: Arc::default(),
    })
}

fn open_gate() -> Gate<Adder> {
    let gate = Gate::new();
    // Nothing was behind it, so nobody leaves.
    drop(gate.replace(Some(adder())));
    gate
}

/// Goes through the gate to do this: all that knows how a gate is used.
#[inline(always)]
fn pass<R>(gate: &Gate<Adder>, inside: impl FnOnce(&Adder) -> R) -> R {
    gate.pass(LIMIT, CALL, inside).expect("the gate is open")
}

/// A function that feeds its result to itself at the next call.
fn chained(call: impl Fn(u64, u64) -> u64) -> impl FnMut() {
    let (mut value, one) = (0, black_box(1));
    move || value = call(value, one)
}

fn one_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one thread");
    let (adder, lock, gate) = (adder(), RwLock::new(adder()), open_gate());
    group.bench_function("function pointer", |bench| bench.iter(chained(adder.add)));
    group.bench_function("lock", |bench| {
        bench.iter(chained(|a, b| (lock.read().add)(a, b)))
    });
    group.bench_function("gate", |bench| {
        bench.iter(chained(|a, b| pass(&gate, move |adder| (adder.add)(a, b))));
    });
    group.bench_function("gate, nested in a lease", |bench| {
        pass(&gate, |_| {
            bench.iter(chained(|a, b| pass(&gate, move |adder| (adder.add)(a, b))));
        });
    });
    group.finish();
}

/// A call that lasts keeps a swap waiting: everybody else goes by the door meanwhile.
fn by_the_door(criterion: &mut Criterion) {
    let gate = open_gate();
    let (inside, is_inside) = mpsc::channel();
    let (leave, leaves) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let gate = &gate;
        scope.spawn(move || {
            pass(gate, |_| {
                inside.send(()).expect("it is waited for");
                // It ends when the other end is dropped.
                let _ended = leaves.recv();
            });
        });
        is_inside.recv().expect("the gate is open");
        scope.spawn(move || drop(gate.close(Instant::now() + LIMIT, Duration::from_millis(2))));
        // The bias is gone when a caller is slow all at once; a moment is more than enough for it.
        thread::sleep(Duration::from_millis(100));
        criterion.bench_function("one thread/gate, by the door", |bench| {
            bench.iter(chained(|a, b| pass(gate, move |adder| (adder.add)(a, b))));
        });
        drop(leave);
    });
}

fn two_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("two threads");
    let (adder, lock, gate) = (adder(), RwLock::new(adder()), open_gate());
    group.bench_function("function pointer", |bench| {
        bench.iter_custom(|times| together(times, || chained(adder.add)));
    });
    group.bench_function("lock", |bench| {
        bench.iter_custom(|times| together(times, || chained(|a, b| (lock.read().add)(a, b))));
    });
    group.bench_function("gate", |bench| {
        bench.iter_custom(|times| {
            together(times, || {
                chained(|a, b| pass(&gate, move |adder| (adder.add)(a, b)))
            })
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = one_thread, by_the_door, two_threads
}
criterion_main!(benches);
