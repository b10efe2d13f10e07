//! The frame: which snapshot the running call of a thread sees, and how its plugins look at what they have parsed of it.
//!
//! A call sees one snapshot from start to end, and so do the calls that it makes to other plugins. Nothing is done for
//! that when a call begins: the first look in it, or the first call that it makes, opens a *frame* on its thread, which holds
//! as long as that call is inside its gate. A look in a valid frame is a few loads of this thread's own memory.
//!
//! # Terms and states
//! - *frame*: a span, and the entry that was looked at last. None; of a call (its [`Brief`] says whether it lasts);
//!   *standing*, where a pending call is polled or something else is run for it: then it lasts until it is taken away.
//! - *entry*: one thread's hold on what one reader has prepared of one snapshot. *Held* by a stay, by looks, or by both;
//!   *free* when the stay is over and nobody looks; *empty* when what it held was taken out.
//! - *look*: a plugin's [`Glance`] that has not been given back. It is counted on its entry, by its thread alone.
//! - *outside*: a look that is no call's: in a job, in `new`, on a raw thread. It opens no frame, and sees what is shown now.
//!
//! # Who may touch what
//! `FRAME` and `SHELF` belong to their thread. An entry's `looks` and `addresses` are written by its thread; anybody reads
//! `looks`. What an entry holds is behind its lock: its thread puts it there, and takes it out when it is free; the
//! reader's keeper takes it out when it is free, and when the reader has ended.
//!
//! # Protocols, and why they hold
//! 1. *The outermost call identifies.* Whoever makes a nested call opens the frame before ([`open`]). So where a plugin looks
//!    and no frame lasts, no other plugin is further out on this thread: if it is inside its own gate, that call is the
//!    outermost. Calls that are nested on one gate do not move its pin, and those on others move other pins.
//! 2. *Looking without a lock, against taking out.* In a frame of a call, the entry is held by the call's stay: the keeper
//!    finds the stay over only after the mark of its end was stored with release, and all looks of that call before. In a standing
//!    frame, the session counts as a look. Outside, the look is counted under the entry's lock. A look that is kept
//!    longer is seen in `looks`, which it leaves with release.
//! 3. *A frame's pointers.* `FRAME` leads to entries on this thread's shelf, which are not taken off it while it does, and to a
//!    pin that the shelf's `stay` keeps; what is put aside for a standing frame keeps both. The shelf's end unsets it.
//! 4. *A reader's windows* lie in the reader, which the services hold that the lens was given by.
//!
//! # Races considered
//! A thread that ends leaves its entries to the readers' lists, with the looks that are counted there; one that is past its
//! thread-locals opens no frame, and looks as if from outside. Code of a plugin that runs while a frame is changed (a
//! parser, a `Drop`) may look itself: the shelf is not borrowed then. Threads that idle hold nothing for long: when the next
//! snapshot is shown, what their ended calls held is taken out.
//!
//! Where plugins of two hosts call each other by way of the program around them, a frame is that of the host that opened
//! it, and looks of the other host's are outside.

use super::{
    entry::{Entry, Held},
    reader::Reader,
    snapshot::{Shown, Snapshot},
};
use crate::gate::{Brief, GateId, Stay};
use plugin_api::contract::{Glance, Lens};
use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    ptr,
    sync::Arc,
};

/// Through which one read of a reader is looked at.
pub(super) struct Window {
    of: *const Reader,
    /// That of the reader.
    id: u64,
    read: usize,
}

// SAFETY: What `of` leads to is `Sync`, and followed by `look` only.
unsafe impl Send for Window {}
// SAFETY: As above.
unsafe impl Sync for Window {}

impl Window {
    /// The window of a reader's read.
    pub(super) fn new(of: *const Reader, id: u64, read: usize) -> Window {
        Window { of, id, read }
    }

    /// As the plugin has it. Whoever gets it holds the reader.
    pub(super) fn lens(&self) -> Lens {
        Lens {
            look,
            of: (&raw const *self).cast(),
        }
    }
}

/// How long what a thread sees stays the same.
#[derive(Debug, Clone, Copy)]
enum Span {
    /// Not at all.
    None,
    /// As long as this call.
    Call(Brief),
    /// Until it is taken away.
    Standing,
}

#[derive(Clone, Copy)]
struct Frame {
    span: Span,
    /// On this thread's shelf; null before the first look.
    entry: *const Entry,
}

impl Frame {
    const NONE: Frame = Frame {
        span: Span::None,
        entry: ptr::null(),
    };

    #[inline(always)]
    fn lasts(&self) -> bool {
        match self.span {
            Span::None => false,
            // SAFETY: It is this thread's, and its pin is kept by a stay on the shelf, or in the session that the frame was put
            // aside for (protocol 3).
            Span::Call(brief) => unsafe { brief.lasts() },
            Span::Standing => true,
        }
    }

