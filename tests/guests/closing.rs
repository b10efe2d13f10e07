//! A plugin whose gate stays closed in a swap until a test lets go of it: its snapshot waits.

#[path = "../held.rs"]
mod held;

/// Where its snapshot is to wait, if anywhere.
#[derive(Default)]
struct Closing {
    at: String,
}

impl plugin_api::State for Closing {
    const SCHEMA: u32 = 1;

    fn save(&self, _schema: u32) -> Result<Vec<u8>, String> {
        if !self.at.is_empty() {
            held::until_released(&self.at)?;
        }
        Ok(Vec::new())
    }

    fn load(_schema: u32, _snapshot: &[u8]) -> Result<Self, String> {
        Ok(Closing::default())
    }
}

#[plugin_api::plugin(name = "closing", version = "1.0.0")]
impl Closing {
    /// Lets the next snapshot wait until the test at that socket lets go.
    fn hold_snapshot(&mut self, at: String) {
        self.at = at;
    }

    /// Returns at once.
    fn pass(&self) -> u64 {
        1
    }
}
