//! A contender: one way to reach `add(u64, u64) -> u64` in code that can be swapped, each at its best and in a file of its own.

mod arc_swap;
mod direct;
pub(crate) mod gate;
pub(crate) mod hot_lib_reloader;
mod luajit;
pub(crate) mod ours;
mod raw;
mod rwlock;
pub(crate) mod unix_socket;
mod wasmtime;

use crate::{builds::Libraries, library::Adder};
use anyhow::Result;
use std::{arch::asm, hint::black_box, sync::Arc};

/// Where a loop of calls can lie: at so many distances from a cache line's beginning.
pub(crate) const PLACEMENTS: usize = 4;

/// Who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Direct,
    Raw,
    RawStatus,
    Gate,
    Ours,
    OursBeside,
    OursExclusive,
    RwLock,
    ArcSwap,
    HotLibReloader,
    Wasmtime,
    LuaJit,
    UnixSocket,
}

/// One way to call.
pub(crate) trait Contender: Sync {
    /// Who it is.
    fn who(&self) -> Who;

    /// What it is, in words.
    fn what(&self) -> String;

    /// What the thread that asks calls with. Making it is not timed.
    fn caller(&self) -> Result<Box<dyn Caller + '_>>;
}

/// What one thread calls with.
pub(crate) trait Caller {
    /// Calls so often, each with the result of the call before, in a loop at this placement.
    fn chain(&mut self, placement: usize, calls: u64, first: u64) -> u64;
}

impl<F: FnMut(u64, u64) -> u64> Caller for F {
    fn chain(&mut self, placement: usize, calls: u64, first: u64) -> u64 {
        match placement % PLACEMENTS {
            0 => chain::<0, F>(self, calls, first),
            1 => chain::<16, F>(self, calls, first),
            2 => chain::<32, F>(self, calls, first),
            _ => chain::<48, F>(self, calls, first),
        }
    }
}

/// One loop for all; each contender's function is inlined into copies of its own, which begin at the beginning of a cache line
/// but for so many bytes: where a linker happens to put a loop is worth a cycle.
#[inline(never)]
#[expect(
    unsafe_code,
    reason = "an instruction that does nothing, so many times"
)]
fn chain<const FURTHER: usize, F: FnMut(u64, u64) -> u64>(
    call: &mut F,
    calls: u64,
    first: u64,
) -> u64 {
    // SAFETY: `nop` touches nothing.
    unsafe {
        asm!(".p2align 6, 0x90", ".skip {further}, 0x90", further = const FURTHER, options(nomem, nostack, preserves_flags));
    };
    let one = black_box(1);
    let mut value = first;
    for _ in 0..calls {
        value = call(value, one);
    }
    value
}

/// All of them, in the order of the table.
pub(crate) fn all(libraries: &Libraries) -> Result<Vec<Box<dyn Contender>>> {
    let adder = Arc::new(Adder::load(&libraries.adder)?);
    let host = Arc::new(ours::Ours::start(libraries)?);
    // Nobody calls a `&mut self` method there.
    let another = Arc::new(ours::Ours::start(libraries)?);
    Ok(vec![
        Box::new(direct::Direct),
        Box::new(raw::Raw(Arc::clone(&adder))),
        Box::new(raw::RawStatus(Arc::clone(&adder))),
        Box::new(gate::BehindGate::new(Arc::clone(&adder))),
        Box::new(ours::Shared(Arc::clone(&host))),
        Box::new(ours::Beside(another)),
        Box::new(ours::Exclusive(host)),
        Box::new(rwlock::BehindRwLock::new(Arc::clone(&adder))),
        Box::new(arc_swap::BehindArcSwap::new(adder)),
        Box::new(hot_lib_reloader::HotLibReloader::new(&libraries.adder)?),
        Box::new(wasmtime::Wasmtime::new()?),
        Box::new(luajit::LuaJit),
        Box::new(unix_socket::UnixSocket::start()?),
    ])
}
