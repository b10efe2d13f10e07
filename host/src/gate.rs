//! The gate: how callers get in to what a slot holds, and how a swap gets them out.
//!
//! A caller takes a *lease* to go through and gives it back when its call returns. A swap *closes* the gate: it waits for
//! the last lease, in short tries, so that callers who arrive meanwhile wait outside no longer than one try; they enter
//! whatever stands behind the gate afterwards. Where two tenants may serve side by side, a swap *replaces* the tenant
//! instead, and the leases on the old one run out by themselves.
//!
//! # Invariants
//! 1. Every lease but a nested one holds the read side of the door; closing holds its write side. So nobody is inside a
//!    closed gate.
//! 2. A lease is noted in its thread's log together with reading the tenant, under `tenant`'s read side. So whoever has
//!    replaced the tenant, and then finds no note of the old one, knows that nobody is inside it, or ever will be.
//! 3. A thread that is inside a gate goes through it again without touching the door: it would wait behind a swap that
//!    waits for it.
//!
//! # Who may touch what
//! A thread's log is written by that thread; drains and status read it, under its lock. The list of logs is one of the
//! host's few process-wide things: a thread belongs to no host.

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::{
    cell::RefCell,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What stands behind a gate.
pub(crate) trait Tenant {
    /// Its number: no two tenants of a gate have the same.
    fn number(&self) -> u64;
}

/// The door of a slot.
pub(crate) struct Gate<T> {
    id: u64,
    door: RwLock<()>,
    tenant: RwLock<Option<Arc<T>>>,
}

/// Why a caller was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing stands behind the gate.
    Vacant,
    /// The gate did not open in time.
    OutOfTime,
}

/// A call that is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inside {
    /// The number of the tenant it is inside of.
    pub(crate) tenant: u64,
    /// Which of the tenant's methods, once it is known.
    pub(crate) method: Option<u32>,
    /// Whether the method is called alone.
    pub(crate) exclusive: bool,
    /// Since when.
    pub(crate) since: Instant,
    /// On which thread.
    pub(crate) thread: Arc<str>,
}

static NEXT_GATE: AtomicU64 = AtomicU64::new(1);
static LOGS: Mutex<Vec<Arc<Log>>> = Mutex::new(Vec::new());

/// The leases that one thread holds.
struct Log {
    /// Whether it is for one lease only, whose end takes it off the list.
    for_one: bool,
    thread: Arc<str>,
    notes: Mutex<Vec<Note>>,
}

struct Note {
    gate: u64,
    tenant: u64,
    method: Option<u32>,
    exclusive: bool,
    since: Instant,
}

/// A thread's own log; its end takes it off the list.
struct OwnLog(Arc<Log>);

impl OwnLog {
    fn begin() -> Self {
        let thread = std::thread::current();
        let name = match thread.name() {
            Some(name) => Arc::from(name),
            None => Arc::from(format!("{:?}", thread.id())),
        };
        let log = Arc::new(Log {
            for_one: false,
            thread: name,
            notes: Mutex::new(Vec::new()),
        });
        LOGS.lock().push(Arc::clone(&log));
        OwnLog(log)
    }
}

impl Drop for OwnLog {
    fn drop(&mut self) {
        LOGS.lock().retain(|log| !Arc::ptr_eq(log, &self.0));
    }
}

thread_local! {
    static OWN_LOG: RefCell<OwnLog> = RefCell::new(OwnLog::begin());
}

fn own_log() -> Arc<Log> {
    OWN_LOG
        .try_with(|log| Arc::clone(&log.borrow().0))
        // A thread past its thread-locals: a log of its own for this one lease, which a drain still finds.
        .unwrap_or_else(|_| {
            Arc::new(Log {
                for_one: true,
                thread: Arc::from("a thread at its end"),
                notes: Mutex::new(Vec::new()),
            })
        })
}

/// Whether the calling thread holds any lease, on any gate.
pub(crate) fn is_inside_any() -> bool {
    leases() > 0
}

