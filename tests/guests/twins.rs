//! A plugin whose state is at odds with itself while it is changed.

#[path = "../held.rs"]
mod held;
#[path = "interfaces/twins.rs"]
mod interface;

use interface::Twins;
use std::hint::{black_box, spin_loop};

/// How long a change takes, in turns of a loop.
const TURNS: u32 = 500;

/// Two numbers that are the same.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct State {
    one: u64,
    other: u64,
}

#[plugin_api::plugin(name = "twins", version = "1.0.0", offers(Twins))]
impl State {
    /// What they come to.
    fn sum(&self) -> u64 {
        self.one + self.other
    }

    /// Changes them, by name.
    fn change_by_name(&mut self) -> u64 {
        self.change()
    }
}

impl Twins for State {
    fn are_equal(&self) -> bool {
        let one = *black_box(&self.one);
        spin_loop();
        one == *black_box(&self.other)
    }

    fn hold(&self, at: &str) -> Result<(), String> {
        held::until_released(at)
    }

    fn change(&mut self) -> u64 {
        *black_box(&mut self.one) += 1;
        (0..TURNS).for_each(|_| spin_loop());
        *black_box(&mut self.other) += 1;
        self.one + self.other
    }
}
