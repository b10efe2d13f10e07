//! A misfit that never finishes giving its state once it has been used: the examiner cannot know.

/// A number.
#[derive(Default)]
struct HangsInUsedSnapshot {
    total: u64,
}

impl plugin_api::State for HangsInUsedSnapshot {
    const SCHEMA: u32 = 1;

    fn save(&self, _schema: u32) -> Result<Vec<u8>, String> {
        if self.total > 0 {
            loop {
                std::thread::park();
            }
        }
        Ok(self.total.to_le_bytes().to_vec())
    }

    fn load(_schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        let total = snapshot
            .try_into()
            .map_err(|_| "a number takes eight bytes")?;
        Ok(HangsInUsedSnapshot {
            total: u64::from_le_bytes(total),
        })
    }
}

#[plugin_api::plugin(name = "hangs-in-used-snapshot", version = "1.0.0")]
impl HangsInUsedSnapshot {
    /// Adds one.
    fn add(&mut self) -> u64 {
        self.total += 1;
        self.total
    }
}
