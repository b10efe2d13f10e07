//! One function in a library, without a contract: what most contenders call.
//!
//! The same compiler builds the library and its caller, so plain Rust functions serve: hot-lib-reloader asks for them.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

/// What a function gives that may fail: in two registers.
#[repr(C)]
pub struct Returned {
    /// 0 when all is well.
    pub status: u64,
    /// What it has found.
    pub value: u64,
}

/// A number that tells one build from another: it is found in the file behind this mark, and written over there.
static BUILD: [AtomicU64; 2] = [AtomicU64::new(0x6275_696c_642d_6e6f), AtomicU64::new(0)];

/// The sum.
#[unsafe(no_mangle)]
pub fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

/// The sum, and that all is well; it panics where there is none, as the plugin's method does.
#[unsafe(no_mangle)]
pub extern "C" fn add_with_status(a: u64, b: u64) -> Returned {
    Returned {
        status: 0,
        value: a.checked_add(b).expect("the sum fits"),
    }
}

/// Which build this is.
#[unsafe(no_mangle)]
pub fn build() -> u64 {
    // Nothing in here ever writes it, which the optimiser must not know.
    black_box(&BUILD)[1].load(Ordering::Relaxed)
}
