#[plugin_api::dataset("rates")]
fn rates() {}

fn main() {}
