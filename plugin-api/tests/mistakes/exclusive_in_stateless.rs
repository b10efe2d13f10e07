#[derive(Default)]
struct Greeter;

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn greet(&mut self) -> String {
        "hello".to_owned()
    }
}

fn main() {}
