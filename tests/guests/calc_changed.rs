//! The next version of `calc`, with an argument of its interface changed.

/// Another interface of the same name.
#[plugin_api::interface]
trait Arithmetic {
    /// Adds smaller ones.
    fn add(&self, a: u64, b: u32) -> u64;
}

/// Counts.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Calc {
    counted: u64,
}

#[plugin_api::plugin(name = "calc", version = "2.0.0", offers(Arithmetic))]
impl Calc {
    /// What was counted.
    fn counted(&self) -> u64 {
        self.counted
    }
}

impl Arithmetic for Calc {
    fn add(&self, a: u64, b: u32) -> u64 {
        a + u64::from(b)
    }
}
