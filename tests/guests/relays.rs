//! A plugin without state that calls others, and waits for them with a thread or without.

use plugin_api::{CallError, Context};
use std::time::Duration;

/// Passes calls on.
#[derive(Default)]
struct Relays;

#[plugin_api::plugin(name = "relays", version = "1.0.0", stateless)]
impl Relays {
    /// Passes a call on, and waits without a thread.
    async fn relay(
        &self,
        ctx: &Context,
        plugin: &str,
        method: &str,
        arguments: Vec<u64>,
    ) -> Result<u64, CallError> {
        ctx.call_async(plugin, method, arguments).await
    }

    /// Passes a call on, and waits with its thread.
    fn relay_and_wait(
        &self,
        ctx: &Context,
        plugin: &str,
        method: &str,
        arguments: Vec<u64>,
    ) -> Result<u64, CallError> {
        ctx.call(plugin, method, arguments)
    }

    /// Waits for so many milliseconds.
    async fn nap(&self, ctx: &Context, millis: u64) -> Result<(), CallError> {
        ctx.sleep(Duration::from_millis(millis)).await
    }

    /// Waits as long as it is let.
    async fn wait(&self, ctx: &Context) -> Result<(), CallError> {
        ctx.sleep(Duration::MAX).await
    }
}
