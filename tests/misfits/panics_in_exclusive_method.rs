//! A misfit with a `&mut self` method that panics half-way.

/// Nothing to speak of.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct PanicsInExclusiveMethod {
    total: u64,
}

#[plugin_api::plugin(name = "panics-in-exclusive-method", version = "1.0.0")]
impl PanicsInExclusiveMethod {
    /// Changes the state, and panics before it has returned.
    fn fail(&mut self) -> u64 {
        self.total += 1;
        panic!("no exclusive one")
    }

    /// Adds one.
    fn add(&mut self) -> u64 {
        self.total += 1;
        self.total
    }
}
