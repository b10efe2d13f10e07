//! arc-swap: `load`, its guard held during the call. It counts callers only in part: a swap does not know who is inside.

use super::{Caller, Contender, Who};
use crate::library::Adder;
use anyhow::Result;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The contender.
pub(crate) struct BehindArcSwap(ArcSwap<Adder>);

impl BehindArcSwap {
    pub(crate) fn new(adder: Arc<Adder>) -> Self {
        BehindArcSwap(ArcSwap::new(adder))
    }
}

impl Contender for BehindArcSwap {
    fn who(&self) -> Who {
        Who::ArcSwap
    }

    fn what(&self) -> String {
        "arc-swap, `load`".to_owned()
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        let place = &self.0;
        Ok(Box::new(
            #[inline(always)]
            move |a, b| {
                let adder = place.load();
                (adder.add)(a, b)
            },
        ))
    }
}
