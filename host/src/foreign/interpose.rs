//! The interposition: what the C library is kept from holding of a plugin's library, so that it can be unmapped.
//!
//! A library's code leaves traces in the C library: destructors of thread-locals, destructors of pthread keys, threads
//! that run its functions. Each would either pin the library for as long as some thread lives, or be called after the
//! library is gone. So this program defines the four functions that take such traces. The executable comes first in the
//! dynamic linker's search order: every plugin's own copy of the standard library binds to the functions here, which
//! keep account of what belongs to a plugin and pass the rest on.
//!
//! # Terms
//! A *range* is the memory of one mapped library. An *entry* is a thread-local's destructor waiting on one thread. A
//! range is *vacated* when nothing of its generation runs any more, but for destructors.
//!
//! # Who may touch what
//! - The list of ranges and the list of keys: any thread, under their locks. Those are `std` locks: they use no
//!   thread-local with a destructor, which would come back in here.
//! - A thread's entries: that thread alone, at its next [`visit`], or at its exit. Never another thread's: a value may
//!   only be dropped on its own thread. A thread that was started in a range comes by too, when it calls another plugin:
//!   its entries of that range wait for its exit, since its code is further out.
//! - A range's counters: any thread, atomically.
//!
//! # Invariants
//! 1. `Range::entries` counts the entries on all threads whose destructor lies in the range, and the destructors of its
//!    keys that are running; an entry is taken off the count only after it has run. So `entries == 0` on a vacated range
//!    stays so, once its keys are deleted.
//! 2. `Range::threads` holds each thread that was started in the range until the kernel no longer knows it.
//! 3. A library is closed only when both are empty and its keys are deleted ([`Range::settle`]).
//!
//! This is one of the host's few process-wide things: there is one C library to a process.

mod real;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    ffi::{c_int, c_void},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// The memory of one mapped library, and what the C library would hold of it.
#[derive(Debug)]
pub(crate) struct Range {
    start: usize,
    end: usize,
    entries: AtomicUsize,
    vacated: AtomicBool,
    threads: Mutex<Vec<Thread>>,
}

/// A thread that was started in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    /// It was asked for and has not begun.
    Beginning,
    /// It runs, or is on its way out: its kernel number, and the tick of its start, since numbers are used again; `None`
    /// where that could not be read.
    Begun { number: c_int, tick: Option<u64> },
}

/// What still holds a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hold {
    /// So many threads that were started in it are alive.
    Threads(usize),
    /// So many destructors of thread-locals wait on threads that have not come by.
    Entries(usize),
}

static RANGES: RwLock<Vec<Arc<Range>>> = RwLock::new(Vec::new());
static KEYS: Mutex<Keys> = Mutex::new(Keys {
    places: Vec::new(),
    last: 0,
});
/// Rises whenever a range is vacated, so that threads see cheaply that they may have entries to run.
static VACATIONS: AtomicUsize = AtomicUsize::new(0);

/// The pthread keys whose destructors lie in ranges, each in a place. The C library is given the place's own function (see
/// [`DESTROYERS`]) for the destructor, so that a thread that runs one at its exit is counted meanwhile.
struct Keys {
    places: Vec<Option<Key>>,
    /// The place taken last. Places are taken in turn, so that none is soon taken again.
    last: usize,
}

#[derive(Clone)]
struct Key {
    key: libc::pthread_key_t,
    range: Arc<Range>,
    destructor: Destructor,
}

impl Keys {
    /// A free place; `None` where there are as many keys as the C library has.
    fn free(&mut self) -> Option<usize> {
        let place = (1..=PLACES)
            .map(|step| (self.last + step) % PLACES)
            .find(|place| self.places.get(*place).is_none_or(Option::is_none))?;
        if self.places.len() <= place {
            self.places.resize(place + 1, None);
        }
        self.last = place;
        Some(place)
    }
}

fn keys() -> MutexGuard<'static, Keys> {
    KEYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As many keys as glibc has.
const PLACES: usize = ROW * ROW;
const ROW: usize = 32;

macro_rules! row {
    ($high:literal: $($low:literal)*) => { [$(destroy::<$high, $low>),*] };
}
macro_rules! rows {
    ($($high:literal)*) => {
        [$(row!($high: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)),*]
    };
}
/// The functions of the places: a destructor is not told which key it is called for.
static DESTROYERS: [[Destructor; ROW]; ROW] =
    rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);

