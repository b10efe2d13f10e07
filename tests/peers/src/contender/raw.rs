//! Raw: a function pointer into a library, with nothing before it. The floor for everything that can be swapped.

use super::{Caller, Contender, Who};
use crate::library::Adder;
use anyhow::Result;
use std::{hint::black_box, sync::Arc};

/// The contender: the plain function.
pub(crate) struct Raw(pub(crate) Arc<Adder>);

/// The contender: the function as a typed call has it, with a status beside the value.
pub(crate) struct RawStatus(pub(crate) Arc<Adder>);

impl Contender for Raw {
    fn who(&self) -> Who {
        Who::Raw
    }

    fn what(&self) -> String {
        "raw function pointer into a library".to_owned()
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        let add = black_box(self.0.add);
        Ok(Box::new(add))
    }
}

impl Contender for RawStatus {
    fn who(&self) -> Who {
        Who::RawStatus
    }

    fn what(&self) -> String {
        "raw function pointer, status and value returned".to_owned()
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        let add = black_box(self.0.add_with_status);
        Ok(Box::new(
            #[inline(always)]
            move |a, b| {
                let returned = add(a, b);
                assert_eq!(returned.status, 0, "adder has no failure");
                returned.value
            },
        ))
    }
}
