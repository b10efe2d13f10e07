//! A misfit that leaves a thread behind, which ends when the test lets go of it.

#[path = "../held.rs"]
mod held;

/// Nothing to speak of.
#[derive(Default)]
struct LeavesAThreadForAWhile;

#[plugin_api::plugin(name = "leaves-a-thread-for-a-while", version = "1.0.0", stateless)]
impl LeavesAThreadForAWhile {
    /// Starts the thread, which waits for the test at that socket.
    fn leave(&self, at: String) {
        std::thread::spawn(move || held::until_released(&at));
    }
}
