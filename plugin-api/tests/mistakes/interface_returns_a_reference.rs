#[plugin_api::interface]
trait Words {
    fn first(&self) -> &str;
}

fn main() {}
