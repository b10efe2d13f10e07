//! The tick: what is done now and then for threads that call, so that their calls need not ask for it.
//!
//! It has calls timed, and sends threads by what retired libraries have left on them. It comes on the clock's thread, seldom
//! while nobody calls, and never so often that it would take more than a hundredth of a processor.

use crate::{core::Core, foreign::interpose, gate::Gate, generation::Generation};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// Between two ticks while somebody calls.
const PAUSE: Duration = Duration::from_millis(2);
/// The same while nobody does.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// A tick may take this part of the time.
const PART: u32 = 100;
/// Before threads are sent by once more.
const AGAIN: Duration = Duration::from_millis(100);

/// What is known at a tick of the ones before.
#[derive(Clone, Copy)]
struct Tick {
    pause: Duration,
    /// The vacations that threads were sent by for, and when.
    answered: (usize, Instant),
}

/// Lets it begin. It ends with the core, or with its clock.
pub(crate) fn start(core: &Arc<Core>) {
    let first = Tick {
        pause: PAUSE,
        answered: (interpose::vacations(), Instant::now()),
    };
    first.wait(core);
}

impl Tick {
    fn wait(self, core: &Arc<Core>) {
        let weak = Weak::clone(&core.itself);
        let fire = move || {
            if let Some(core) = weak.upgrade() {
                self.come(&core).wait(&core);
            }
        };
        core.clock.add(self.pause, None, Arc::new(fire));
    }

    /// Comes, and gives the one after it.
    fn come(self, core: &Core) -> Tick {
        let now = Instant::now();
        let has_called = on_all_gates(core, Gate::tick) > 0;
        let vacations = interpose::vacations();
        let (answered, when) = self.answered;
        let is_time = vacations != answered || now >= when + AGAIN;
        let sends = is_time && interpose::awaits_visits();
        if sends {
            on_all_gates(core, Gate::send_aside);
        }
        let pause = if has_called { PAUSE } else { self.pause * 2 };
        Tick {
            pause: pause.max(now.elapsed() * PART).min(LONGEST_PAUSE),
            answered: if sends {
                (vacations, now)
            } else {
                self.answered
            },
        }
    }
}

fn on_all_gates(core: &Core, work: fn(&Gate<Generation>) -> usize) -> usize {
    core.slots.all().values().map(|slot| work(&slot.gate)).sum()
}
