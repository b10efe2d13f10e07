//! A lock: `parking_lot::RwLock<Arc<_>>`, its read side held during the call, so that a swap can wait for the callers.

use super::{Caller, Contender, Who};
use crate::library::Adder;
use anyhow::Result;
use parking_lot::RwLock;
use std::sync::Arc;

/// The contender.
pub(crate) struct BehindRwLock(RwLock<Arc<Adder>>);

impl BehindRwLock {
    pub(crate) fn new(adder: Arc<Adder>) -> Self {
        BehindRwLock(RwLock::new(adder))
    }
}

impl Contender for BehindRwLock {
    fn who(&self) -> Who {
        Who::RwLock
    }

    fn what(&self) -> String {
        "`parking_lot::RwLock<Arc<_>>`".to_owned()
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        let lock = &self.0;
        Ok(Box::new(
            #[inline(always)]
            move |a, b| {
                let adder = lock.read();
                (adder.add)(a, b)
            },
        ))
    }
}
