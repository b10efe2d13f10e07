//! A misfit that gives its state, and does not read it again.

/// A number that does not come back.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct LosesItsState {
    #[serde(skip_deserializing)]
    total: u64,
}

#[plugin_api::plugin(name = "loses-its-state", version = "1.0.0")]
impl LosesItsState {
    /// Adds one.
    fn add(&mut self) -> u64 {
        self.total += 1;
        self.total
    }
}
