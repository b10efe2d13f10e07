//! A misfit that panics when its state is asked for.

/// A number.
#[derive(Default)]
struct PanicsInSnapshot {
    total: u64,
}

impl plugin_api::State for PanicsInSnapshot {
    const SCHEMA: u32 = 1;

    fn save(&self, _schema: u32) -> Result<Vec<u8>, String> {
        panic!("no snapshot")
    }

    fn load(_schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        let total = snapshot
            .try_into()
            .map_err(|_| "a number takes eight bytes")?;
        Ok(PanicsInSnapshot {
            total: u64::from_le_bytes(total),
        })
    }
}

#[plugin_api::plugin(name = "panics-in-snapshot", version = "1.0.0")]
impl PanicsInSnapshot {
    /// Adds one.
    fn add(&mut self) -> u64 {
        self.total += 1;
        self.total
    }
}