/// Runs the destructor of the key in a place, as an entry of its range: [`Range::settle`] waits for it.
///
/// # Safety
/// Called by the C library, once with a value of the key.
unsafe extern "C" fn destroy<const HIGH: usize, const LOW: usize>(value: *mut c_void) {
    let key = {
        let keys = keys();
        // None there: the key was deleted since, and its library may be gone.
        let Some(Some(key)) = keys.places.get(HIGH * ROW + LOW) else {
            return;
        };
        key.range.entries.fetch_add(1, Ordering::SeqCst);
        key.clone()
    };
    // SAFETY: The C library's contract for the destructor, whose place this takes. Its code is mapped: it was counted while
    // its key was in place, and so before the range was settled.
    unsafe { (key.destructor)(value) };
    key.range.entries.fetch_sub(1, Ordering::SeqCst);
}

/// A destructor as the C library is given it: `None` is C's null.
type Destructor = unsafe extern "C" fn(*mut c_void);
/// A thread's first function.
type Start = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

fn find(address: usize) -> Option<Arc<Range>> {
    let ranges = RANGES.read().unwrap_or_else(PoisonError::into_inner);
    ranges
        .iter()
        .find(|range| range.contains(address))
        .map(Arc::clone)
}

impl Range {
    /// Begins to keep account for the library mapped from `start` up to `end`.
    pub(crate) fn register(start: usize, end: usize) -> Arc<Range> {
        let range = Arc::new(Range {
            start,
            end,
            entries: AtomicUsize::new(0),
            vacated: AtomicBool::new(false),
            threads: Mutex::new(Vec::new()),
        });
        let mut ranges = RANGES.write().unwrap_or_else(PoisonError::into_inner);
        // What was mapped here before is gone, though nobody has looked since: it must not take this one's traces.
        ranges.retain(|former| former.end <= start || end <= former.start);
        ranges.push(Arc::clone(&range));
        range
    }

    /// Ends the account, after the library was closed.
    pub(crate) fn release(&self) {
        let mut ranges = RANGES.write().unwrap_or_else(PoisonError::into_inner);
        ranges.retain(|range| !std::ptr::eq(Arc::as_ptr(range), self));
    }

