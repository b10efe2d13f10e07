#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin(version = "1.0")]
impl Counter {
    fn total(&self) -> u64 {
        self.total
    }
}

fn main() {}
