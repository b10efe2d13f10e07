#[derive(Default)]
struct Pricing;

#[plugin_api::plugin(name = "pricing", version = "1.0.0", stateless)]
impl Pricing {
    fn on_change(&self, _dataset: &str) {}
}

fn main() {}
