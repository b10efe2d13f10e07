#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin]
impl Counter {
    fn attach(ctx: &plugin_api::Context) {
        let _ = ctx;
    }
}

fn main() {}
