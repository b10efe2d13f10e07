//! A long-lived host for native plugins whose code is swapped while it is called.

pub mod artifact;
pub mod config;
mod error;
pub mod event;
mod host;
pub mod journal;
pub mod report;
mod step;
mod store;

pub use error::{CallError, SwapError};
pub use host::{Host, HostBuilder, Reply, RollbackTarget, examiner, vet};
pub use step::Step;
