use plugin_api::Context;

#[derive(Default)]
struct Fetcher;

#[plugin_api::plugin(stateless)]
impl Fetcher {
    async fn attach(&mut self, _ctx: &Context) {}
}

fn main() {}
