//! Parsed data: what a library has made of the content of datasets, and what makes it.
//!
//! Both are of use as long as the library is mapped. So each holds a *use* of it, and a library that is used is not closed.

use super::instance::PluginFault;
use abi_stable::std_types::{RResult, RSlice};
use plugin_api::contract::{Address, Fault, ParsedBox, PluginModuleRef};
use std::sync::Arc;

/// A use of a library's code.
#[derive(Clone)]
pub(super) struct Use(#[expect(dead_code, reason = "it is counted")] Arc<()>);

/// The uses of a library.
pub(super) struct Uses(Arc<()>);

impl Uses {
    /// None.
    pub(super) fn none() -> Uses {
        Uses(Arc::new(()))
    }

    /// One more.
    pub(super) fn another(&self) -> Use {
        Use(Arc::clone(&self.0))
    }

    /// Whether there is none, and none can come: they come out of one another, and of the library.
    pub(super) fn are_over(&mut self) -> bool {
        Arc::get_mut(&mut self.0).is_some()
    }
}

/// What makes values of content.
pub(crate) trait Parse: Send + Sync {
    /// Parses content for the read with this number. It runs the author's code, on this thread.
    ///
    /// # Errors
    /// The content does not fit, or is refused.
    fn parse(&self, read: u32, format: u32, content: &[u8]) -> Result<Parsed, PluginFault>;
}

/// A library that parses.
pub(crate) struct Parser {
    module: PluginModuleRef,
    of: Use,
}

impl Parser {
    pub(super) fn new(module: PluginModuleRef, of: Use) -> Parser {
        Parser { module, of }
    }
}

impl Parse for Parser {
    fn parse(&self, read: u32, format: u32, content: &[u8]) -> Result<Parsed, PluginFault> {
        match (self.module.parse())(read, format, RSlice::from_slice(content)) {
            RResult::ROk(object) => Ok(Parsed {
                object,
                _of: self.of.clone(),
            }),
            RResult::RErr(fault) => {
                Err(PluginFault(Fault::new(fault.kind, fault.message.as_str())))
            }
        }
    }
}

/// A value that a library has made. Dropping it runs the author's code.
pub(crate) struct Parsed {
    // In this order: what is made of the library is gone before the use of it.
    object: ParsedBox,
    _of: Use,
}

impl Parsed {
    /// Where the value lies, as long as this lives.
    pub(crate) fn address(&self) -> Address {
        self.object.address()
    }

    /// One that no library has made.
    #[cfg(test)]
    pub(crate) fn of_no_library(object: ParsedBox) -> Parsed {
        Parsed {
            object,
            _of: Uses::none().another(),
        }
    }
}
