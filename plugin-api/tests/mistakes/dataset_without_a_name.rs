#[plugin_api::dataset]
struct Rates {
    eur: f64,
}

fn main() {}
