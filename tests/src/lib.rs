//! The stage for end-to-end tests: artifacts to load, scenes to load them in, and eyes for what a process looks like.
//!
//! The plugins are this package's examples: *guests* behave and ask a lot, *misfits* have one fault each. Tests run
//! against the library in their own process ([`Scene`]), or against the program `host` in another ([`Program`]).
//!
//! Besides the tests there are tools that [measure]: `soak`, `latency` and `mainjob`, programs of this package.
//!
//! Tests wait for what they wait for, with a [`LIMIT`] beyond which they fail; they never wait for time to pass.

mod artifact;
mod built;
mod callers;
mod hold;
mod http;
pub mod measure;
pub mod process;
mod program;
mod scene;
pub mod sources;
mod waiting;

pub use artifact::Artifact;
pub use built::{Profile, examples, library, plugin, program, repository, target_dir};
pub use callers::{Callers, Tally};
pub use hold::{Hold, Inside};
pub use http::{Answer, Connection, request};
pub use program::{Output, Program};
pub use scene::{Scene, number};
pub use waiting::{LIMIT, event, until};
