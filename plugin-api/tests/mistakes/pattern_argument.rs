#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin]
impl Counter {
    fn add(&mut self, (a, b): (u64, u64)) {
        self.total += a + b;
    }
}

fn main() {}
