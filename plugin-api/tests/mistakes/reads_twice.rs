#[plugin_api::dataset("rates")]
struct Rates;

#[derive(Default)]
struct Pricing;

#[plugin_api::plugin(name = "pricing", version = "1.0.0", stateless, reads(Rates, Rates))]
impl Pricing {}

fn main() {}
