//! The same function as a method that runs alone, and as one that only minds the former.

use interfaces::Tallies;

/// Counts the sums it has made.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Tally {
    sums: u64,
}

#[plugin_api::plugin(offers(Tallies))]
impl Tally {
    /// How many sums were made.
    fn sums(&self) -> u64 {
        self.sums
    }
}

impl Tallies for Tally {
    fn add(&mut self, a: u64, b: u64) -> u64 {
        self.sums += 1;
        a.checked_add(b).expect("the sum fits")
    }

    fn add_uncounted(&self, a: u64, b: u64) -> u64 {
        a.checked_add(b).expect("the sum fits")
    }
}