/// How many leases the calling thread holds, on all gates.
pub(crate) fn leases() -> usize {
    OWN_LOG
        .try_with(|log| log.borrow().0.notes.lock().len())
        .unwrap_or(0)
}

impl<T: Tenant> Gate<T> {
    /// A gate with nothing behind it.
    pub(crate) fn new() -> Self {
        Gate {
            id: NEXT_GATE.fetch_add(1, Ordering::Relaxed),
            door: RwLock::new(()),
            tenant: RwLock::new(None),
        }
    }

    /// What stands behind it now, without a lease: for those who look and do not call.
    pub(crate) fn tenant(&self) -> Option<Arc<T>> {
        self.tenant.read().clone()
    }

    /// Lets the caller in, waiting at most `limit` while the gate is closed.
    pub(crate) fn enter(&self, limit: Duration) -> Result<Lease<'_, T>, Refusal> {
        let log = own_log();
        let nested = log.notes.lock().iter().any(|note| note.gate == self.id);
        let door = if nested {
            None
        } else {
            Some(self.door.try_read_for(limit).ok_or(Refusal::OutOfTime)?)
        };
        let place = self.tenant.read();
        let tenant = Arc::clone(place.as_ref().ok_or(Refusal::Vacant)?);
        if log.for_one {
            LOGS.lock().push(Arc::clone(&log));
        }
        log.notes.lock().push(Note {
            gate: self.id,
            tenant: tenant.number(),
            method: None,
            exclusive: false,
            since: Instant::now(),
        });
        drop(place);
        Ok(Lease {
            tenant,
            log,
            gate: self.id,
            _door: door,
            _on_this_thread: PhantomData,
        })
    }

    /// Closes the gate: waits until nobody is inside, at most until `deadline`, in tries of at most `patience` each.
    ///
    /// # Errors
    /// Who is inside when the deadline passes. The calling thread must not be inside itself.
    pub(crate) fn close(
        &self,
        deadline: Instant,
        patience: Duration,
    ) -> Result<Closed<'_, T>, Vec<Inside>> {
        let mut pause = Duration::from_millis(1);
        loop {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            if let Some(door) = self.door.try_write_for(patience.min(left)) {
                return Ok(Closed {
                    gate: self,
                    _door: door,
                });
            }
            if Instant::now() + pause >= deadline {
                return Err(self.inside());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Puts another tenant behind the open gate. The old one may still have callers inside.
    pub(crate) fn replace(&self, tenant: Option<Arc<T>>) -> Option<Arc<T>> {
        std::mem::replace(&mut *self.tenant.write(), tenant)
    }

    /// The calls that are inside, oldest first.
    pub(crate) fn inside(&self) -> Vec<Inside> {
        let logs: Vec<Arc<Log>> = LOGS.lock().clone();
        let mut inside = Vec::new();
        for log in logs {
            let notes = log.notes.lock();
            inside.extend(
                notes
                    .iter()
                    .filter(|note| note.gate == self.id)
                    .map(|note| Inside {
                        tenant: note.tenant,
                        method: note.method,
                        exclusive: note.exclusive,
                        since: note.since,
                        thread: Arc::clone(&log.thread),
                    }),
            );
        }
        inside.sort_by_key(|call| call.since);
        inside
    }

    /// Whether any call is inside the tenant with this number. Meaningful once it has been replaced.
    pub(crate) fn is_inside(&self, tenant: u64) -> bool {
        self.inside().iter().any(|call| call.tenant == tenant)
    }
}

/// One caller's right to be inside. It stays on its thread.
pub(crate) struct Lease<'gate, T> {
    tenant: Arc<T>,
    log: Arc<Log>,
    gate: u64,
    // After the note: see `Drop`.
    _door: Option<RwLockReadGuard<'gate, ()>>,
    _on_this_thread: PhantomData<*const ()>,
}

