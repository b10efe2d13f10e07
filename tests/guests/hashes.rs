//! A plugin with hash maps, whose seeds are thread-local.

use std::collections::HashMap;

/// Keeps nothing.
#[derive(Default)]
struct Hashes;

#[plugin_api::plugin(name = "hashes", version = "1.0.0", stateless)]
impl Hashes {
    /// Does its work, and returns 42.
    fn work(&self) -> u64 {
        let map: HashMap<u64, u64> = (0..100).map(|number| (number, number)).collect();
        map.get(&42).copied().unwrap_or(0)
    }
}
