//! A misfit that never finishes giving its state.

/// A number.
#[derive(Default)]
struct HangsInSnapshot {
    total: u64,
}

impl plugin_api::State for HangsInSnapshot {
    const SCHEMA: u32 = 1;

    fn save(&self, _schema: u32) -> Result<Vec<u8>, String> {
        loop {
            std::thread::park();
        }
    }

    fn load(_schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        let total = snapshot
            .try_into()
            .map_err(|_| "a number takes eight bytes")?;
        Ok(HangsInSnapshot {
            total: u64::from_le_bytes(total),
        })
    }
}

#[plugin_api::plugin(name = "hangs-in-snapshot", version = "1.0.0")]
impl HangsInSnapshot {
    /// Adds one.
    fn add(&mut self) -> u64 {
        self.total += 1;
        self.total
    }
}
