//! The next version of `calc`, which offers no interface any more.

/// Counts.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Calc {
    counted: u64,
}

#[plugin_api::plugin(name = "calc", version = "3.0.0")]
impl Calc {
    /// What was counted.
    fn counted(&self) -> u64 {
        self.counted
    }
}
