//! Sources under trial: real servers, a proxy that fails as networks do, and what every kind of source has to go through.
//!
//! Each kind has a file here, with a [`Truth`]: the server it runs, and how a test changes what stands there.

#[cfg(feature = "sources")]
pub mod certificates;
pub mod faults;
#[cfg(feature = "sources")]
pub mod kafka;
pub mod latency;
#[cfg(feature = "sources")]
pub mod postgres;
mod proxy;
#[cfg(feature = "sources")]
pub mod rabbitmq;
#[cfg(feature = "sources")]
pub mod redis;
mod server;
#[cfg(feature = "sources")]
pub mod sqlite;
pub mod standing;
pub mod trial;

pub use faults::{Count, Counts};
pub use latency::{Latencies, Measure};
pub use proxy::Proxy;
pub use server::{Server, Serves, as_nobody, free_port};
pub use trial::Truth;

/// A kind of source, and what is measured of it.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Its name.
    pub kind: &'static str,
    /// How long changes take.
    pub latencies: Measure,
    /// What becomes of changes while everything goes wrong.
    pub faults: Count,
}

/// The kinds that are measured.
#[cfg(feature = "sources")]
pub const MEASURED: &[Measured] = &[
    Measured {
        kind: "kafka",
        latencies: kafka::latencies,
        faults: kafka::faults,
    },
    Measured {
        kind: "postgres",
        latencies: postgres::latencies,
        faults: postgres::faults,
    },
    Measured {
        kind: "rabbitmq",
        latencies: rabbitmq::latencies,
        faults: rabbitmq::faults,
    },
    Measured {
        kind: "redis, tracked",
        latencies: redis::tracked_latencies,
        faults: redis::tracked_faults,
    },
    Measured {
        kind: "redis, on a channel",
        latencies: redis::published_latencies,
        faults: redis::published_faults,
    },
    Measured {
        kind: "sqlite",
        latencies: sqlite::latencies,
        faults: sqlite::faults,
    },
];
