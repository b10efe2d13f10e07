//! A misfit that never finishes being made.

/// Nothing to speak of.
struct HangsInNew;

#[plugin_api::plugin(name = "hangs-in-new", version = "1.0.0", stateless)]
impl HangsInNew {
    fn new() -> Self {
        loop {
            std::thread::park();
        }
    }

    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}
