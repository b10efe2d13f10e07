//! A misfit that never finishes taking a state of any use: the examiner cannot know.

/// A number.
#[derive(Default)]
struct HangsInUsedRestore {
    total: u64,
}

impl plugin_api::State for HangsInUsedRestore {
    const SCHEMA: u32 = 1;

    fn save(&self, _schema: u32) -> Result<Vec<u8>, String> {
        Ok(self.total.to_le_bytes().to_vec())
    }

    fn load(_schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        while snapshot.iter().any(|byte| *byte > 0) {
            std::thread::park();
        }
        let total = snapshot
            .try_into()
            .map_err(|_| "a number takes eight bytes")?;
        Ok(HangsInUsedRestore {
            total: u64::from_le_bytes(total),
        })
    }
}

#[plugin_api::plugin(name = "hangs-in-used-restore", version = "1.0.0")]
impl HangsInUsedRestore {
    /// Adds one.
    fn add(&mut self) -> u64 {
        self.total += 1;
        self.total
    }
}
