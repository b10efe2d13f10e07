//! A misfit that orders a job when it is made, and then panics where it is not only examined.

use plugin_api::Context;
use std::time::UNIX_EPOCH;

/// Nothing to speak of.
struct PanicsInUsedNew;

/// What a job that never began leaves behind: its destructor is code of this library.
struct Luggage(Vec<u64>);

impl Drop for Luggage {
    fn drop(&mut self) {
        self.0.clear();
    }
}

#[plugin_api::plugin(name = "panics-in-used-new", version = "1.0.0", stateless)]
impl PanicsInUsedNew {
    fn new(ctx: &Context) -> Self {
        let luggage = Luggage(vec![1]);
        let ordered = ctx.spawn("never", move |_| drop(luggage));
        // An examiner's clock stands still.
        assert!(ctx.now() == UNIX_EPOCH || ordered.is_err(), "no used one");
        PanicsInUsedNew
    }

    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}
