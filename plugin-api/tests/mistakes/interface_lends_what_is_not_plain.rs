#[plugin_api::interface]
trait Words {
    fn count(&self, of: &[String]) -> usize;
}

fn main() {}
