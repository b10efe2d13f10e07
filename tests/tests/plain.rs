//! Plain types: a typed call with them takes nothing from the heap, whatever it goes through.

use host::Handle;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};
use tests::{Artifact, Scene};

#[path = "../guests/interfaces/sums.rs"]
mod sums;
use sums::Sums;

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// Counts what each thread takes.
struct Counting;

#[expect(unsafe_code, reason = "an allocator is written so")]
// SAFETY: It passes everything on to the system's allocator, and touches a thread-local without a destructor only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        // SAFETY: As the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: As the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_call_with_plain_types_takes_nothing_from_the_heap() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("adder"));
    let adder: Handle<dyn Sums> = host.handle("adder").expect("a handle");
    let all = [0.5; 100];
    let call = || {
        assert_eq!(adder.add(2, 3), Ok(5));
        assert_eq!(adder.sum(&all), Ok(50.0));
        assert_eq!(adder.length("four"), Ok(4));
        assert_eq!(adder.left(5, 4), Ok(Some(1)));
    };
    // The thread's first call makes its pin on the gate.
    call();
    let before = TAKEN.get();
    for _ in 0..1000 {
        call();
    }
    assert_eq!(TAKEN.get() - before, 0);
    // And it does count.
    drop(vec![1]);
    assert_eq!(TAKEN.get() - before, 1);
}
