#[plugin_api::state(schema = 1)]
#[derive(Default, plugin_api::serde::Serialize)]
struct Counter {
    total: u64,
}

fn main() {}
