//! A misfit that says its state is of the steady counter's schema, though the fields are others.

/// Not what schema 1 is.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct LiesAboutItsSchema {
    sum: u64,
}

#[plugin_api::plugin(name = "steady", version = "6.0.0")]
impl LiesAboutItsSchema {
    /// The sum.
    fn total(&self) -> u64 {
        self.sum
    }
}
