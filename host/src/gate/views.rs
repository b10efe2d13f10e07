//! Views: through which the calls of one thread see the tenant, and whether they see it at all.
//!
//! A tenant has two at a time: the plain one, and the timed one, of which [timing](super::timing) tells. A pin *shows* one of
//! them, or none: then its thread's next call goes with a lease, which has the pin show the tenant if callers may enter that by
//! their pins (protocol 7 of the gate). A tenant that is to be seen through others from now on has all pins show nothing first.
//!
//! Who may touch what: all of it is written under the book's lock of the pin; the tenant and its views by the pin's thread
//! only, which reads them without. A call loads the one that is shown without the lock.

use super::{
    pin::Pin,
    sync::{AtomicBool, AtomicPtr, Ordering},
};
use std::ptr;

/// The views of a tenant that a pin can show, and where that tenant lies.
pub(super) struct Views {
    /// Null while none is shown.
    shown: AtomicPtr<()>,
    plain: AtomicPtr<()>,
    timed: AtomicPtr<()>,
    /// Whether it is the timed one that is shown, or would be.
    is_timed: AtomicBool,
    tenant: AtomicPtr<()>,
}

impl Views {
    /// Those of no tenant.
    pub(super) fn new() -> Self {
        let null = || AtomicPtr::new(ptr::null_mut());
        Views {
            shown: null(),
            plain: null(),
            timed: null(),
            is_timed: AtomicBool::new(true),
            tenant: null(),
        }
    }

    /// The one that is shown; null where none is.
    #[inline(always)]
    pub(super) fn shown(&self) -> *const () {
        // Acquire, for what is found through it.
        self.shown.load(Ordering::Acquire)
    }

    /// Where the tenant lies whose views these are. On the pin's thread.
    #[inline(always)]
    pub(super) fn tenant(&self) -> *const () {
        self.tenant.load(Ordering::Relaxed)
    }

    /// Whether this one, which was shown, is the plain one. On the pin's thread.
    #[inline(always)]
    pub(super) fn is_plain<V>(&self, shown: &V) -> bool {
        let plain: *const () = self.plain.load(Ordering::Relaxed);
        ptr::eq(plain, (&raw const *shown).cast())
    }

    /// Whether it is the timed one that is shown, or would be. On the pin's thread, or under the book's lock.
    pub(super) fn is_timed(&self) -> bool {
        self.is_timed.load(Ordering::Relaxed)
    }

    /// Under the book's lock, on the pin's thread: those of this tenant.
    fn set(&self, tenant: *const (), [plain, timed]: [*const (); 2]) {
        self.tenant.store(tenant.cast_mut(), Ordering::Relaxed);
        self.plain.store(plain.cast_mut(), Ordering::Relaxed);
        self.timed.store(timed.cast_mut(), Ordering::Relaxed);
        self.show();
    }

    /// Under the book's lock: none.
    fn hide(&self) {
        self.shown.store(ptr::null_mut(), Ordering::SeqCst);
    }

    /// Under the book's lock: the timed one or the plain one from now on, where one is shown.
    pub(super) fn set_timed(&self, timed: bool) {
        self.is_timed.store(timed, Ordering::Relaxed);
        if !self.shown().is_null() {
            self.show();
        }
    }

    fn show(&self) {
        let view = if self.is_timed() {
            &self.timed
        } else {
            &self.plain
        };
        self.shown
            .store(view.load(Ordering::Relaxed), Ordering::Release);
    }
}

impl Pin {
    /// Shows the tenant at this address from now on, by one of the views that it has now, the plain one and the timed one;
    /// unless by now it has none, since callers may not enter it by their pins. On the pin's thread, which is inside of that
    /// tenant.
    pub(super) fn show(&self, tenant: *const (), views: impl FnOnce() -> Option<[*const (); 2]>) {
        let _book = self.book.lock();
        if let Some(views) = views() {
            self.views.set(tenant, views);
        }
    }

    /// Shows nothing from now on, until its thread comes with a lease.
    pub(super) fn hide(&self) {
        let _book = self.book.lock();
        self.views.hide();
    }
}
