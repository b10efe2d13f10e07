use plugin_api::{CallError, Context};
use std::{rc::Rc, time::Duration};

#[derive(Default)]
struct Fetcher;

#[plugin_api::plugin(stateless)]
impl Fetcher {
    async fn wait(&self, ctx: &Context) -> Result<u64, CallError> {
        let count = Rc::new(1);
        ctx.sleep(Duration::from_secs(1)).await?;
        Ok(*count)
    }
}

fn main() {}
