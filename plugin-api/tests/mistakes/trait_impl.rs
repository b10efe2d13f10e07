struct Greeter;

#[plugin_api::plugin(stateless)]
impl Clone for Greeter {
    fn clone(&self) -> Self {
        Greeter
    }
}

fn main() {}
