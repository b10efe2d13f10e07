//! Fences: the two halves of an order between many threads that store and look, and one that does so rarely.
//!
//! The many make their own stores visible before they look at what the one has stored; the one the other way round. If
//! all the work can be put on the one (`membarrier` makes every other thread of the process pass a fence), the many
//! keep but a compiler fence. Where the system does not offer that, both sides fence in full.

use super::sync::{Ordering, fence};
#[cfg(modelled)]
use crate::sync::membarrier;
use std::sync::{OnceLock, atomic::compiler_fence};

/// Who bears the cost of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fences {
    /// The one: it makes all other threads pass a fence.
    OnTheOne,
    /// Each.
    OnEach,
}

impl Fences {
    /// What this process can have. It asks the system once; that is process-wide by nature.
    pub(crate) fn of_this_process() -> Fences {
        static KNOWN: OnceLock<Fences> = OnceLock::new();
        *KNOWN.get_or_init(|| {
            if membarrier::register() {
                Fences::OnTheOne
            } else {
                Fences::OnEach
            }
        })
    }

    /// The fence of the many: between their store and their look.
    #[inline(always)]
    pub(super) fn of_the_many(self) {
        compiler_fence(Ordering::SeqCst);
        if self == Fences::OnEach {
            in_full();
        }
    }

    /// The fence of the one: between its store and its look.
    pub(super) fn of_the_one(self) {
        fence(Ordering::SeqCst);
        if self == Fences::OnTheOne {
            membarrier::pass();
        }
    }
}

/// Out of the way of those who can do without.
#[cold]
#[inline(never)]
fn in_full() {
    fence(Ordering::SeqCst);
}

#[cfg(not(modelled))]
#[expect(unsafe_code, reason = "system calls that no safe crate offers")]
mod membarrier {
    use std::ffi::c_long;

    fn call(command: libc::c_int) -> c_long {
        // SAFETY: The commands used here take no pointers; an unknown one is answered by an error.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
    }

    /// Asks for the private expedited kind. Says whether it is to be had.
    pub(super) fn register() -> bool {
        let offered = call(libc::MEMBARRIER_CMD_QUERY);
        offered >= 0
            && offered & c_long::from(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0
            && call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0
    }

    /// Makes every other thread of this process that is running pass a fence.
    pub(super) fn pass() {
        // Registered, it is refused only where something in the process has forbidden it since. Without the fence
        // nothing is known of who is inside; unwinding from here would drop what they use.
        if call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0 {
            tracing::error!(
                "the system call membarrier was offered and is refused now; ending the process"
            );
            std::process::abort();
        }
    }
}
