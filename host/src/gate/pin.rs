//! A pin: one thread's note on one gate, and the table in which a thread finds its own.
//!
//! See the gate's header for what the counters mean and who waits for them. Here is how pins live: one is made when a
//! thread first comes to a gate, stands on that gate's list and in that thread's table, and is taken off the list when
//! the thread ends. The table is an array by the gates' ids, so that finding a pin is two loads.

use parking_lot::Mutex;
use std::{
    cell::{Cell, RefCell},
    ptr::{self, NonNull},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
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
#[repr(align(128))]
pub(super) struct Pin {
    pub(super) entered: AtomicU64,
    pub(super) exited: AtomicU64,
    pub(super) by_the_door: AtomicBool,
    /// Leases nested in the counted one.
    pub(super) nested: AtomicU32,
    /// Of the counted lease: its tenant, its method + 1, and nanoseconds since [`epoch`]; 0 where not noted.
    pub(super) in_tenant: AtomicU64,
    pub(super) in_method: AtomicU64,
    pub(super) since: AtomicU64,
    pub(super) is_exclusive: AtomicBool,
    thread: Arc<str>,
}

/// What times of pins count from.
pub(super) fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

impl Pin {
    pub(super) fn new() -> Self {
        // The standard library may not know a thread that is past its thread-locals, and panics then.
        let name = match TABLE.try_with(|_| std::thread::current()) {
            Ok(thread) => match thread.name() {
                Some(name) => Arc::from(name),
                None => Arc::from(format!("{:?}", thread.id())),
            },
            Err(_) => Arc::from("a thread at its end"),
        };
        Pin {
            entered: AtomicU64::new(0),
            exited: AtomicU64::new(0),
            by_the_door: AtomicBool::new(false),
            nested: AtomicU32::new(0),
            in_tenant: AtomicU64::new(0),
            in_method: AtomicU64::new(0),
            since: AtomicU64::new(0),
            is_exclusive: AtomicBool::new(false),
            thread: name,
        }
    }

    pub(super) fn is_inside(&self) -> bool {
        // In this order: were it the other way round, a lease between the loads would look like one that lasts.
        let exited = self.exited.load(Ordering::Acquire);
        self.entered.load(Ordering::Acquire) != exited
    }

    /// Whether the lease with this number, or one before it, has not ended. A number that was taken back, since the bias
    /// was gone, holds nothing either: then nobody is inside.
    pub(super) fn holds(&self, entered: u64) -> bool {
        self.exited.load(Ordering::Acquire) < entered && self.is_inside()
    }

    pub(super) fn describe(&self) -> Inside {
        let noted = |number: &AtomicU64| Some(number.load(Ordering::Relaxed)).filter(|n| *n > 0);
        Inside {
            tenant: self.in_tenant.load(Ordering::Relaxed),
            method: noted(&self.in_method).and_then(|method| u32::try_from(method - 1).ok()),
            since: noted(&self.since).map(|nanos| epoch() + Duration::from_nanos(nanos)),
            thread: Arc::clone(&self.thread),
        }
    }

    /// Ends the counted lease.
    #[inline(always)]
    pub(super) fn leave(&self) {
        if self.since.load(Ordering::Relaxed) != 0 {
            self.forget();
        }
        let entered = self.entered.load(Ordering::Relaxed);
        self.exited.store(entered, Ordering::Release);
    }

    fn forget(&self) {
        self.since.store(0, Ordering::Relaxed);
        self.in_tenant.store(0, Ordering::Relaxed);
        self.in_method.store(0, Ordering::Relaxed);
        self.is_exclusive.store(false, Ordering::Relaxed);
    }
}

/// A thread's own pins, by the ids of their gates.
struct Table {
    pins: RefCell<Vec<Option<Owned>>>,
}

/// A pin, with the list to be taken off when the thread ends.
struct Owned {
    pin: Arc<Pin>,
    list: Weak<Pins>,
}

/// Where a thread finds its pins without asking whether its thread-locals are still there.
#[derive(Clone, Copy)]
struct Shortcut {
    pins: *const Option<Owned>,
    length: usize,
}

const NOWHERE: Shortcut = Shortcut {
    pins: ptr::null(),
    length: 0,
};

thread_local! {
    static SHORTCUT: Cell<Shortcut> = const { Cell::new(NOWHERE) };
    static TABLE: Table = const { Table { pins: RefCell::new(Vec::new()) } };
}

impl Drop for Table {
    fn drop(&mut self) {
        SHORTCUT.set(NOWHERE);
        for owned in self.pins.get_mut().drain(..).flatten() {
            if let Some(list) = owned.list.upgrade() {
                list.remove(&owned.pin);
            }
        }
    }
}

impl Pins {
    pub(super) fn remove(&self, pin: &Arc<Pin>) {
        self.0.lock().retain(|listed| !Arc::ptr_eq(listed, pin));
    }

    pub(super) fn all(&self) -> Vec<Arc<Pin>> {
        self.0.lock().clone()
    }
}

/// Whether the calling thread holds any lease, on any gate.
pub(super) fn is_inside_any() -> bool {
    TABLE
        .try_with(|table| {
            let pins = table.pins.borrow();
            pins.iter().flatten().any(|owned| owned.pin.is_inside())
        })
        .unwrap_or(false)
}

/// Whether the calling thread holds a lease on the gate with this id.
pub(super) fn is_inside(gate: usize) -> bool {
    own(gate).is_some_and(|pin| super::unpin::look(&pin).is_inside())
}

/// The calling thread's pin on the gate with this id, if it has one.
#[inline(always)]
pub(super) fn own(gate: usize) -> Option<NonNull<Pin>> {
    let shortcut = SHORTCUT.get();
    if gate < shortcut.length {
        find(shortcut, gate)
    } else {
        None
    }
}

/// Makes the calling thread's pin on the gate with this id. Says whether the thread's table keeps it: not that of a thread
/// past its thread-locals.
pub(super) fn make(gate: usize, list: &Arc<Pins>) -> (Arc<Pin>, bool) {
    let pin = Arc::new(Pin::new());
    let owned = Owned {
        pin: Arc::clone(&pin),
        list: Arc::downgrade(list),
    };
    // On the list before the first lease, so that no swap can miss it.
    list.0.lock().push(Arc::clone(&pin));
    let kept = TABLE.try_with(|table| {
        let mut pins = table.pins.borrow_mut();
        if pins.len() <= gate {
            pins.resize_with((gate + 1).next_power_of_two(), || None);
        }
        pins[gate] = Some(owned);
        SHORTCUT.set(Shortcut {
            pins: pins.as_ptr(),
            length: pins.len(),
        });
    });
    (pin, kept.is_ok())
}

#[expect(
    unsafe_code,
    reason = "a thread reads its own table without asking for its thread-locals"
)]
mod shortcut {
    use super::{NonNull, Owned, Pin, Shortcut};

    /// A thread's pin on the gate with this id, which is below the shortcut's length.
    #[inline(always)]
    pub(super) fn find(shortcut: Shortcut, gate: usize) -> Option<NonNull<Pin>> {
        // SAFETY: The shortcut shows the elements of this thread's table, and is set anew whenever that grows and unset
        // before it goes; `gate` is below its length, as `own` has checked.
        let place = unsafe { shortcut.pins.add(gate) };
        // SAFETY: As above; nobody else touches this thread's table, and it is not being changed now: only `make` and
        // the thread's end change it, and neither calls this.
        let owned: &Option<Owned> = unsafe { &*place };
        owned.as_ref().map(|owned| NonNull::from(&*owned.pin))
    }
}
use shortcut::find;
