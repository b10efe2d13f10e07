#[derive(Default)]
struct Greeter;

struct Person {
    name: String,
}

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn greet(&self, person: Person) -> String {
        person.name
    }
}

fn main() {}
