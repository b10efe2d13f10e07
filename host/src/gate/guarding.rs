//! Guarding: how a call that is made alone gets those out who pass beside one another.
//!
//! Some tenants have calls that are made alone (`&mut self`), and a lock between these and all others. Its locked
//! instructions would be most of what a short call costs, as those of the door would be. So such a tenant is *open* while
//! nobody calls alone: then its pins show views in which calls are found that go without the lock. Whoever calls alone has
//! the tenant *guarded* first, where nobody is inside without the lock, and takes the lock then. It is a lock with a bias
//! towards its readers, as BRAVO is (Dice and Kogan, 2019), with the gate's pins in the place of a table of readers.
//!
//! # States
//! - *guarded*: the views that are shown lead to the lock. It begins like this.
//! - *open*: they lead past the lock.
//! - *leaving*: they lead to the lock again, and who has gone past it is waited for.
//!
//! # Who may touch what
//! From guarded to open goes whoever holds the lock's shared side. From open to leaving, and on to guarded or, when its time
//! is over, back to open goes whoever holds `leaving`, one thread at a time. Anybody notes who has called, and reads all of it.
//!
//! # Why nobody is beside a call that is made alone
//! Whoever leaves stores `LEAVING`, has every pin show nothing, passes its fence, and looks at every mark: as in protocol 1 of
//! the gate, either a caller finds nothing shown, or is found inside. What a pin shows next is chosen under the lock of its
//! book, which hiding has held after that store (protocol 7), so it leads to the lock. A call that is made alone holds the
//! lock's other side and finds `GUARDED` under it; nobody opens then, since that takes the shared side. Who passes after that
//! comes after all calls made alone before, which have given their side back.
//!
//! Not waited for are calls that are made alone themselves, which wait for one another here, and those by the door: both go by
//! the lock, and their pins say so before they wait for anything. Nor is a pin that counts for another tenant. A pin says
//! these things by stores with release, after its thread's earlier calls: who reads them sees those calls ended.
//!
//! # When it is opened
//! To leave takes a fence, some microseconds. So a tenant is opened at a [tick](super::timing) only, if others have come by the
//! lock since the last one, and nobody alone: then calls made alone pay for a fence once in the time between two ticks. Who has
//! no time to wait looks first, and leaves nothing where somebody is inside. A gate that has no place in the rows is never
//! opened: those who come to it do not pass.

use super::{
    Gate, Tenant,
    closing::Seen,
    for_a_moment,
    pin::Pin,
    sync::{AtomicBool, AtomicU32, Instant, Mutex, Ordering},
};

const GUARDED: u32 = 0;
const OPEN: u32 = 1;
const LEAVING: u32 = 2;

/// Whether callers pass into a tenant without the lock between its calls.
#[derive(Default)]
pub(crate) struct Openness {
    state: AtomicU32,
    leaving: Mutex<()>,
    /// Whether somebody has called alone since the last tick.
    was_alone: AtomicBool,
    /// Whether somebody else has come by the lock since the last tick who might have passed.
    was_beside: AtomicBool,
}

impl Openness {
    /// Whether callers may be shown the way past the lock.
    pub(crate) fn is_open(&self) -> bool {
        self.state.load(Ordering::SeqCst) == OPEN
    }

    /// Whether nobody is inside without the lock. It stays so as long as the other side of the lock is held.
    pub(crate) fn is_guarded(&self) -> bool {
        self.state.load(Ordering::Acquire) == GUARDED
    }

    /// Notes that somebody calls alone.
    pub(crate) fn note_alone(&self) {
        note(&self.was_alone);
    }

    /// Notes that somebody comes by the lock who might pass.
    pub(crate) fn note_beside(&self) {
        note(&self.was_beside);
    }

    /// Begins the time until the next tick. Says whether it pays to open it.
    pub(crate) fn tick(&self) -> bool {
        let was_alone = self.was_alone.swap(false, Ordering::Relaxed);
        let was_beside = self.was_beside.swap(false, Ordering::Relaxed);
        was_beside && !was_alone && self.is_guarded()
    }

    /// Opens it. The caller holds the shared side of the lock, and has all pins show nothing afterwards, so that they choose
    /// anew. Says whether it has done so.
    pub(crate) fn open(&self) -> bool {
        self.state
            .compare_exchange(GUARDED, OPEN, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }
}

/// Written only where that changes something, since all threads read it.
fn note(flag: &AtomicBool) {
    if !flag.load(Ordering::Relaxed) {
        flag.store(true, Ordering::Relaxed);
    }
}

impl<T: Tenant> Gate<T> {
    /// Has this tenant guarded: waits until nobody is inside of it without the lock between its calls. Says whether that was so
    /// before the deadline. The calling thread is inside of it, for a call that is made alone, and does not hold the lock.
    #[cold]
    pub(crate) fn guard(&self, tenant: &T, deadline: Instant) -> bool {
        let Some(openness) = tenant.openness() else {
            return true;
        };
        let Some(_one_at_a_time) = openness.leaving.try_lock_until(deadline) else {
            return false;
        };
        if !openness.is_open() {
            return true;
        }
        let has_time = Instant::now() < deadline;
        let nobody_passes = || {
            let mut seen = Seen::default();
            seen.look(&self.pins);
            let wait = || {
                seen.wait(deadline, |pin| goes_by_the_lock(pin, tenant))
                    .then_some(())
            };
            let waited = if has_time { wait() } else { for_a_moment(wait) };
            waited.is_some()
        };
        if !has_time && !nobody_passes() {
            return false;
        }
        openness.state.store(LEAVING, Ordering::SeqCst);
        self.pins.hide_all();
        self.fences.of_the_one();
        let is_guarded = nobody_passes();
        let state = if is_guarded { GUARDED } else { OPEN };
        openness.state.store(state, Ordering::SeqCst);
        if is_guarded {
            // Also of the time that this took.
            openness.note_alone();
        } else {
            // Those that have come meanwhile were shown the way to the lock.
            self.pins.hide_all();
        }
        is_guarded
    }
}

/// Whether the call that a pin was seen inside with goes by this tenant's lock, is not inside of this tenant, or has ended: its
/// thread writes all of it between two calls that pass.
fn goes_by_the_lock<T: Tenant>(pin: &Pin, tenant: &T) -> bool {
    pin.is_exclusive.load(Ordering::Acquire)
        || pin.by_the_door.load(Ordering::Acquire)
        || !pin.counts_for(tenant.number())
}
