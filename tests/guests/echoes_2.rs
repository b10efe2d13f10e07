//! The next version of the plugin that says what it reads: the dataset has another shape, and the old one does not fit it.

use plugin_api::{Context, Dataset};

/// What it reads.
#[plugin_api::dataset("left")]
struct Left {
    value: u64,
}

struct Echoes {
    left: Dataset<Left>,
}

#[plugin_api::plugin(name = "echoes", version = "2.0.0", stateless, reads(Left))]
impl Echoes {
    fn new(ctx: &Context) -> Self {
        Echoes {
            left: ctx.dataset(),
        }
    }

    /// The number.
    fn left(&self) -> u64 {
        self.left.get().value
    }
}
