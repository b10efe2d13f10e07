#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

#[plugin_api::plugin]
impl Counter {
    fn add<T: Into<u64>>(&mut self, by: T) {
        self.total += by.into();
    }
}

fn main() {}
