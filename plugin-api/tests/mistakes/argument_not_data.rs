#[derive(Default)]
struct Greeter;

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn wait(&self, until: std::time::Instant) {
        let _ = until;
    }
}

fn main() {}
