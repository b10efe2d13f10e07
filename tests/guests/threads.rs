//! A plugin that starts a thread for each call, and waits for it.

/// Keeps nothing.
#[derive(Default)]
struct Threads;

#[plugin_api::plugin(name = "threads", version = "1.0.0", stateless)]
impl Threads {
    /// Does its work, and returns 42.
    fn work(&self) -> u64 {
        std::thread::spawn(|| 42).join().unwrap_or(0)
    }
}
