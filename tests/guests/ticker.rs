//! A plugin with a timer and a job, both of which reach its state through its own methods.

use plugin_api::{CallError, Context};
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(2);

/// Counts what timer and job have done.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Ticker {
    ticks: u64,
    turns: u64,
}

#[plugin_api::plugin(name = "ticker", version = "1.0.0")]
impl Ticker {
    fn attach(&mut self, ctx: &Context) -> Result<(), CallError> {
        ctx.every(PERIOD, "tick", ())?;
        let context = ctx.clone();
        ctx.spawn("turns", move |job| {
            while !job.sleep(PERIOD) {
                if let Err(error) = context.call::<u64>("ticker", "turn", ()) {
                    plugin_api::debug!(%error, "not turned");
                }
            }
        })
    }

    /// What the timer calls.
    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// What the job calls.
    fn turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// How often the timer has called.
    fn ticks(&self) -> u64 {
        self.ticks
    }

    /// How often the job has called.
    fn turns(&self) -> u64 {
        self.turns
    }
}
