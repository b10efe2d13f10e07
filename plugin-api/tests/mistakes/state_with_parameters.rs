#[plugin_api::state(schema = 1)]
struct Counter<T> {
    total: T,
}

fn main() {}
