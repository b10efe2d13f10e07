//! A misfit whose type does not fit the data: it wants a field that is not there.

use plugin_api::{Context, Dataset};

#[plugin_api::dataset("left")]
struct Left {
    wanted: u64,
}

struct Misfit(Dataset<Left>);

#[plugin_api::plugin(name = "steady", version = "1.0.0", stateless, reads(Left))]
impl Misfit {
    fn new(ctx: &Context) -> Self {
        Misfit(ctx.dataset())
    }

    /// What it reads.
    fn left(&self) -> u64 {
        self.0.get().wanted
    }
}
