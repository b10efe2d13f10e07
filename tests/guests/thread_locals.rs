//! A plugin with a thread-local that has a destructor.

use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps nothing.
#[derive(Default)]
struct ThreadLocals;

#[plugin_api::plugin(name = "thread-locals", version = "1.0.0", stateless)]
impl ThreadLocals {
    /// Does its work, and returns 42.
    fn work(&self) -> u64 {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            scratch.push_str("42");
            scratch.parse().unwrap_or(0)
        })
    }
}
