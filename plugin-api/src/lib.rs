//! What a plugin author depends on: the contract with the host, and the attributes that implement it.
//!
//! A plugin is a library with `crate-type = ["cdylib"]` that depends on this crate alone. Its state is a struct, its
//! methods are an `impl` block:
//!
//! ```
//! /// A counter.
//! #[plugin_api::state(schema = 1)]
//! #[derive(Default)]
//! struct Counter {
//!     total: u64,
//! }
//!
//! #[plugin_api::plugin(name = "counter")]
//! impl Counter {
//!     /// Adds `by` and returns the new total.
//!     fn add(&mut self, by: u64) -> u64 {
//!         self.total += by;
//!         self.total
//!     }
//!
//!     /// The total so far.
//!     fn total(&self) -> u64 {
//!         self.total
//!     }
//! }
//! # fn main() {
//! let mut counter = Counter::default();
//! assert_eq!(counter.add(5), 5);
//! assert_eq!(counter.total(), 5);
//! # }
//! ```
//!
//! `cargo build` makes a library that a running host loads, and swaps for the next build of it: calls go on, and the
//! state goes over. That is the whole story of a plugin whose state keeps its shape; the rest of it is told where it
//! belongs:
//!
//! | an author wants | and finds it at |
//! |---|---|
//! | methods, arguments, results, `new` and `attach` | [`plugin`](macro@plugin) |
//! | state that changes its shape from one version to the next | [`state`](macro@state), [`State`] |
//! | structs and enums as arguments and results | [`data`](macro@data) |
//! | calls with plain types, from a service or another plugin | [`interface`](macro@interface), [`Handle`] |
//! | data that changes while the plugin runs | [`dataset`](macro@dataset), [`Dataset`] |
//! | other plugins, timers, jobs, the clock, randomness | [`Context`] |
//! | methods that wait without a thread: `async fn` | [`plugin`](macro@plugin), [`Context`] |
//! | log records | [`info!`](macro@info) and its siblings, or the `tracing` and `log` crates as usual |
//!
//! # Limits
//! A panic in a method is caught and answered as a fault of that call; that is why a host refuses a plugin built with
//! `panic = "abort"`. A panic while another one unwinds (in a `Drop`, say) ends the process, as everywhere in Rust.
//!
//! This crate knows nothing of files, slots, swaps or generations: those are the host's.

#[cfg(test)]
extern crate self as plugin_api;

mod guard;

pub mod contract;
pub mod manifest;

mod adapter;
#[expect(unsafe_code, reason = "a union, and faults freed where they were made")]
mod answered;
mod arguments;
#[expect(
    unsafe_code,
    reason = "reaches the author's value from functions that are given its address"
)]
mod body;
#[expect(unsafe_code, reason = "drops a value out of its place")]
mod content;
mod context;
mod crossing;
mod data;
#[expect(unsafe_code, reason = "looks at what the host keeps")]
mod dataset;
mod export;
#[expect(unsafe_code, reason = "addresses that go from thread to thread")]
mod face;
#[expect(unsafe_code, reason = "is called back with addresses")]
mod handle;
mod interface;
mod job;
#[expect(unsafe_code, reason = "addresses that go from thread to thread")]
mod lens;
mod logging;
mod pending;
mod result;
mod rope;
mod state;
mod task;
#[cfg(test)]
#[expect(unsafe_code, reason = "looks at a test's counter")]
mod testing;

pub use content::{Content, Form};
pub use context::{AsyncCall, CallError, Context, Timer};
pub use contract::FaultKind;
pub use crossing::{Crossing, Plain};
pub use dataset::{Dataset, Look};
pub use handle::Handle;
pub use interface::Interface;
pub use job::Job;
pub use plugin_api_macros::{data, dataset, interface, plugin, state};
pub use state::State;

pub use log;
pub use serde;
pub use serde_json;
pub use tracing::{
    self, debug, debug_span, error, error_span, info, info_span, trace, trace_span, warn, warn_span,
};

/// What the attributes' output is written in; it may change with any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::adapter::{
        Beginning, Plugin, Stateful, Stateless, begin, not_async, unknown_method,
    };
    pub use crate::answered::Answered;
    pub use crate::arguments::{Argument, Signature, read};
    pub use crate::body::{exclusive, shared};
    pub use crate::content::{Read, from_json, is_name, readable};
    pub use crate::contract::{Object, Offer};
    pub use crate::crossing::{Lent, plain};
    pub use crate::data::field;
    pub use crate::export::{LibHeader, PANIC_ABORT, PANIC_UNWIND, header, parts};
    pub use crate::interface::{Called, Entrance, OfferedBy};
    pub use crate::pending::{Work, work};
    pub use crate::result::{Reason, Returned, refused, written};
    pub use crate::rope::{Rope, text as rope_text};
    pub use crate::state::{
        Outcome, load_current, load_older, no_downgrade, no_migrate, save_current, save_older,
    };
    pub use abi_stable::std_types::RVec;
}
