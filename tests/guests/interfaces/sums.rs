//! The interface that `adder` offers.

/// Sums.
#[plugin_api::interface]
pub(crate) trait Sums {
    /// Adds.
    fn add(&self, a: u64, b: u64) -> u64;
    /// The sum of all.
    fn sum(&self, of: &[f64]) -> f64;
    /// How long it is.
    fn length(&self, of: &str) -> usize;
    /// Whether it fits, and what is left then.
    fn left(&self, of: u32, take: u32) -> Option<u32>;
}
