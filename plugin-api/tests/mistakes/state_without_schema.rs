#[plugin_api::state]
struct Counter {
    total: u64,
}

fn main() {}
