//! The guard: the place where author's code runs, and which no panic leaves.
//!
//! Every entry into a plugin goes through [`guard`], but for the functions of interfaces, which catch their panics
//! themselves and take the text from here. A panic hook in the plugin's own copy of the standard library notes
//! where a panic happened, for the text of the fault, and prints nothing: printing a backtrace would map the library's
//! file a second time, for good. A panic outside the guard (on a thread that the plugin made) is logged as an error.
//!
//! The thread-locals here have no destructor, so that they keep no retired library mapped.

use crate::{
    contract::{Fault, FaultKind},
    logging,
};
use std::{
    any::Any,
    cell::Cell,
    mem,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::{Mutex, PoisonError},
};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static SITE: Cell<Option<Site>> = const { Cell::new(None) };
}

/// Living plugin objects of this library, which share its one hook.
static HOOKED: Mutex<u32> = Mutex::new(0);

/// Runs `work`; a panic in it becomes a fault that tells the panic's message and place.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    DEPTH.set(DEPTH.get() + 1);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(Fault::new(FaultKind::PANICKED, account(payload))));
    DEPTH.set(DEPTH.get() - 1);
    outcome
}

/// Drops `value`; a panic of its `Drop` becomes a fault.
pub(crate) fn drop_guarded<T>(value: T) -> Result<(), Fault> {
    guard(|| {
        drop(value);
        Ok(())
    })
}

/// Installs the hook, for one more plugin object.
pub(crate) fn hook() {
    let mut hooked = HOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    if *hooked == 0 {
        panic::set_hook(Box::new(note));
    }
    *hooked += 1;
}

/// Gives the default hook back, after the last plugin object.
pub(crate) fn unhook() {
    let mut hooked = HOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    *hooked = hooked.saturating_sub(1);
    if *hooked == 0 && !std::thread::panicking() {
        drop(panic::take_hook());
    }
}

fn note(info: &PanicHookInfo<'_>) {
    let site = info.location().map(Site::of);
    // Inside an interface's function nothing is counted; the host knows that the thread is inside.
    if DEPTH.get() > 0 || logging::is_inside() {
        SITE.set(site);
        return;
    }
    let text = text(info.payload());
    let site = site.map(|site| site.to_string()).unwrap_or_default();
    logging::write(
        logging::ERROR,
        "plugin_api::panic",
        &format!("a thread of the plugin panicked: {text}{site}"),
    );
}

/// The message and place of a panic; drops its payload, which may panic in turn.
pub(crate) fn account(payload: Box<dyn Any + Send>) -> String {
    let site = SITE.take().map(|site| site.to_string()).unwrap_or_default();
    let account = format!("{}{site}", text(payload.as_ref()));
    if let Err(another) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        SITE.set(None);
        mem::forget(another);
    }
    account
}

fn text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a panic whose payload is no text"
    }
}

/// Where a panic happened. A copy of the file's name (its end, when it is long) rather than a string, so that the
/// thread-local that holds it needs no destructor.
#[derive(Clone, Copy)]
struct Site {
    file: [u8; Site::FILE],
    length: usize,
    line: u32,
    column: u32,
}

impl Site {
    const FILE: usize = 200;

    fn of(location: &panic::Location<'_>) -> Self {
        let bytes = location.file().as_bytes();
        let end = &bytes[bytes.len().saturating_sub(Self::FILE)..];
        let mut file = [0; Self::FILE];
        file[..end.len()].copy_from_slice(end);
        Site {
            file,
            length: end.len(),
            line: location.line(),
            column: location.column(),
        }
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = String::from_utf8_lossy(&self.file[..self.length]);
        write!(f, " at {file}:{}:{}", self.line, self.column)
    }
}
