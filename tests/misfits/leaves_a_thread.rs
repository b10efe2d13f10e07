//! A misfit that leaves a thread behind, which never ends.

/// Nothing to speak of.
#[derive(Default)]
struct LeavesAThread;

#[plugin_api::plugin(name = "leaves-a-thread", version = "1.0.0", stateless)]
impl LeavesAThread {
    fn attach(&mut self) {
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
    }

    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}
