#[plugin_api::state(version = 1)]
struct Counter {
    total: u64,
}

fn main() {}
