//! A misfit that has a newer schema than the steady counter, and no way to come from there.

/// Newer than schema 1, and alone with it.
#[plugin_api::state(schema = 2)]
#[derive(Default)]
struct LacksAMigration {
    total: u64,
}

#[plugin_api::plugin(name = "steady", version = "7.0.0")]
impl LacksAMigration {
    /// The total.
    fn total(&self) -> u64 {
        self.total
    }
}
