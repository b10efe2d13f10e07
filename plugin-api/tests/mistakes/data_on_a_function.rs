#[plugin_api::data]
fn point() {}

fn main() {}
