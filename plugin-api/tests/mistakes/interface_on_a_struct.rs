#[plugin_api::interface]
struct Sums;

fn main() {}
