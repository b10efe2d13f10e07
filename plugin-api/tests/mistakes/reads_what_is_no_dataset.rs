struct Rates;

#[derive(Default)]
struct Pricing;

#[plugin_api::plugin(name = "pricing", version = "1.0.0", stateless, reads(Rates))]
impl Pricing {}

fn main() {}