    #[inline(always)]
    fn entry(&self) -> Option<&Entry> {
        // SAFETY: Null, or on this thread's shelf (protocol 3).
        unsafe { self.entry.as_ref() }
    }
}

/// What a frame's calls see, and of whom.
type Seen = (u64, Arc<Snapshot>);

/// What a thread has on its shelf.
struct Own {
    entries: Vec<Arc<Entry>>,
    /// That of the frame.
    stay: Option<Stay>,
    /// What the frame sees, where that is settled before the first look.
    seen: Option<Seen>,
    /// The entries that standing frames hold, from the outside in.
    sessions: Vec<Vec<Arc<Entry>>>,
}

struct Shelf(RefCell<Own>);

thread_local! {
    static FRAME: Cell<Frame> = const { Cell::new(Frame::NONE) };
    static SHELF: Shelf = const {
        Shelf(RefCell::new(Own {
            entries: Vec::new(),
            stay: None,
            seen: None,
            sessions: Vec::new(),
        }))
    };
}

impl Drop for Shelf {
    fn drop(&mut self) {
        FRAME.set(Frame::NONE);
    }
}

/// `None` on a thread past its thread-locals.
fn with_shelf<R>(work: impl FnOnce(&mut Own) -> R) -> Option<R> {
    SHELF.try_with(|shelf| work(&mut shelf.0.borrow_mut())).ok()
}

impl Own {
    /// What a frame that lasts sees, once that is settled.
    fn seen(&self, frame: Frame) -> Option<Seen> {
        if self.seen.is_some() {
            return self.seen.clone();
        }
        let entry = frame.entry()?;
        Some((entry.publisher, entry.snapshot()?))
    }

    /// Opens a frame of this call.
    fn open(&mut self, call: Brief, entry: *const Entry) {
        call.keep(&mut self.stay);
        self.seen = None;
        let span = Span::Call(call);
        FRAME.set(Frame { span, entry });
    }

    /// Has the frame lead to this entry, on which a look is counted.
    fn turn_to(&mut self, span: Span, entry: &Arc<Entry>, snapshot: &Arc<Snapshot>) {
        let place = Arc::as_ptr(entry);
        match span {
            Span::None => {}
            Span::Call(call) if self.stay.as_ref().is_some_and(|stay| stay.is(call)) => {
                FRAME.set(Frame { span, entry: place });
            }
            Span::Call(call) => self.open(call, place),
            Span::Standing => {
                if let Some(session) = self.sessions.last_mut()
                    && !session.iter().any(|held| Arc::ptr_eq(held, entry))
                {
                    entry.count(1);
                    session.push(Arc::clone(entry));
                }
                let publisher = entry.publisher;
                self.seen
                    .get_or_insert_with(|| (publisher, Arc::clone(snapshot)));
                FRAME.set(Frame { span, entry: place });
            }
        }
    }
}

/// A look through a window.
extern "C" fn look(of: *const ()) -> Glance {
    // SAFETY: It is the address of a window, from `Window::lens`, and the services hold its reader (protocol 4).
    let window = unsafe { &*of.cast::<Window>() };
    let frame = FRAME.get();
    if let Some(entry) = frame.entry()
        && entry.reader == window.id
        && frame.lasts()
    {
        entry.count(1);
        return entry.glance(window.read);
    }
    // SAFETY: The window lies in the reader.
    let reader = unsafe { &*window.of };
    look_anew(reader, window.read, frame)
}

/// A look where the frame leads elsewhere, or there is none.
#[cold]
#[inline(never)]
fn look_anew(reader: &Reader, read: usize, frame: Frame) -> Glance {
    let (span, seen) = span_of(reader, frame);
    let shown = reader.shown();
    let now;
    let snapshot = match &seen {
        Some((_, snapshot)) => snapshot,
        None => {
            now = shown.load();
            &now
        }
    };
    let stay = match span {
        Span::Call(brief) => Some(brief),
        Span::None | Span::Standing => None,
    };
    let shared = with_shelf(|own| {
        let mut entries = own.entries.iter();
        let entry =
            entries.find(|entry| entry.reader == reader.id() && entry.share(snapshot, stay))?;
        let entry = Arc::clone(entry);
        own.turn_to(span, &entry, snapshot);
        Some(entry.glance(read))
    });
    if let Some(Some(glance)) = shared {
        return glance;
    }
    // The shelf is free meanwhile: this may run the author's code.
    let Some(new) = Held::new(reader.at(snapshot), snapshot, stay, read) else {
        return Glance::NOTHING;
    };
    let (entry, old) = put(reader, new);
    with_shelf(|own| own.turn_to(span, &entry, snapshot));
    let glance = entry.glance(read);
    // Only now: this may run the author's code as well.
    drop(old);
    glance
}

