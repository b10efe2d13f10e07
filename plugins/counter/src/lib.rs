//! The smallest plugin with state: it counts, and goes on counting across swaps.
//!
//! ```text
//! host call counter add 5
//! curl -d 5 127.0.0.1:7878/call/counter/add
//! host call counter total
//! ```

/// A counter.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin]
impl Counter {
    /// Adds `by` and returns the new total.
    fn add(&mut self, by: u64) -> u64 {
        self.total = self.total.saturating_add(by);
        self.total
    }

    /// The total so far.
    fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn what_was_added_is_in_the_total() {
        let mut counter = Counter::default();
        assert_eq!(counter.add(2), 2);
        assert_eq!(counter.add(3), 5);
        assert_eq!(counter.total(), 5);
    }
}
