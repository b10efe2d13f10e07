//! Closing: how a swap gets the callers out of a gate, and what it holds then.
//!
//! First the bias is left, and the pins are waited for: callers go on by the door, and nobody is blocked. Then the door's
//! write side is taken: tried for a moment, in which short calls come and go; then waited for, which holds new callers back,
//! and so for no longer than the swap's patience at a time. See the gate's header for why nobody is inside then.

use super::{
    Arc, Duration, Gate, HeldBack, Inside, Leaving, Number, Ordering, Pin, Pins, Tenant,
    for_a_moment, sort,
    sync::{self, Instant, MutexGuard, RwLockWriteGuard},
};

/// How long a swap spins for a pin before it sleeps.
const SPIN: Duration = Duration::from_micros(2);
/// How long it sleeps then, at a time.
const NAP: Duration = Duration::from_micros(20);

impl<T: Tenant> Gate<T> {
    /// Closes the gate: waits until nobody is inside, at most until `deadline`. New callers are held outside for at most
    /// `patience` in one try.
    ///
    /// # Errors
    /// Who is inside when the deadline passes. The calling thread must not be inside itself.
    pub(crate) fn close(
        &self,
        deadline: Instant,
        patience: Duration,
    ) -> Result<Closed<'_, T>, Vec<Inside>> {
        let Some(alone) = self.swap.try_lock_until(deadline) else {
            return Err(self.inside());
        };
        let held_back = self.hold_back();
        let tenant = self.tenant().map(|tenant| tenant.number());
        if !self.register.wait_until_empty(tenant, deadline) {
            return Err(self.inside());
        }
        let mut unbiased = Unbiased::new(self);
        let mut seen = Seen::default();
        seen.look(&self.pins);
        if !seen.wait(deadline, |pin| pin.by_the_door.load(Ordering::Acquire)) {
            return Err(self.inside_since(&seen));
        }
        let mut pause = Duration::from_millis(1);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // As long as it is only tried, short calls come and go by the door meanwhile.
            let door = for_a_moment(|| self.door.try_write());
            let since = Instant::now();
            if let Some(door) = door.or_else(|| self.door.try_write_for(patience.min(left)))
                && self.register.is_empty(tenant)
            {
                unbiased.stays = true;
                return Ok(Closed {
                    gate: self,
                    since,
                    _door: door,
                    _held_back: held_back,
                    _alone: alone,
                });
            }
            seen.look(&self.pins);
            if Instant::now() + pause >= deadline {
                return Err(self.inside_since(&seen));
            }
            sync::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

/// Leases that a swap has seen inside, and since when it has: not all take the time themselves.
#[derive(Default)]
pub(super) struct Seen(Vec<(Instant, Number, Arc<Pin>)>);

impl Seen {
    /// Looks who is inside now.
    pub(super) fn look(&mut self, pins: &Pins) {
        self.0.retain(|(_, lease, pin)| pin.holds(*lease));
        let now = Instant::now();
        for (lease, pin) in pins.inside() {
            let is_it =
                |(_, other, on): &(_, Number, Arc<Pin>)| *other == lease && Arc::ptr_eq(on, &pin);
            if !self.0.iter().any(is_it) {
                self.0.push((now, lease, pin));
            }
        }
    }

    /// Waits until each pin's lease has ended, or the pin says that it goes by the lock that is taken next. Says whether
    /// all do before the deadline.
    pub(super) fn wait(&self, deadline: Instant, goes_by_the_lock: impl Fn(&Pin) -> bool) -> bool {
        let began = Instant::now();
        for (_, lease, pin) in &self.0 {
            while pin.holds(*lease) && !goes_by_the_lock(pin) {
                let now = Instant::now();
                if now >= deadline {
                    return false;
                }
                // Never a yield: under load it gives a whole slice away.
                if now - began < SPIN {
                    sync::spin_loop();
                } else {
                    sync::sleep(NAP);
                }
            }
        }
        true
    }
}

impl<T: Tenant> Gate<T> {
    /// The calls that are inside, oldest first. Of those that have not taken the time it is known since when they were seen.
    fn inside_since(&self, seen: &Seen) -> Vec<Inside> {
        let still = seen.0.iter().filter(|(_, lease, pin)| pin.holds(*lease));
        let still: Vec<_> = still
            .map(|(since, _, pin)| (*since, pin.describe()))
            .collect();
        let mut inside = self.inside();
        for call in &mut inside {
            if call.since.is_none() {
                let seen = still.iter().find(|(_, seen)| seen == call);
                call.since = seen.map(|(since, _)| *since);
            }
        }
        sort(&mut inside);
        inside
    }
}

/// A gate whose callers go by the door. Dropping it restores the bias, unless the gate stays closed.
struct Unbiased<'gate, T: Tenant> {
    gate: &'gate Gate<T>,
    stays: bool,
}

impl<'gate, T: Tenant> Unbiased<'gate, T> {
    fn new(gate: &'gate Gate<T>) -> Self {
        gate.leave_bias();
        gate.fences.of_the_one();
        Unbiased { gate, stays: false }
    }
}

impl<T: Tenant> Drop for Unbiased<'_, T> {
    fn drop(&mut self) {
        if !self.stays {
            restore_bias(self.gate);
        }
    }
}

fn restore_bias<T: Tenant>(gate: &Gate<T>) {
    gate.set_bias(gate.current.load(Ordering::SeqCst));
}

/// A closed gate: nobody is inside, and callers wait. Dropping it opens the gate again, on the tenant of before.
pub(crate) struct Closed<'gate, T: Tenant> {
    gate: &'gate Gate<T>,
    since: Instant,
    // In this order: the bias is restored, the door opens, who was held back is woken, the next swap may begin.
    _door: RwLockWriteGuard<'gate, ()>,
    _held_back: HeldBack,
    _alone: MutexGuard<'gate, ()>,
}

impl<T: Tenant> Closed<'_, T> {
    /// Since when new callers are held outside, in this try.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// Opens the gate on another tenant (or none), and gives the one of before, with nobody inside.
    pub(crate) fn open_on(self, tenant: Option<Arc<T>>) -> Option<Leaving<T>> {
        let before = self.gate.put(tenant)?;
        Some(Leaving {
            tenant: Some(before),
            waits: Vec::new(),
            register: Arc::clone(&self.gate.register),
        })
    }
}

impl<T: Tenant> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        restore_bias(self.gate);
    }
}
