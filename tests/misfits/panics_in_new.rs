//! A misfit that panics when it is made.

/// Nothing to speak of.
struct PanicsInNew;

#[plugin_api::plugin(name = "panics-in-new", version = "1.0.0", stateless)]
impl PanicsInNew {
    fn new() -> Self {
        panic!("no new one")
    }

    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}
