//! LuaJIT: a Lua function called through mlua, a Lua state for each thread. Its numbers are doubles: exact up to 2^53.

use super::{Caller, Contender, Who};
use anyhow::{Result, anyhow};
use mlua::{Function, Lua};

/// The contender.
pub(crate) struct LuaJit;

impl Contender for LuaJit {
    fn who(&self) -> Who {
        Who::LuaJit
    }

    fn what(&self) -> String {
        format!(
            "LuaJIT through mlua {}, a state per thread",
            crate::machine::version_of("mlua")
        )
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        let lua = Lua::new();
        let add: Function = lua
            .load("return function(a, b) return a + b end")
            .eval()
            .map_err(|error| anyhow!("{error}"))?;
        Ok(Box::new(
            #[inline(always)]
            move |a: u64, b: u64| {
                // The function does not keep its state alive.
                let _state = &lua;
                add.call::<u64>((a, b)).expect("addition does not fail")
            },
        ))
    }
}
