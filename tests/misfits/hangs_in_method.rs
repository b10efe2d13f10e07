//! A misfit with a method that never returns.

/// Nothing to speak of.
#[derive(Default)]
struct HangsInMethod;

#[plugin_api::plugin(name = "hangs-in-method", version = "1.0.0", stateless)]
impl HangsInMethod {
    /// Does not return.
    fn hang(&self) -> u64 {
        loop {
            std::thread::park();
        }
    }

    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}
