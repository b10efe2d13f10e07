//! A plugin that panics and catches it itself.

/// Keeps nothing.
#[derive(Default)]
struct Catches;

#[plugin_api::plugin(name = "catches", version = "1.0.0", stateless)]
impl Catches {
    /// Does its work, and returns 42.
    fn work(&self) -> u64 {
        match std::panic::catch_unwind(|| panic!("to be caught")) {
            Ok(()) => 0,
            Err(_) => 42,
        }
    }
}
