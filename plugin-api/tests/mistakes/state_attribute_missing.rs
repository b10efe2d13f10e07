#[derive(Default)]
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
