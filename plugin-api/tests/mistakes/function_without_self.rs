#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin]
impl Counter {
    fn total(&self) -> u64 {
        self.total
    }

    fn double(number: u64) -> u64 {
        number * 2
    }
}

fn main() {}
