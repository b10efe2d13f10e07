//! A plugin that calls another one, or itself, by name.

use plugin_api::{CallError, Context, serde_json::Value};

/// Passes calls on.
#[derive(Default)]
struct Nested;

#[plugin_api::plugin(name = "nested", version = "1.0.0", stateless)]
impl Nested {
    /// Calls `method` of `plugin`, and returns its result.
    fn relay(
        &self,
        ctx: &Context,
        plugin: &str,
        method: &str,
        arguments: Value,
    ) -> Result<Value, CallError> {
        ctx.call(plugin, method, arguments)
    }
}
