//! A misfit whose reading of its data panics.

use plugin_api::{Content, Context, Dataset, Form};

struct Left;

impl Content for Left {
    const NAME: &'static str = "left";
    const FORM: Form = Form::Json;

    fn parse(content: &[u8]) -> Result<Self, String> {
        assert!(content.is_empty(), "no reading");
        Ok(Left)
    }
}

#[expect(dead_code, reason = "it never comes to that")]
struct Misfit(Dataset<Left>);

#[plugin_api::plugin(name = "steady", version = "1.0.0", stateless, reads(Left))]
impl Misfit {
    fn new(ctx: &Context) -> Self {
        Misfit(ctx.dataset())
    }
}
