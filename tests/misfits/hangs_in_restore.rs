//! A misfit that never finishes taking a state.

/// A number.
#[derive(Default)]
struct HangsInRestore {
    total: u64,
}

impl plugin_api::State for HangsInRestore {
    const SCHEMA: u32 = 1;

    fn save(&self, _schema: u32) -> Result<Vec<u8>, String> {
        Ok(self.total.to_le_bytes().to_vec())
    }

    fn load(_schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        loop {
            std::hint::black_box(snapshot);
            std::thread::park();
        }
    }
}

#[plugin_api::plugin(name = "hangs-in-restore", version = "1.0.0")]
impl HangsInRestore {
    /// Adds one.
    fn add(&mut self) -> u64 {
        self.total += 1;
        self.total
    }
}
