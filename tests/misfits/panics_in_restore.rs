//! A misfit that panics when it is given a state.

/// A number.
#[derive(Default)]
struct PanicsInRestore {
    total: u64,
}

impl plugin_api::State for PanicsInRestore {
    const SCHEMA: u32 = 1;

    fn save(&self, _schema: u32) -> Result<Vec<u8>, String> {
        Ok(self.total.to_le_bytes().to_vec())
    }

    fn load(_schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        panic!("no restoring from {snapshot:?}")
    }
}

#[plugin_api::plugin(name = "panics-in-restore", version = "1.0.0")]
impl PanicsInRestore {
    /// Adds one.
    fn add(&mut self) -> u64 {
        self.total += 1;
        self.total
    }
}
