//! A plugin whose job calls another plugin once, and sleeps ever after.

use plugin_api::{CallError, Context, serde_json::Value};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Counts its calls.
#[derive(Default)]
struct Sleeper {
    called: Arc<AtomicU64>,
}

#[plugin_api::plugin(name = "sleeper", version = "1.0.0", stateless)]
impl Sleeper {
    /// Begins a job that calls `method` of `plugin` once.
    fn begin(&self, ctx: &Context, plugin: String, method: String) -> Result<(), CallError> {
        let (context, called) = (ctx.clone(), Arc::clone(&self.called));
        ctx.spawn("sleeper", move |job| {
            match context.call::<Value>(&plugin, &method, ()) {
                Ok(_answer) => {
                    called.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => plugin_api::error!(%error, "not called"),
            }
            while !job.sleep(Duration::from_secs(3600)) {}
        })
    }

    /// How many calls of its jobs were answered.
    fn called(&self) -> u64 {
        self.called.load(Ordering::Relaxed)
    }
}
