//! A misfit that panics when it is dropped.

/// Nothing to speak of.
#[derive(Default)]
struct PanicsInDrop;

#[plugin_api::plugin(name = "panics-in-drop", version = "1.0.0", stateless)]
impl PanicsInDrop {
    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("no dropping")
    }
}
