//! An interface with methods that run beside one another, and one that runs alone.

/// Two numbers that are the same, but for the moment of a change.
#[plugin_api::interface]
pub(crate) trait Twins {
    /// Whether they are the same.
    fn are_equal(&self) -> bool;
    /// Stays inside until the socket `at` hangs up.
    fn hold(&self, at: &str) -> Result<(), String>;
    /// Adds one to both, one after the other; gives the sum.
    fn change(&mut self) -> u64;
}
