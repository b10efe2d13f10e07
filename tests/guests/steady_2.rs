//! The next version of the steady counter: its state has another field, and comes from the old one by migration.

use std::collections::BTreeMap;

/// Counts the numbered calls of each caller, and their handovers.
#[plugin_api::state(schema = 2, migrate = from_v1, downgrade = to_v1)]
#[derive(Default)]
struct Steady {
    total: u64,
    last: BTreeMap<u32, u64>,
    migrated: bool,
}

#[plugin_api::state(schema = 1)]
struct SteadyV1 {
    total: u64,
    last: BTreeMap<u32, u64>,
}

fn from_v1(old: SteadyV1) -> Steady {
    Steady {
        total: old.total,
        last: old.last,
        migrated: true,
    }
}

fn to_v1(new: &Steady) -> SteadyV1 {
    SteadyV1 {
        total: new.total,
        last: new.last.clone(),
    }
}

#[plugin_api::plugin(name = "steady", version = "2.0.0")]
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

    /// Whether the state came from the version before.
    fn migrated(&self) -> bool {
        self.migrated
    }
}
