//! A plugin without state whose calls stay inside until a test lets go of them: its generations overlap.

#[path = "../held.rs"]
mod held;

/// Keeps nothing.
#[derive(Default)]
struct Passing;

#[plugin_api::plugin(name = "passing", version = "1.0.0", stateless)]
impl Passing {
    /// Stays inside until the test at that socket lets go.
    fn hold(&self, at: &str) -> Result<(), String> {
        held::until_released(at)
    }

    /// Returns at once.
    fn pass(&self) -> u64 {
        1
    }
}