/// For how long a look of this reader holds, and what it sees, if that is settled.
fn span_of(reader: &Reader, frame: Frame) -> (Span, Option<Seen>) {
    if frame.lasts() {
        let seen = with_shelf(|own| own.seen(frame)).flatten();
        return match seen {
            Some((publisher, _)) if publisher != reader.shown().id() => (Span::None, None),
            seen => (frame.span, seen),
        };
    }
    match with_shelf(|_| reader.gate_id().stay()).flatten() {
        Some(call) => (Span::Call(call), None),
        None => (Span::None, None),
    }
}

/// Finds an entry of this thread's for what is to be held, and puts it there; gives what was there.
fn put(reader: &Reader, new: Held) -> (Arc<Entry>, Option<Held>) {
    let mut new = Some(new);
    let found = with_shelf(|own| {
        own.entries.iter().find_map(|entry| {
            if entry.reader != reader.id() {
                return None;
            }
            match entry.put(new.take()?) {
                Ok(old) => Some((Arc::clone(entry), old)),
                Err(back) => {
                    new = Some(back);
                    None
                }
            }
        })
    });
    if let Some(Some(found)) = found {
        return found;
    }
    let entry = Entry::new(reader);
    reader.list(&entry);
    let old = match new {
        Some(new) => entry.put(new).unwrap_or_else(Some),
        None => None,
    };
    with_shelf(|own| {
        // Those of readers that have ended hold nothing; the frame leads to one of them perhaps.
        let frame = FRAME.get();
        own.entries.retain(|entry| {
            ptr::eq(Arc::as_ptr(entry), frame.entry) || Arc::strong_count(entry) > 1
        });
        own.entries.push(Arc::clone(&entry));
    });
    (entry, old)
}

/// The plugin behind this gate is about to call another on this thread: what that sees is what this call sees.
pub(crate) fn open(gate_id: GateId) {
    let frame = FRAME.get();
    if !frame.lasts()
        && let Some(call) = gate_id.stay()
    {
        with_shelf(|own| own.open(call, ptr::null()));
    }
}

/// What a pending call sees, and all that is within it, on whatever thread.
#[derive(Clone, Default)]
pub(crate) struct Scope(Option<Seen>);

impl Scope {
    /// What the calling thread's call sees, settled now; what is shown, where there is none.
    pub(crate) fn current(shown: &Shown) -> Scope {
        let frame = FRAME.get();
        if !frame.lasts() {
            return Scope::present(shown);
        }
        let seen = with_shelf(|own| {
            if own.seen(frame).is_none() {
                own.seen = Some((shown.id(), shown.load_full()));
            }
            own.seen(frame)
        });
        match seen.flatten() {
            Some((publisher, snapshot)) if publisher == shown.id() => {
                Scope(Some((publisher, snapshot)))
            }
            _ => Scope::present(shown),
        }
    }

    /// What is shown.
    pub(crate) fn present(shown: &Shown) -> Scope {
        Scope(Some((shown.id(), shown.load_full())))
    }

    /// What the calling thread runs sees this, until the result is dropped.
    pub(crate) fn begin(&self) -> Session {
        let before = FRAME.get();
        let aside = with_shelf(|own| {
            own.sessions.push(Vec::new());
            let seen = std::mem::replace(&mut own.seen, self.0.clone());
            let is_its = |entry: &&Arc<Entry>| ptr::eq(Arc::as_ptr(entry), before.entry);
            let entry = own.entries.iter().find(is_its).cloned();
            FRAME.set(Frame {
                span: Span::Standing,
                entry: ptr::null(),
            });
            Aside {
                frame: before,
                _entry: entry,
                stay: own.stay.take(),
                seen,
            }
        });
        Session {
            aside,
            _on_this_thread: PhantomData,
        }
    }
}

/// What was put aside for a standing frame.
struct Aside {
    frame: Frame,
    /// That of the frame, which so stays on the shelf.
    _entry: Option<Arc<Entry>>,
    stay: Option<Stay>,
    seen: Option<Seen>,
}

/// A thread runs something for a pending call.
pub(crate) struct Session {
    aside: Option<Aside>,
    _on_this_thread: PhantomData<*const ()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(aside) = self.aside.take() else {
            return;
        };
        let left = with_shelf(|own| {
            FRAME.set(aside.frame);
            own.stay = aside.stay;
            let seen = std::mem::replace(&mut own.seen, aside.seen);
            let held = own.sessions.pop().unwrap_or_default();
            for entry in &held {
                entry.count(-1);
            }
            (seen, held)
        });
        drop(left);
    }
}
