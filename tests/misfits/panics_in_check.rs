//! A misfit whose check of its data panics when it is a 7.

use plugin_api::{Context, Dataset};

#[plugin_api::dataset("left", check = Left::check)]
struct Left {
    number: u64,
}

impl Left {
    fn check(&self) -> Result<(), String> {
        assert_ne!(self.number, 7, "no 7");
        Ok(())
    }
}

struct Misfit(Dataset<Left>);

#[plugin_api::plugin(name = "sevenless", version = "1.0.0", stateless, reads(Left))]
impl Misfit {
    fn new(ctx: &Context) -> Self {
        Misfit(ctx.dataset())
    }

    /// What it reads.
    fn left(&self) -> u64 {
        self.0.get().number
    }
}
