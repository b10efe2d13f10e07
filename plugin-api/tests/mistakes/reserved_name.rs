#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin]
impl Counter {
    fn retire(&mut self) {
        self.total = 0;
    }
}

fn main() {}
