#[derive(Default)]
struct Greeter;

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn sort(&self, names: &mut Vec<String>) {
        names.sort();
    }
}

fn main() {}
