#[plugin_api::state(schema = 1)]
struct Counter {
    last: Last,
}

struct Last(u64);

fn main() {}
