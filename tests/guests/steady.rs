//! A counter that can tell whether every call was executed exactly once.

use std::collections::BTreeMap;

/// Counts the numbered calls of each caller.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Steady {
    total: u64,
    last: BTreeMap<u32, u64>,
}

#[plugin_api::plugin(name = "steady", version = "1.0.0")]
impl Steady {
    /// Executes the `number`th call of `caller`, which must be the next one.
    fn increment(&mut self, caller: u32, number: u64) -> Result<u64, String> {
        let last = self.last.entry(caller).or_default();
        if number != *last + 1 {
            return Err(format!("caller {caller} sent number {number} after {last}"));
        }
        *last = number;
        self.total += 1;
        Ok(self.total)
    }

    /// How many calls were executed.
    fn total(&self) -> u64 {
        self.total
    }

    /// The number of the caller's last call.
    fn last(&self, caller: u32) -> u64 {
        self.last.get(&caller).copied().unwrap_or(0)
    }
}
