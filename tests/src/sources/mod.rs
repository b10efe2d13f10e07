//! Sources under trial: real servers, a proxy that fails as networks do, and what every kind of source has to go through.
//!
//! Each kind has a file here, with a [`Truth`]: the server it runs, and how a test changes what stands there.

#[cfg(feature = "sources")]
pub mod certificates;
#[cfg(feature = "sources")]
pub mod kafka;
pub mod latency;
mod proxy;
#[cfg(feature = "sources")]
pub mod rabbitmq;
#[cfg(feature = "sources")]
pub mod redis;
mod server;
pub mod trial;

pub use latency::{Latencies, Measure};
pub use proxy::Proxy;
pub use server::{Server, Serves, as_nobody, free_port};
pub use trial::Truth;

/// The kinds that are measured.
#[cfg(feature = "sources")]
pub const MEASURED: &[(&str, Measure)] = &[
    ("kafka", kafka::latencies),
    ("rabbitmq", rabbitmq::latencies),
    ("redis, tracked", redis::tracked_latencies),
    ("redis, on a channel", redis::published_latencies),
];
