#[derive(Default)]
struct Greeter;

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn greet(&self, name: impl Into<String>) -> String {
        name.into()
    }
}

fn main() {}