/// What a method may not do, since the calls further out on its thread wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knot {
    /// A `&mut self` method of the same tenant is further out: everything would wait for it.
    UnderExclusive,
    /// The method is `&mut self`, and a `&self` method of the same tenant is further out.
    ExclusiveUnderShared,
}

impl<T> Lease<'_, T> {
    /// What it leads to.
    pub(crate) fn tenant(&self) -> &Arc<T> {
        &self.tenant
    }

    /// Notes which method is called, for those who ask who is inside.
    ///
    /// # Errors
    /// The call would wait for a call further out on the same thread.
    pub(crate) fn note_method(&self, method: u32, exclusive: bool) -> Result<(), Knot> {
        let mut notes = self.log.notes.lock();
        let Some((own, outer)) = notes.split_last_mut() else {
            return Ok(());
        };
        let mut outer = outer
            .iter()
            .filter(|note| note.gate == own.gate && note.tenant == own.tenant)
            .peekable();
        if outer.peek().is_some() && exclusive {
            return Err(Knot::ExclusiveUnderShared);
        }
        if outer.any(|note| note.exclusive) {
            return Err(Knot::UnderExclusive);
        }
        own.method = Some(method);
        own.exclusive = exclusive;
        Ok(())
    }
}

impl<T> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        // Leases of a thread end in the reverse order of their beginning: the newest note of this gate is this one's.
        let mut notes = self.log.notes.lock();
        if let Some(place) = notes.iter().rposition(|note| note.gate == self.gate) {
            notes.remove(place);
        }
        drop(notes);
        if self.log.for_one {
            LOGS.lock().retain(|log| !Arc::ptr_eq(log, &self.log));
        }
    }
}

/// A closed gate: nobody is inside, and callers wait. Dropping it opens the gate again, on the tenant of before.
pub(crate) struct Closed<'gate, T> {
    gate: &'gate Gate<T>,
    _door: RwLockWriteGuard<'gate, ()>,
}

