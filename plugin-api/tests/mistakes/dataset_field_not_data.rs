struct Inner;

#[plugin_api::dataset("rates")]
struct Rates {
    inner: Inner,
}

fn main() {}
