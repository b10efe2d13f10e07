use plugin_api::Dataset;

#[plugin_api::dataset("rates")]
struct Rates;

#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Pricing {
    rates: Dataset<Rates>,
}

fn main() {}
