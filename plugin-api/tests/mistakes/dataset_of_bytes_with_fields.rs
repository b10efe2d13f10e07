#[plugin_api::dataset("blob", bytes)]
struct Blob {
    bytes: Vec<u8>,
}

fn main() {}
