#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin]
impl Counter {
    fn new(start: u64) -> Self {
        Counter { total: start }
    }
}

fn main() {}
