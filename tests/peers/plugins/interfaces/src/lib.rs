//! What the plugins of the host offer, and their caller asks for.

/// Sums that may be made beside one another.
#[plugin_api::interface]
pub trait Adds {
    /// The sum.
    fn add(&self, a: u64, b: u64) -> u64;
    /// Keeps a processor busy for so many microseconds.
    fn busy(&self, micros: u64);
}

/// Sums that are made alone, and others of the same plugin that are not.
#[plugin_api::interface]
pub trait Tallies {
    /// The sum, counted.
    fn add(&mut self, a: u64, b: u64) -> u64;
    /// The sum.
    fn add_uncounted(&self, a: u64, b: u64) -> u64;
}
