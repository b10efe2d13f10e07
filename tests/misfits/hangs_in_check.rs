//! A misfit whose reading of its data does not return while the socket that the data names is held.

#[path = "../held.rs"]
mod held;

use plugin_api::{Context, Dataset};

#[plugin_api::dataset("left", check = Left::check)]
struct Left {
    number: u64,
    #[serde(default)]
    words: Vec<String>,
}

impl Left {
    fn check(&self) -> Result<(), String> {
        match self.words.first() {
            Some(at) if at.starts_with('/') => held::until_released(at),
            _ => Ok(()),
        }
    }
}

struct Misfit(Dataset<Left>);

#[plugin_api::plugin(name = "hanger", version = "1.0.0", stateless, reads(Left))]
impl Misfit {
    fn new(ctx: &Context) -> Self {
        Misfit(ctx.dataset())
    }

    /// What it reads.
    fn left(&self) -> u64 {
        self.0.get().number
    }
}
