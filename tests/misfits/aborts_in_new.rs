//! A misfit that ends the process when it is made.

/// Nothing to speak of.
struct AbortsInNew;

#[plugin_api::plugin(name = "aborts-in-new", version = "1.0.0", stateless)]
impl AbortsInNew {
    fn new() -> Self {
        std::process::abort()
    }

    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}
