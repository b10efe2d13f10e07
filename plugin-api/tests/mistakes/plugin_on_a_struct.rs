#[plugin_api::plugin]
struct Counter {
    total: u64,
}

fn main() {}
