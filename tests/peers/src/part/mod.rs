//! The parts of a run: each measures one thing, tells it in tables, and fills in its ratios.

pub(crate) mod calls;
pub(crate) mod http;
pub(crate) mod pause;
pub(crate) mod swap;
