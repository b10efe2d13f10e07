#[plugin_api::interface]
trait Counts {
    fn count(&mut self) -> u64;
}

#[derive(Default)]
struct Calc;

#[plugin_api::plugin(name = "calc", version = "1.0.0", stateless, offers(Counts))]
impl Calc {}

impl Counts for Calc {
    fn count(&mut self) -> u64 {
        1
    }
}

fn main() {}
