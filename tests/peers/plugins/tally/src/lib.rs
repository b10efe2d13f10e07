//! The same function as a method that runs alone.

/// Counts the sums it has made.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Tally {
    sums: u64,
}

#[plugin_api::plugin]
impl Tally {
    /// The sum.
    fn add(&mut self, a: u64, b: u64) -> u64 {
        self.sums += 1;
        a.wrapping_add(b)
    }
}
