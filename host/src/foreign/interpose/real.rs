//! The real functions: the C library's own, behind the ones that the interposition defines.

use super::{Destructor, Start};
use std::{
    ffi::{CStr, c_int, c_void},
    sync::atomic::{AtomicUsize, Ordering},
};

/// A function of the C library.
struct Real {
    name: &'static CStr,
    /// Where it is; 0 until it is looked up.
    address: AtomicUsize,
}

static THREAD_ATEXIT: Real = Real::new(c"__cxa_thread_atexit_impl");
static KEY_CREATE: Real = Real::new(c"pthread_key_create");
static KEY_DELETE: Real = Real::new(c"pthread_key_delete");
static THREAD_CREATE: Real = Real::new(c"pthread_create");

/// Looks all of them up: later that may be on a thread at its end, or under a lock of the dynamic linker.
pub(super) fn look_up() {
    for real in [&THREAD_ATEXIT, &KEY_CREATE, &KEY_DELETE, &THREAD_CREATE] {
        real.address();
    }
}

impl Real {
    const fn new(name: &'static CStr) -> Self {
        Real {
            name,
            address: AtomicUsize::new(0),
        }
    }

    /// The address of the next definition after this program's.
    fn address(&self) -> usize {
        let known = self.address.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        // SAFETY: The name ends in a zero byte; the pseudo-handle asks for the next definition.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) } as usize;
        // Without the real function there is no way on: the C library always has it.
        assert!(
            found != 0,
            "the C library has no {}",
            self.name.to_string_lossy()
        );
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

/// The address that a library loaded now would bind `name` to.
pub(super) fn first_in_scope(name: &CStr) -> usize {
    // SAFETY: `name` ends in a zero byte; the pseudo-handle asks for the first definition.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) as usize }
}

pub(super) fn thread_number() -> c_int {
    // SAFETY: The call has no arguments and cannot fail.
    unsafe { libc::gettid() }
}

/// # Safety
/// As [`super::__cxa_thread_atexit_impl`].
pub(super) unsafe fn thread_atexit(
    destructor: Destructor,
    object: *mut c_void,
    handle: *mut c_void,
) -> c_int {
    type Function = unsafe extern "C" fn(Destructor, *mut c_void, *mut c_void) -> c_int;
    let address = THREAD_ATEXIT.address();
    // SAFETY: The C library's function of this name has this type.
    let function = unsafe { std::mem::transmute::<usize, Function>(address) };
    // SAFETY: Promised by the caller.
    unsafe { function(destructor, object, handle) }
}

/// # Safety
/// As [`super::pthread_key_create`].
pub(super) unsafe fn key_create(
    key: *mut libc::pthread_key_t,
    destructor: Option<Destructor>,
) -> c_int {
    type Function = unsafe extern "C" fn(*mut libc::pthread_key_t, Option<Destructor>) -> c_int;
    let address = KEY_CREATE.address();
    // SAFETY: The C library's function of this name has this type.
    let function = unsafe { std::mem::transmute::<usize, Function>(address) };
    // SAFETY: Promised by the caller.
    unsafe { function(key, destructor) }
}

/// Deletes a key; one that does not exist is an error code, not undefined.
pub(super) fn key_delete(key: libc::pthread_key_t) -> c_int {
    type Function = unsafe extern "C" fn(libc::pthread_key_t) -> c_int;
    let address = KEY_DELETE.address();
    // SAFETY: The C library's function of this name has this type.
    let function = unsafe { std::mem::transmute::<usize, Function>(address) };
    // SAFETY: glibc checks the key's number and answers EINVAL for one that is not in use.
    unsafe { function(key) }
}

/// # Safety
/// As [`super::pthread_create`].
pub(super) unsafe fn thread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    type Function = unsafe extern "C" fn(
        *mut libc::pthread_t,
        *const libc::pthread_attr_t,
        Start,
        *mut c_void,
    ) -> c_int;
    let address = THREAD_CREATE.address();
    // SAFETY: The C library's function of this name has this type.
    let function = unsafe { std::mem::transmute::<usize, Function>(address) };
    // SAFETY: Promised by the caller.
    unsafe { function(thread, attributes, start, argument) }
}
