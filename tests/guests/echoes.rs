//! A plugin that says what it reads, to other plugins.

#[path = "../held.rs"]
mod held;

use plugin_api::{Context, Dataset};
use std::{sync::Mutex, time::Duration};

/// What it reads.
#[plugin_api::dataset("left")]
struct Left {
    number: u64,
}

struct Echoes {
    left: Dataset<Left>,
    told: Mutex<Vec<u64>>,
}

#[plugin_api::plugin(name = "echoes", version = "1.0.0", stateless, reads(Left))]
impl Echoes {
    fn new(ctx: &Context) -> Self {
        Echoes {
            left: ctx.dataset(),
            told: Mutex::default(),
        }
    }

    /// The number.
    fn left(&self) -> u64 {
        self.left.get().number
    }

    /// The number, once the test at that socket has let go.
    fn held(&self, at: &str) -> Result<u64, String> {
        held::until_released(at)?;
        Ok(self.left.get().number)
    }

    /// The number, after a wait without a thread.
    async fn later(&self, ctx: &Context) -> Result<u64, plugin_api::CallError> {
        ctx.sleep(Duration::from_millis(1)).await?;
        Ok(self.left.get().number)
    }

    /// Notes what it is told of.
    fn on_change(&self, _dataset: &str) {
        let number = self.left.get().number;
        self.told.lock().expect("nobody panics").push(number);
    }

    /// The numbers that it was told of.
    fn told(&self) -> Vec<u64> {
        self.told.lock().expect("nobody panics").clone()
    }
}
