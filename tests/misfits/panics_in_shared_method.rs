//! A misfit with a `&self` method that panics.

/// Nothing to speak of.
#[derive(Default)]
struct PanicsInSharedMethod;

#[plugin_api::plugin(name = "panics-in-shared-method", version = "1.0.0", stateless)]
impl PanicsInSharedMethod {
    /// Panics.
    fn fail(&self) -> u64 {
        panic!("no shared one")
    }

    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}
