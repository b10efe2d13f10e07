//! The next version of `adder`, whose interface has one more method at its end, and which offers a second one before it.

/// Sums, and one more.
#[plugin_api::interface]
trait Sums {
    fn add(&self, a: u64, b: u64) -> u64;
    fn sum(&self, of: &[f64]) -> f64;
    fn length(&self, of: &str) -> usize;
    fn left(&self, of: u32, take: u32) -> Option<u32>;
    fn more(&self) -> String;
}

/// Says what it is.
#[plugin_api::interface]
trait Named {
    fn name(&self) -> String;
}

/// Keeps nothing.
#[derive(Default)]
struct More;

#[plugin_api::plugin(name = "adder", version = "1.1.0", stateless, offers(Named, Sums))]
impl More {}

impl Named for More {
    fn name(&self) -> String {
        "more".to_owned()
    }
}

impl Sums for More {
    fn add(&self, a: u64, b: u64) -> u64 {
        a + b + 1000
    }

    fn sum(&self, of: &[f64]) -> f64 {
        of.iter().sum()
    }

    fn length(&self, of: &str) -> usize {
        of.len()
    }

    fn left(&self, of: u32, take: u32) -> Option<u32> {
        of.checked_sub(take)
    }

    fn more(&self) -> String {
        "more".to_owned()
    }
}
