//! The tick: what is done now and then for threads that call, so that their calls need not ask for it.
//!
//! It has calls timed, has `&self` methods go without a lock while no `&mut self` method is called, and sends threads by what
//! retired libraries have left on them. It comes on the clock's thread, seldom while nobody calls, and never so often that it
//! would take more than a hundredth of a processor.

use crate::{core::Core, foreign::interpose, gate::Gate, generation::Generation};
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// Between two ticks while somebody calls.
const PAUSE: Duration = Duration::from_millis(2);
/// The same while nobody does.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// Ticks may take this part of a processor's time.
const PART: u32 = 100;
/// Before threads are sent by once more. Who was sent by comes by at its next call, whenever that is; but one that is on the
/// slow way just then, or does not see yet why it was sent, may miss it.
const AGAIN: Duration = Duration::from_millis(100);
/// The longest time before that.
const LONGEST_AGAIN: Duration = Duration::from_secs(10);

/// What is known at a tick of the ones before.
#[derive(Clone, Copy)]
struct Tick {
    pause: Duration,
    /// The vacations that threads were sent by for.
    answered: usize,
    /// When they are sent by once more, and how long after the last time that is.
    next: (Instant, Duration),
}

/// Lets it begin. It ends with the core, or with its clock.
pub(crate) fn start(core: &Arc<Core>) {
    let first = Tick {
        pause: PAUSE,
        answered: interpose::vacations(),
        next: (Instant::now(), AGAIN),
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
    fn come(mut self, core: &Core) -> Tick {
        let (now, before) = (Instant::now(), processor_time());
        let has_called = on_all_gates(core, Gate::tick) > 0;
        on_all_gates(core, open);
        let vacations = interpose::vacations();
        let is_news = vacations != self.answered;
        if (is_news || now >= self.next.0) && interpose::awaits_visits() {
            on_all_gates(core, Gate::send_aside);
            let pause = if is_news { AGAIN } else { self.next.1 * 2 };
            let pause = pause.min(LONGEST_AGAIN);
            self.answered = vacations;
            self.next = (now + pause, pause);
        }
        let pause = if has_called { PAUSE } else { self.pause * 2 };
        let rest = processor_time().saturating_sub(before) * PART;
        self.pause = pause.min(LONGEST_PAUSE).max(rest);
        self
    }
}

/// The processor time that this thread has had.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Has calls go without the lock between a plugin's methods again, where nobody has called a `&mut self` method since the last
/// tick. Says how many threads are sent by for that.
fn open(gate: &Gate<Generation>) -> usize {
    let is_open = gate.shows_by_rows() && gate.tenant().is_some_and(|it| it.instance.tick());
    if is_open { gate.send_aside() } else { 0 }
}

fn on_all_gates(core: &Core, work: fn(&Gate<Generation>) -> usize) -> usize {
    core.slots.all().values().map(|slot| work(&slot.gate)).sum()
}
