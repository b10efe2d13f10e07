#[derive(Default)]
struct Greeter;

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn greet(&self, names: Vec<&str>) -> String {
        names.join(" and ")
    }
}

fn main() {}
