#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin]
impl Counter {
    async fn add(&mut self, by: u64) -> u64 {
        self.total += by;
        self.total
    }
}

fn main() {}
