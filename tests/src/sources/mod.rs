//! Sources under trial: real servers, a proxy that fails as networks do, and what every kind of source has to go through.
//!
//! Each kind has a file here, with a [`Truth`]: the server it runs, and how a test changes what stands there.

#[cfg(feature = "sources")]
pub mod certificates;
pub mod latencies;
mod proxy;
#[cfg(feature = "sources")]
pub mod rabbitmq;
#[cfg(feature = "sources")]
pub mod redis;
mod server;
pub mod trial;

pub use latencies::Latencies;
pub use proxy::Proxy;
pub use server::{Server, as_nobody, free_port};
pub use trial::Truth;
