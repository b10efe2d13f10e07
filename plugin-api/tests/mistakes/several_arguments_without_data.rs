#[derive(Default)]
struct Greeter;

struct Person {
    name: String,
}

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn greet(&self, greeting: &str, people: Vec<Person>) -> String {
        format!("{greeting}, {}", people[0].name)
    }
}

fn main() {}
