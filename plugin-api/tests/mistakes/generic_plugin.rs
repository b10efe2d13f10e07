struct Greeter<T>(T);

#[plugin_api::plugin(stateless)]
impl<T> Greeter<T> {
    fn greet(&self) {}
}

fn main() {}
