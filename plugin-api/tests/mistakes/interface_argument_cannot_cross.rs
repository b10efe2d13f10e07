#[plugin_api::interface]
trait Clock {
    fn wait(&self, until: std::time::Instant);
}

fn main() {}
