#[plugin_api::interface]
trait Sums {
    fn add(&self, a: u64, b: u64) -> u64;
}

#[derive(Default)]
struct Calc;

#[plugin_api::plugin(name = "calc", version = "1.0.0", stateless, offers(Sums))]
impl Calc {}

fn main() {}
