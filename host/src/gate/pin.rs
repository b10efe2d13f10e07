//! A pin: one thread's note on one gate, and the table in which a thread finds its own.
//!
//! See the gate's header for what the mark means and who waits for it. Here is how pins live: one is made when a
//! thread first comes to a gate, stands on that gate's list and in that thread's table, and is taken off the list when
//! the thread ends. Where a call has to be quick, it is found in the thread's [row](super::row).

use super::{
    lease::Call,
    mark::{Mark, Number},
    row::GateId,
    sync::{AtomicBool, AtomicU32, AtomicU64, Instant, Mutex, Ordering, thread_local},
    tally::{Failure, Numbers, Tally},
    timing::Book,
    views::Views,
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    ptr::NonNull,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

/// A call that is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inside {
    /// The number of the tenant it is inside of; 0 while that is not known.
    pub(crate) tenant: u64,
    /// Which of the tenant's methods, once it is known.
    pub(crate) method: Option<u32>,
    /// Since when, once it is known.
    pub(crate) since: Option<Instant>,
    /// On which thread; empty for one that is pending on none.
    pub(crate) thread: Arc<str>,
}

/// The pins of one gate.
#[derive(Default)]
pub(super) struct Pins(Mutex<Vec<Arc<Pin>>>);

/// One thread's note on one gate. On cache lines of its own: its thread writes it with every call.
#[repr(C, align(128))]
pub(super) struct Pin {
    /// A [`Mark`].
    mark: AtomicU64,
    /// Through which its calls see the tenant.
    pub(super) views: Views,
    /// The number of the tenant that the thread called last, and counts for; 0 before the first.
    pub(super) tenant: AtomicU64,
    pub(super) is_exclusive: AtomicBool,
    pub(super) by_the_door: AtomicBool,
    /// Leases nested in the counted one.
    pub(super) nested: AtomicU32,
    /// Of the counted lease, where it is timed: nanoseconds since [`epoch`]; 0 otherwise.
    pub(super) since: AtomicU64,
    /// What the thread counts for that tenant.
    pub(super) book: Mutex<Book>,
    /// Whose numbers these are.
    tally: Mutex<Weak<Tally>>,
    gate: GateId,
    this: Weak<Pin>,
    thread: Arc<str>,
}

/// What times of pins count from.
fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// Nanoseconds from [`epoch`] to then; never 0.
pub(super) fn since_epoch(then: Instant) -> u64 {
    let nanos = then.saturating_duration_since(epoch()).as_nanos();
    (nanos as u64).max(1)
}

impl Pin {
    fn new(gate: GateId) -> Arc<Self> {
        // The standard library may not know a thread that is past its thread-locals, and panics then.
        let name = match TABLE.try_with(|_| std::thread::current()) {
            Ok(thread) => match thread.name() {
                Some(name) => Arc::from(name),
                None => Arc::from(format!("{:?}", thread.id())),
            },
            Err(_) => Arc::from("a thread at its end"),
        };
        Arc::new_cyclic(|this| Pin {
            mark: AtomicU64::new(Mark::outside(Number::default()).bits()),
            views: Views::new(),
            tenant: AtomicU64::new(0),
            is_exclusive: AtomicBool::new(false),
            by_the_door: AtomicBool::new(false),
            nested: AtomicU32::new(0),
            since: AtomicU64::new(0),
            book: Mutex::default(),
            tally: Mutex::default(),
            gate,
            this: Weak::clone(this),
            thread: name,
        })
    }

    /// What keeps it.
    pub(super) fn this(&self) -> Option<Arc<Pin>> {
        self.this.upgrade()
    }

    /// The mark, as its thread finds it; for others, of whatever moment.
    #[inline(always)]
    pub(super) fn own_mark(&self) -> Mark {
        Mark::from_bits(self.mark.load(Ordering::Relaxed))
    }

    /// The mark, as others find it: with all that was done before it was made.
    pub(super) fn mark(&self) -> Mark {
        Mark::from_bits(self.mark.load(Ordering::Acquire))
    }