impl<T: Tenant> Closed<'_, T> {
    /// Opens the gate on another tenant (or none), and gives the one of before.
    pub(crate) fn open_on(self, tenant: Option<Arc<T>>) -> Option<Arc<T>> {
        self.gate.replace(tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Numbered(u64);
    impl Tenant for Numbered {
        fn number(&self) -> u64 {
            self.0
        }
    }

    const SOON: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(20);

    fn gate_on(number: u64) -> Arc<Gate<Numbered>> {
        let gate = Gate::new();
        gate.replace(Some(Arc::new(Numbered(number))));
        Arc::new(gate)
    }

    /// Enters on another thread and stays inside until the sender is dropped.
    fn visitor(gate: &Arc<Gate<Numbered>>) -> (mpsc::Sender<()>, std::thread::JoinHandle<()>) {
        let (leave, stay) = mpsc::channel::<()>();
        let (entered, is_in) = mpsc::channel();
        let gate = Arc::clone(gate);
        let thread = std::thread::Builder::new()
            .name("visitor".into())
            .spawn(move || {
                let lease = gate.enter(LONG).expect("the gate is open");
                lease.note_method(3, false).expect("nothing further out");
                entered.send(()).expect("the test waits");
                let _ = stay.recv();
            })
            .expect("threads can be started");
        is_in.recv().expect("the visitor enters");
        (leave, thread)
    }

    #[test]
    fn a_gate_with_nothing_behind_it_lets_nobody_in() {
        let gate = Gate::<Numbered>::new();
        assert_eq!(gate.enter(SOON).err(), Some(Refusal::Vacant));
    }

    #[test]
    fn closing_waits_for_those_inside_and_names_them_when_the_deadline_passes() {
        let gate = gate_on(1);
        let (leave, thread) = visitor(&gate);
        let inside = gate
            .close(Instant::now() + SOON, SOON)
            .err()
            .expect("somebody is inside");
        assert_eq!(inside.len(), 1);
        assert_eq!(
            (&*inside[0].thread, inside[0].method, inside[0].tenant),
            ("visitor", Some(3), 1)
        );
        assert_eq!(gate.enter(SOON).expect("open again").tenant().number(), 1);
        drop(leave);
        thread.join().expect("the visitor leaves");
        assert!(gate.close(Instant::now() + LONG, SOON).is_ok());
    }

    #[test]
    fn callers_of_a_closed_gate_enter_what_stands_behind_it_afterwards() {
        let gate = gate_on(1);
        let closed = gate
            .close(Instant::now() + LONG, SOON)
            .expect("nobody is inside");
        let waiting = {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || gate.enter(LONG).map(|lease| lease.tenant().number()))
        };
        assert_eq!(gate.enter(SOON).err(), Some(Refusal::OutOfTime));
        let before = closed.open_on(Some(Arc::new(Numbered(2))));
        assert_eq!(before.map(|tenant| tenant.0), Some(1));
        assert_eq!(waiting.join().expect("no panic"), Ok(2));
    }

    #[test]
    fn dropping_a_closed_gate_opens_it_on_the_tenant_of_before() {
        let gate = gate_on(1);
        drop(
            gate.close(Instant::now() + LONG, SOON)
                .expect("nobody is inside"),
        );
        assert_eq!(gate.enter(SOON).expect("open").tenant().number(), 1);
    }

    #[test]
    fn a_nested_call_is_let_in_while_a_swap_waits_for_the_outer_one() {
        let gate = gate_on(1);
        let outer = gate.enter(LONG).expect("open");
        let swap = {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || gate.close(Instant::now() + LONG, LONG).is_ok())
        };
        // However the swap's try and this fall together, the nested call does not wait for it.
        for _ in 0..1_000 {
            drop(gate.enter(Duration::ZERO).expect("nested"));
        }
        drop(outer);
        assert!(swap.join().expect("no panic"));
    }

    #[test]
    fn a_replaced_tenant_is_inside_until_its_last_lease_ends() {
        let gate = gate_on(1);
        let (leave, thread) = visitor(&gate);
        gate.replace(Some(Arc::new(Numbered(2))));
        assert_eq!(gate.enter(SOON).expect("open").tenant().number(), 2);
        assert!(gate.is_inside(1));
        drop(leave);
        thread.join().expect("the visitor leaves");
        assert!(!gate.is_inside(1));
    }

    #[test]
    fn calls_that_would_wait_for_their_own_thread_are_refused() {
        let gate = gate_on(1);
        let outer = gate.enter(SOON).expect("open");
        outer.note_method(0, false).expect("nothing further out");
        let nested = gate.enter(SOON).expect("nested");
        assert_eq!(nested.note_method(1, true), Err(Knot::ExclusiveUnderShared));
        assert_eq!(nested.note_method(2, false), Ok(()));
        drop((nested, outer));
        let outer = gate.enter(SOON).expect("open");
        outer.note_method(1, true).expect("nothing further out");
        let nested = gate.enter(SOON).expect("nested");
        assert_eq!(nested.note_method(2, false), Err(Knot::UnderExclusive));
        assert!(is_inside_any());
    }

    #[test]
    fn a_call_of_a_thread_at_its_end_leaves_nothing_on_the_list() {
        /// Enters when its thread has no log any more.
        struct Late(Arc<Gate<Numbered>>);
        impl Drop for Late {
            fn drop(&mut self) {
                let lease = self.0.enter(LONG).expect("open");
                assert_eq!(self.0.inside().len(), 1);
                drop(lease);
            }
        }
        thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });
        let gate = gate_on(1);
        let theirs = Arc::clone(&gate);
        std::thread::spawn(move || {
            // Made first, so dropped last or first: either way nothing may be left.
            LATE.set(Some(Late(theirs)));
            drop(own_log());
        })
        .join()
        .expect("no panic");
        let left = LOGS.lock().iter().any(|log| log.for_one);
        assert!(!left);
        assert!(gate.inside().is_empty());
    }
}
