//! A plugin whose job does not listen when it is asked to end.

#[path = "../held.rs"]
mod held;

use plugin_api::{CallError, Context};

/// Keeps nothing.
#[derive(Default)]
struct Stubborn;

#[plugin_api::plugin(name = "stubborn", version = "1.0.0", stateless)]
impl Stubborn {
    /// Begins a job that ends when the test at that socket lets go of it, and not before.
    fn begin(&self, ctx: &Context, at: String) -> Result<(), CallError> {
        ctx.spawn("stubborn", move |_| {
            if let Err(error) = held::until_released(&at) {
                plugin_api::error!(error, "not held");
            }
        })
    }
}
