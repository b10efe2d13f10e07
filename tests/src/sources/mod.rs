//! Sources under trial: real servers, a proxy that fails as networks do, and what every kind of source has to go through.
//!
//! Each kind has a file here, with a [`Truth`]: the server it runs, and how a test changes what stands there.

#[cfg(feature = "sources")]
pub mod certificates;
pub mod latencies;
#[cfg(feature = "sources")]
pub mod postgres;
mod proxy;
mod server;
#[cfg(feature = "sources")]
pub mod sqlite;
pub mod standing;
pub mod trial;

pub use proxy::Proxy;
pub use server::{Server, as_nobody, free_port};
pub use trial::Truth;
