//! A plugin without state that offers an interface: its generations overlap.

#[path = "interfaces/sums.rs"]
mod sums;

use std::cell::RefCell;
use sums::Sums;

thread_local! {
    /// The text that the thread has asked about last: freed at its end.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps nothing.
#[derive(Default)]
struct Adder;

#[plugin_api::plugin(name = "adder", version = "1.0.0", stateless, offers(Sums))]
impl Adder {
    /// Adds, by name.
    fn plus(&self, a: u64, b: u64) -> u64 {
        a + b
    }
}

impl Sums for Adder {
    fn add(&self, a: u64, b: u64) -> u64 {
        a + b
    }

    fn sum(&self, of: &[f64]) -> f64 {
        of.iter().sum()
    }

    fn length(&self, of: &str) -> usize {
        LAST.with_borrow_mut(|last| {
            of.clone_into(last);
            last.len()
        })
    }

    fn left(&self, of: u32, take: u32) -> Option<u32> {
        of.checked_sub(take)
    }
}
