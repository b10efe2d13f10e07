//! A misfit that panics when it is to begin serving.

/// Nothing to speak of.
#[derive(Default)]
struct PanicsInAttach;

#[plugin_api::plugin(name = "panics-in-attach", version = "1.0.0", stateless)]
impl PanicsInAttach {
    fn attach(&mut self) {
        panic!("no attaching")
    }

    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}
