//! A plugin with state whose calls stay inside until a test lets go of them.

#[path = "../held.rs"]
mod held;

/// Counts the calls that were held.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Slow {
    held: u64,
}

#[plugin_api::plugin(name = "slow", version = "1.0.0")]
impl Slow {
    /// Stays inside, among others, until the test at that socket lets go.
    fn hold(&self, at: &str) -> Result<u64, String> {
        held::until_released(at)?;
        Ok(self.held)
    }

    /// Stays inside, alone, until the test at that socket lets go.
    fn hold_alone(&mut self, at: &str) -> Result<u64, String> {
        held::until_released(at)?;
        self.held += 1;
        Ok(self.held)
    }

    /// How many calls were held alone.
    fn held(&self) -> u64 {
        self.held
    }
}
