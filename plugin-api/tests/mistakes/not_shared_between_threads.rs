use std::rc::Rc;

#[derive(Default)]
struct Greeter {
    name: Rc<str>,
}

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn greet(&self) -> String {
        self.name.to_string()
    }
}

fn main() {}
