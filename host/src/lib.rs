//! A long-lived host for native plugins whose code is swapped while it is called.
//!
//! A service embeds it through [`Host::builder`]; the program `host` is such a service. Plugins are written against the
//! crate `plugin-api`, and built with cargo; every finished build goes through a journey of [steps](Step): watch, vet,
//! load, drain, hand over, switch, unload. Whatever fails on the way changes nothing.
//!
//! Modules, in the order in which an artifact meets them: `directory` and `foreman` (what appears in the watched
//! directory), `journey` (the order of the steps), `steps`, `examiner`, `child` and `standby` (vetting in another process),
//! `foreign` (all unsafe code), `gate`, `slot` and `generation` (where callers find a plugin), `method` (calls by name),
//! `handle`, `port` and `interfaces` (calls with plain types), `async_call`, `pending` and `task` (calls that wait without a
//! thread), `tick` (what is done for threads that call), `desk` (what a plugin asks of the host), `sweeper` (the way out of
//! memory), `store` (what is kept on disk), `recovery` (how a host comes back to it). Beside it: `data` (what plugins depend on
//! that changes while they run).
//!
//! There is no global state but five things, named where they stand: the interposed functions of the C library, each
//! thread's table of its pins on gates, what each thread may spend on timing its calls, each thread's frame of the data it
//! sees, and the process's registration for memory barriers.

mod alarm;
mod announce;
pub mod artifact;
mod async_call;
mod child;
mod clock;
pub mod config;
mod core;
pub mod data;
mod deadline;
mod desk;
mod directory;
mod driver;
mod error;
pub mod event;
mod examiner;
#[expect(unsafe_code, reason = "is looked through by address")]
mod exhibit;
mod foreign;
mod foreman;
mod gate;
mod generation;
mod hand;
mod handle;
mod host;
mod interfaces;
pub mod journal;
mod journey;
mod likeness;
mod logbook;
mod method;
pub mod notices;
mod numbers;
mod pace;
mod pending;
mod port;
mod promise;
mod recovery;
pub mod release;
pub mod report;
mod slot;
mod standby;
mod status;
mod step;
mod steps;
mod store;
mod sweeper;
mod task;
mod tick;
mod turned_away;
mod vetting;
mod workers;

pub use error::{CallError, HandleError, SwapError};
pub use examiner::examiner;
pub use handle::Handle;
pub use host::{Host, HostBuilder, Reply, RollbackTarget};
pub use method::Method;
pub use step::Step;
pub use vetting::vet;

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