    fn contains(&self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Says that nothing of the generation runs any more. From now on every thread that comes by runs its entries.
    pub(crate) fn vacate(&self) {
        if !self.vacated.swap(true, Ordering::SeqCst) {
            VACATIONS.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// What still holds the range; with nothing, its keys are deleted and the library may be closed.
    ///
    /// # Errors
    /// The first thing that holds it.
    pub(crate) fn settle(&self) -> Result<(), Hold> {
        let alive = self.living_threads();
        if alive > 0 {
            return Err(Hold::Threads(alive));
        }
        // Under the lock of the keys: no destructor of one begins between the look and the deletion.
        let mut keys = keys();
        let entries = self.entries.load(Ordering::SeqCst);
        if entries > 0 {
            return Err(Hold::Entries(entries));
        }
        for place in &mut keys.places {
            if let Some(key) = place.take_if(|key| std::ptr::eq(Arc::as_ptr(&key.range), self)) {
                real::key_delete(key.key);
            }
        }
        Ok(())
    }

    /// The threads that were started in the range and are not gone.
    pub(crate) fn living_threads(&self) -> usize {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(Thread::is_alive);
        threads.len()
    }

    fn thread_begins(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(Thread::Beginning);
    }

    /// Replaces one beginning thread by what became of it.
    fn thread_begun(&self, begun: Option<Thread>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = threads.iter().position(|t| *t == Thread::Beginning) {
            threads.swap_remove(place);
        }
        threads.extend(begun);
    }
}

impl Thread {
    fn this() -> Self {
        let number = real::thread_number();
        Thread::Begun {
            number,
            tick: start_tick(number).ok(),
        }
    }

    fn is_alive(&self) -> bool {
        match *self {
            Thread::Beginning => true,
            Thread::Begun { number, tick } => is_still_there(tick, &start_tick(number)),
        }
    }
}

/// Whether a thread with this tick is there, after what a look at its number gave. Only the kernel's own word that there is
/// no such thread, or another one, counts as its end: a look that failed (no free file, say) is no word.
fn is_still_there(tick: Option<u64>, seen: &io::Result<u64>) -> bool {
    match seen {
        Ok(seen) => tick.is_none_or(|tick| tick == *seen),
        Err(error) => {
            error.kind() != io::ErrorKind::NotFound && error.raw_os_error() != Some(libc::ESRCH)
        }
    }
}

/// The tick at which the thread with this number started.
fn start_tick(number: c_int) -> io::Result<u64> {
    // Bytes: the second field is the name in parentheses, which may hold anything. The start is the 22nd.
    let text = std::fs::read(format!("/proc/self/task/{number}/stat"))?;
    let text = String::from_utf8_lossy(&text);
    text.rsplit_once(')')
        .and_then(|(_, after_name)| after_name.split_ascii_whitespace().nth(19)?.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A thread-local's destructor that waits on this thread.
struct Entry {
    range: Arc<Range>,
    destructor: Destructor,
    object: *mut c_void,
}

impl Entry {
    /// Runs the destructor, and only then takes it off the range's count.
    fn run(self) {
        // SAFETY: The C library's contract for `__cxa_thread_atexit_impl`, whose place this takes: the destructor is
        // called once, with its object, on the thread that registered it. The list this entry was taken from belongs to
        // that thread alone. The code is still mapped, since a range with entries is never closed (invariant 3).
        unsafe { (self.destructor)(self.object) };
        self.range.entries.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The entries of one thread, newest last. What is left when the thread exits is run then, newest first.
#[derive(Default)]
struct Entries(Vec<Entry>);

impl Drop for Entries {
    fn drop(&mut self) {
        while let Some(entry) = self.0.pop() {
            entry.run();
        }
    }
}

thread_local! {
    static ENTRIES: RefCell<Entries> = const { RefCell::new(Entries(Vec::new())) };
    /// The vacations this thread has answered.
    static ANSWERED: Cell<usize> = const { Cell::new(0) };
    /// The beginning of the range this thread was started in; 0 for the host's own and others'.
    static HOME: Cell<usize> = const { Cell::new(0) };
}

/// How many ranges have been vacated.
pub(crate) fn vacations() -> usize {
    VACATIONS.load(Ordering::Acquire)
}

/// Whether a vacated range has entries, and so waits for threads to come by.
pub(crate) fn awaits_visits() -> bool {
    let ranges = RANGES.read().unwrap_or_else(PoisonError::into_inner);
    ranges.iter().any(|range| {
        range.vacated.load(Ordering::SeqCst) && range.entries.load(Ordering::SeqCst) > 0
    })
}

/// Runs what this thread holds for vacated ranges. Called wherever a thread comes by; costs a load when there is nothing.
#[inline]
pub(crate) fn visit() {
    let vacations = VACATIONS.load(Ordering::Acquire);
    if ANSWERED.get() != vacations {
        ANSWERED.set(vacations);
        run_vacated();
    }
}

#[cold]
fn run_vacated() {
    // One at a time, with the list free while it runs: a destructor may register others.
    let next = || {
        ENTRIES
            .try_with(|entries| {
                let list = &mut entries.borrow_mut().0;
                // A thread that was started in a range runs its code to the end, vacated or not, and its entries then.
                let place = list.iter().rposition(|entry| {
                    entry.range.vacated.load(Ordering::SeqCst) && entry.range.start != HOME.get()
                })?;
                Some(list.remove(place))
            })
            .ok()
            .flatten()
    };
    while let Some(entry) = next() {
        entry.run();
    }
}

/// Whether the functions here are the ones that libraries bind to. Looks up those behind them, too.
///
/// # Errors
/// The first that is not, with the usual reason.
pub(crate) fn in_force() -> Result<(), String> {
    real::look_up();
    let ours: [(&std::ffi::CStr, usize); 4] = [
        (
            c"__cxa_thread_atexit_impl",
            __cxa_thread_atexit_impl as *const () as usize,
        ),
        (
            c"pthread_key_create",
            pthread_key_create as *const () as usize,
        ),
        (
            c"pthread_key_delete",
            pthread_key_delete as *const () as usize,
        ),
        (c"pthread_create", pthread_create as *const () as usize),
    ];
    for (name, address) in ours {
        if real::first_in_scope(name) != address {
            return Err(format!(
                "libraries bind to another {} than the host's: the host is not part of the executable itself, or the \
                 executable was linked without exporting it",
                name.to_string_lossy()
            ));
        }
    }
    Ok(())
}

/// Takes a thread-local's destructor: into the thread's entries where it belongs to a range, else to the C library.
///
/// # Safety
/// As the C library's: `destructor` may be called once with `object`, on this thread, up to the thread's exit or until
/// the library that `handle` lies in is closed.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn __cxa_thread_atexit_impl(
    destructor: Destructor,
    object: *mut c_void,
    handle: *mut c_void,
) -> c_int {
    if let Some(range) = find(destructor as *const () as usize) {
        range.entries.fetch_add(1, Ordering::SeqCst);
        let entry = Entry {
            range: Arc::clone(&range),
            destructor,
            object,
        };
        // On a thread that is past its own thread-locals the C library keeps it; the library stays pinned then.
        if ENTRIES
            .try_with(|entries| entries.borrow_mut().0.push(entry))
            .is_ok()
        {
            return 0;
        }
        range.entries.fetch_sub(1, Ordering::SeqCst);
    }
    // SAFETY: The arguments are the caller's own, who promised what the real function asks.
    unsafe { real::thread_atexit(destructor, object, handle) }
}

/// Makes a pthread key, and remembers it where its destructor belongs to a range.
///
/// # Safety
/// As the C library's: `key` points to a writable key.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pthread_key_create(
    key: *mut libc::pthread_key_t,
    destructor: Option<Destructor>,
) -> c_int {
    let owned = destructor.and_then(|function| {
        let range = find(function as *const () as usize)?;
        Some((range, function))
    });
    let Some((range, destructor)) = owned else {
        // SAFETY: The arguments are the caller's own, who promised what the real function asks.
        return unsafe { real::key_create(key, destructor) };
    };
    let mut keys = keys();
    let Some(place) = keys.free() else {
        return libc::EAGAIN;
    };
    let destroyer = DESTROYERS[place / ROW][place % ROW];
    // SAFETY: `key` is the caller's own; the destroyer may be called wherever the caller's destructor may.
    let status = unsafe { real::key_create(key, Some(destroyer)) };
    if status == 0 {
        // SAFETY: The caller promised that `key` is valid, and the real function has just written it.
        let key = unsafe { key.read() };
        keys.places[place] = Some(Key {
            key,
            range,
            destructor,
        });
    }
    status
}

/// Deletes a pthread key, and forgets it.
///
/// # Safety
/// As the C library's: `key` was made by `pthread_key_create` and not deleted since.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pthread_key_delete(key: libc::pthread_key_t) -> c_int {
    for place in &mut keys().places {
        drop(place.take_if(|known| known.key == key));
    }
    real::key_delete(key)
}

/// What a thread that starts in a range is given in place of its own function.
struct Beginning {
    range: Arc<Range>,
    start: Start,
    argument: *mut c_void,
}

/// Starts a thread; one whose function lies in a range is counted until it is gone.
///
/// # Safety
/// As the C library's: `thread` is writable, `attributes` null or valid, and `start` may be called once with `argument`
/// on another thread.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    let Some(range) = find(start as *const () as usize) else {
        // SAFETY: The arguments are the caller's own, who promised what the real function asks.
        return unsafe { real::thread_create(thread, attributes, start, argument) };
    };
    range.thread_begins();
    let beginning = Box::into_raw(Box::new(Beginning {
        range: Arc::clone(&range),
        start,
        argument,
    }));
    // SAFETY: `thread` and `attributes` are the caller's own; `begin` is called once, with the box made for it.
    let status = unsafe { real::thread_create(thread, attributes, begin, beginning.cast()) };
    if status != 0 {
        range.thread_begun(None);
        // SAFETY: No thread was started, so the box is still ours alone.
        drop(unsafe { Box::from_raw(beginning) });
    }
    status
}

/// The first function of a thread that starts in a range.
///
/// # Safety
/// `beginning` came from `Box::into_raw` in [`pthread_create`] and is passed here once.
unsafe extern "C" fn begin(beginning: *mut c_void) -> *mut c_void {
    // SAFETY: By this function's contract, the box is ours now.
    let Beginning {
        range,
        start,
        argument,
    } = *unsafe { Box::from_raw(beginning.cast::<Beginning>()) };
    range.thread_begun(Some(Thread::this()));
    HOME.set(range.start);
    drop(range);
    // SAFETY: Whoever asked for the thread promised that `start` may be called once with `argument`, here.
    unsafe { start(argument) }
}
