//! A stage: a gate, and tenants that notice who is inside of them at their end.
//!
//! Every call writes to a cell of its caller in the tenant, and the tenant's end writes to all of them: the checker
//! stops where it finds two of these accesses without an order between them. The memory of a tenant stays until the run
//! ends, so that a caller who should not be there any more can be found, and does no harm.

use crate::{
    gate::{Call, Closed, Fences, Gate, Leaving, Tally, Tenant},
    sync::Instant,
};
use loom::{
    cell::UnsafeCell,
    model::Builder,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

/// The callers that there may be in a model.
const CALLERS: usize = 2;
/// A limit that is never reached.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// A shared method.
pub(crate) const CALL: Call = Call::of(0, false);

/// Runs a model in every order that needs at most so many preemptions.
pub(crate) fn check(preemptions: usize, model: impl Fn(&Stage) + Send + Sync + 'static) {
    check_with(Fences::OnEach, true, preemptions, model);
}

/// The same with other fences; `strictly` lets the checker watch the cells and stop at a fault.
pub(crate) fn check_with(
    fences: Fences,
    strictly: bool,
    preemptions: usize,
    model: impl Fn(&Stage) + Send + Sync + 'static,
) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    builder.check(move || model(&Stage::new(fences, strictly)));
}

/// A gate, with a first tenant behind it.
pub(crate) struct Stage {
    pub(crate) gate: Arc<Gate<Watched>>,
    strictly: bool,
    /// The tenants' memory and rooms, which stay until the end of the run.
    kept: Mutex<Vec<(Weak<Watched>, Arc<Room>)>>,
}

impl Stage {
    fn new(fences: Fences, strictly: bool) -> Self {
        let stage = Stage {
            gate: Arc::new(Gate::with_fences(fences)),
            strictly,
            kept: Mutex::default(),
        };
        assert!(stage.gate.replace(Some(stage.tenant(1))).is_none());
        stage
    }

    pub(crate) fn tenant(&self, number: u64) -> Arc<Watched> {
        let room = Arc::new(Room::new(self.strictly));
        let tenant = Arc::new(Watched {
            number,
            tally: Arc::default(),
            room: Arc::clone(&room),
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((Arc::downgrade(&tenant), room));
        tenant
    }

    /// Starts a thread with the gate.
    pub(crate) fn start<R: 'static>(
        &self,
        role: impl FnOnce(&Gate<Watched>) -> R + 'static,
    ) -> thread::JoinHandle<R> {
        let gate = Arc::clone(&self.gate);
        thread::spawn(move || role(&gate))
    }
}

/// Calls until the thread passes quickly: the first calls of a thread are timed.
pub(crate) fn warm_up(gate: &Gate<Watched>, caller: usize) {
    for _ in 0..3 {
        pass(gate, caller);
    }
}

/// Calls once, and says whom.
pub(crate) fn pass(gate: &Gate<Watched>, caller: usize) -> u64 {
    match gate.pass(LONG, CALL, |tenant| tenant.work(caller)) {
        Ok(number) => number,
        Err(refusal) => panic!("not let in: {refusal:?}"),
    }
}

/// Closes the gate, for as long as that takes.
pub(crate) fn close(gate: &Gate<Watched>) -> Closed<'_, Watched> {
    match gate.close(Instant::now() + LONG, LONG) {
        Ok(closed) => closed,
        Err(inside) => panic!("still inside: {inside:?}"),
    }
}

/// Ends a tenant that comes out of a closed gate.
pub(crate) fn end_at_once(left: Option<Leaving<Watched>>) {
    match left.map(Leaving::into_tenant) {
        Some(Ok(_tenant)) => {}
        Some(Err(mut left)) => panic!("still inside: {:?}", left.inside()),
        None => panic!("nothing stood behind the gate"),
    }
}

/// Ends a tenant once nobody is inside.
pub(crate) fn end(mut left: Leaving<Watched>) {
    while let Err(still) = left.into_tenant() {
        left = still;
        thread::yield_now();
    }
}

/// Lets another tenant in while the gate is closed, and ends the one of before.
pub(crate) fn swap(gate: &Gate<Watched>, next: Arc<Watched>) {
    next.furnish();
    end_at_once(close(gate).open_on(Some(next)));
}

pub(crate) fn join<R>(thread: thread::JoinHandle<R>) -> R {
    match thread.join() {
        Ok(result) => result,
        Err(_) => panic!("a thread of the model panicked"),
    }
}

/// A tenant that notices who is inside at its end.
pub(crate) struct Watched {
    number: u64,
    tally: Arc<Tally>,
    room: Arc<Room>,
}

impl Tenant for Watched {
    type View = &'static str;

    fn views(&self) -> [&&'static str; 2] {
        static VIEWS: [&str; 2] = ["plain", "timed"];
        VIEWS.each_ref()
    }

    fn number(&self) -> u64 {
        if let Some(plate) = &self.room.plate {
            plate.with(|_| ());
        }
        self.number
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

impl Watched {
    /// What a call does. Gives the tenant's number.
    pub(crate) fn work(&self, caller: usize) -> u64 {
        self.room.write(caller);
        assert!(!self.is_gone(), "inside of a tenant that is gone");
        self.number
    }

    /// Writes to all that there is, as who makes a tenant does, and who ends it.
    pub(crate) fn furnish(&self) {
        for caller in 0..CALLERS {
            self.room.write(caller);
        }
        if let Some(plate) = &self.room.plate {
            plate.with_mut(|_| ());
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.room.gone.load(Ordering::Relaxed)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.furnish();
        self.room.gone.store(true, Ordering::Relaxed);
    }
}

/// What calls write to, and the plate at the door: who turns back has read it.
struct Room {
    plate: Option<UnsafeCell<()>>,
    cells: Option<[UnsafeCell<()>; CALLERS]>,
    gone: AtomicBool,
}

impl Room {
    fn new(strictly: bool) -> Self {
        Room {
            plate: strictly.then(|| UnsafeCell::new(())),
            cells: strictly.then(|| std::array::from_fn(|_| UnsafeCell::new(()))),
            gone: AtomicBool::new(false),
        }
    }

    fn write(&self, caller: usize) {
        if let Some(cells) = &self.cells {
            cells[caller].with_mut(|_| ());
        }
    }
}
