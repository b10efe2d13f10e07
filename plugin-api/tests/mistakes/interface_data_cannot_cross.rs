/// It serves by name all the same.
#[plugin_api::data]
struct Place {
    path: std::path::PathBuf,
}

#[plugin_api::interface]
trait Places {
    fn at(&self) -> Place;
}

fn main() {}