    /// Makes a mark. On the pin's thread.
    #[inline(always)]
    pub(super) fn set_mark(&self, mark: Mark) {
        self.mark.store(mark.bits(), Ordering::Release);
    }

    pub(super) fn is_inside(&self) -> bool {
        self.mark().is_inside()
    }

    /// The number of the counted lease; `None` while the thread is not inside.
    pub(super) fn lease(&self) -> Option<Number> {
        self.mark().lease()
    }

    /// Whether the lease with this number, or one before it, has not ended. A number that was taken back, since the
    /// caller has found nothing to call by the pin alone, holds nothing either: then nobody is inside.
    pub(super) fn holds(&self, lease: Number) -> bool {
        self.lease().is_some_and(|present| present.is_up_to(lease))
    }

    /// The number of the last lease that has ended.
    pub(super) fn ended(&self) -> Number {
        self.own_mark().ended()
    }

    pub(super) fn describe(&self) -> Inside {
        let since = self.since.load(Ordering::Relaxed);
        Inside {
            tenant: self.tenant.load(Ordering::Relaxed),
            method: self.own_mark().method(),
            since: (since > 0).then(|| epoch() + Duration::from_nanos(since)),
            thread: Arc::clone(&self.thread),
        }
    }

    /// Notes what the counted lease calls.
    pub(super) fn note(&self, call: Call) {
        self.set_mark(Mark::outside(self.ended()).inside(call.note));
        self.note_exclusive(call);
    }

    /// Notes whether the counted lease is for a call that is made alone.
    #[inline(always)]
    pub(super) fn note_exclusive(&self, call: Call) {
        if call.exclusive {
            // Release, as of whom it counts for: whoever finds it finds the calls of before ended.
            self.is_exclusive.store(true, Ordering::Release);
        }
    }

    /// Ends the counted lease, and counts the call that it was, if it was one: by the time it took, where it is timed.
    pub(super) fn leave(&self, since: Option<Instant>, is_a_call: bool) {
        if let Some(since) = since.filter(|_| is_a_call) {
            self.took(since_epoch(since), since.elapsed());
        }
        self.since.store(0, Ordering::Relaxed);
        self.is_exclusive.store(false, Ordering::Relaxed);
        let before = Mark::outside(self.ended());
        // Of a lease that was no call the number is taken back.
        self.set_mark(if is_a_call { before.next() } else { before });
    }

    /// Whether it counts for the tenant with this number.
    pub(super) fn counts_for(&self, number: u64) -> bool {
        self.tenant.load(Ordering::Acquire) == number
    }

    /// Counts for this tenant from now on. The thread is inside of it.
    #[cold]
    pub(super) fn count_for(&self, number: u64, tally: &Arc<Tally>) {
        let mut counting = self.tally.lock();
        self.settle_in(&counting);
        self.time_next();
        self.tenant.store(number, Ordering::Release);
        *counting = Arc::downgrade(tally);
        if let Some(this) = self.this.upgrade() {
            tally.begin(this);
        }
    }

    /// Gives what was counted to the tally it belongs to.
    fn settle(&self) {
        self.settle_in(&self.tally.lock());
    }

    fn settle_in(&self, tally: &Weak<Tally>) {
        match tally.upgrade() {
            Some(tally) => tally.settle(self),
            None => self.clear(),
        }
    }

    pub(super) fn add_to(&self, sum: &mut Numbers) {
        let book = self.book.lock();
        book.add_to(sum, self.ended());
    }

    pub(super) fn clear(&self) {
        self.book.lock().clear(self.ended());
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.book.lock().fail(failure);
    }
}

/// A thread's own pins, by the numbers of their gates.
struct Table(RefCell<BTreeMap<usize, Owned>>);

/// A pin, with the list to be taken off when the thread ends.
struct Owned {
    pin: Arc<Pin>,
    list: Weak<Pins>,
}

