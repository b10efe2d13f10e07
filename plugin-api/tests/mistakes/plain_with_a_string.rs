#[plugin_api::data(plain)]
struct Named {
    name: String,
    at: u64,
}

fn main() {}
