#[derive(Default)]
struct Greeter;

struct Person {
    name: String,
}

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn someone(&self) -> Person {
        Person {
            name: "Ada".to_owned(),
        }
    }
}

fn main() {}