thread_local! {
    static TABLE: Table = const { Table(RefCell::new(BTreeMap::new())) };
}

impl Drop for Table {
    fn drop(&mut self) {
        for owned in self.0.get_mut().values() {
            owned.pin.gate.show(None);
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        match self.list.upgrade() {
            Some(list) => list.remove(&self.pin),
            None => self.pin.settle(),
        }
    }
}

impl Pins {
    pub(super) fn remove(&self, pin: &Arc<Pin>) {
        pin.settle();
        self.0.lock().retain(|listed| !Arc::ptr_eq(listed, pin));
    }

    pub(super) fn all(&self) -> Vec<Arc<Pin>> {
        self.0.lock().clone()
    }

    /// How many of them it is true of.
    pub(super) fn count(&self, of: impl Fn(&Pin) -> bool) -> usize {
        self.0.lock().iter().filter(|pin| of(pin)).count()
    }

    /// Those whose thread is inside, each with the number of its lease.
    pub(super) fn inside(&self) -> Vec<(Number, Arc<Pin>)> {
        let inside = |pin: Arc<Pin>| Some((pin.lease()?, pin));
        self.all().into_iter().filter_map(inside).collect()
    }

    /// Has none of them show a view any more, until its thread comes with a lease. Says how many there are.
    pub(super) fn hide_all(&self) -> usize {
        let pins = self.all();
        pins.iter().for_each(|pin| pin.hide());
        pins.len()
    }
}

/// Whether the calling thread holds any lease, on any gate.
pub(super) fn is_inside_any() -> bool {
    TABLE
        .try_with(|table| {
            let own = table.0.borrow();
            own.values().any(|owned| owned.pin.is_inside())
        })
        .unwrap_or(false)
}

/// Whether the calling thread holds a lease on this gate.
pub(super) fn is_inside(gate: GateId) -> bool {
    own(gate).is_some_and(|pin| super::unpin::look(&pin).is_inside())
}

/// Whether the calling thread's lease on this gate is on this tenant, for a call made alone; nothing where it has none.
pub(super) fn further_out(gate: GateId, tenant: u64) -> Option<bool> {
    let pin = own(gate)?;
    let pin = super::unpin::look(&pin);
    pin.is_inside().then(|| {
        pin.is_exclusive.load(Ordering::Relaxed) && pin.tenant.load(Ordering::Relaxed) == tenant
    })
}

/// The calling thread's pin on this gate, if it has one.
pub(super) fn own(gate: GateId) -> Option<NonNull<Pin>> {
    // It may be one of a gate that had the place before.
    let is_on = |pin: &NonNull<Pin>| super::unpin::look(pin).gate == gate;
    gate.shown().filter(is_on).or_else(|| {
        let look_up = |table: &Table| {
            let own = table.0.borrow();
            own.get(&gate.number)
                .map(|owned| NonNull::from(&*owned.pin))
        };
        TABLE.try_with(look_up).ok().flatten()
    })
}

/// Makes the calling thread's pin on this gate. Says whether the thread's table keeps it: not that of a thread past its
/// thread-locals.
pub(super) fn make(gate: GateId, list: &Arc<Pins>) -> (Arc<Pin>, bool) {
    let pin = Pin::new(gate);
    // On the list before the first lease, so that no swap can miss it.
    list.0.lock().push(Arc::clone(&pin));
    let kept = TABLE.try_with(|table| {
        // Not before: dropped, it takes the pin off the list.
        let owned = Owned {
            pin: Arc::clone(&pin),
            list: Arc::downgrade(list),
        };
        let before = gate.shown().map(|pin| super::unpin::look(&pin).gate);
        let mut own = table.0.borrow_mut();
        own.insert(gate.number, owned);
        gate.show(Some(NonNull::from(&*pin)));
        // Its gate has ended, if that had the place.
        before.and_then(|before| own.remove(&before.number))
    });
    (pin, kept.is_ok())
}
