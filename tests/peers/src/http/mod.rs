//! HTTP: a client that costs little, and the two servers it asks, each a process of its own.

pub(crate) mod axum;
pub(crate) mod client;
pub(crate) mod ours;
