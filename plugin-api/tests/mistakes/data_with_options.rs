#[plugin_api::data(schema = 1)]
struct Point {
    x: f64,
}

fn main() {}
