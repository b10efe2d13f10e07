#[derive(Default)]
struct Greeter;

#[plugin_api::plugin(stateless)]
impl Greeter {
    fn greet(&self, name: &str, ctx: &plugin_api::Context) -> String {
        format!("{name}, {:?}", ctx.now())
    }
}

fn main() {}
