//! A plugin that writes log records, within spans.

/// Keeps nothing.
#[derive(Default)]
struct Traces;

#[plugin_api::plugin(name = "traces", version = "1.0.0", stateless)]
impl Traces {
    /// Does its work, and returns 42.
    fn work(&self) -> u64 {
        let span = plugin_api::info_span!("working", answer = 42);
        let _inside = span.enter();
        plugin_api::info!(question = "unknown", "forty-two");
        42
    }
}
