//! Direct: a function of this program that is not inlined.

use super::{Caller, Contender, Who};
use anyhow::Result;

/// The contender.
pub(crate) struct Direct;

#[inline(never)]
fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

impl Contender for Direct {
    fn who(&self) -> Who {
        Who::Direct
    }

    fn what(&self) -> String {
        "direct call, static, not inlined".to_owned()
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(add))
    }
}
