#[plugin_api::dataset("rates", chek = Rates::check)]
struct Rates {
    eur: f64,
}

fn main() {}
