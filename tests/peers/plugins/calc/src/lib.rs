//! The same function in a plugin of the host: methods that run beside one another, and a state, so that swaps close the gate.

use interfaces::Adds;
use std::time::{Duration, Instant};

/// Nothing but a number, handed over by every swap.
#[plugin_api::state(schema = 1)]
#[derive(Default)]
struct Calc {
    kept: u64,
}

#[plugin_api::plugin(offers(Adds))]
impl Calc {
    /// What is kept.
    fn kept(&self) -> u64 {
        self.kept
    }
}

impl Adds for Calc {
    fn add(&self, a: u64, b: u64) -> u64 {
        // It may panic, so that there is something for the barrier to do.
        a.checked_add(b).expect("the sum fits")
    }

    fn busy(&self, micros: u64) {
        if micros > 0 {
            let (began, length) = (Instant::now(), Duration::from_micros(micros));
            while began.elapsed() < length {
                std::hint::spin_loop();
            }
        }
    }
}
