//! A plugin that prints.

/// Keeps nothing.
#[derive(Default)]
struct Prints;

#[plugin_api::plugin(name = "prints", version = "1.0.0", stateless)]
impl Prints {
    /// Does its work, and returns 42.
    #[expect(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "it is what this guest is for"
    )]
    fn work(&self) -> u64 {
        println!("forty-two on standard output");
        eprintln!("forty-two on standard error");
        42
    }
}
