//! What a plugin author depends on: the contract with the host, and the attributes that implement it.

pub mod contract;
pub mod manifest;
