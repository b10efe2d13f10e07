#[plugin_api::state(schema = 1)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin]
impl Counter {
    fn total(&self) -> u64 {
        self.total
    }
}

fn main() {}
