//! The frame: which snapshot the running call of a thread sees, and how its plugins look at what they have parsed of it.
//!
//! A call sees one snapshot from start to end, and so do the calls that it makes to other plugins. Nothing is done for
//! that when a call begins: the first look in it, or the first call that it makes, opens a *frame* on its thread, which holds
//! as long as that call is inside its gate. A look in a valid frame is a few loads of this thread's own memory, also where
//! the plugins that the call goes through look in turns.
//!
//! # Terms and states
//! - *frame*: a span, and the entries that were looked at, each in the *place* of its reader; readers whose numbers are so
//!   far apart that they have one place turn each other out of it, and find their entries on the shelf again. None; of a
//!   call (its [`Brief`] says whether it lasts); *standing*, where a pending call is polled or something else is run for
//!   it: then it lasts until it is taken away.
//! - *entry*: one thread's hold on what one reader has prepared of one snapshot. *Held* by a stay, by looks, or by both;
//!   *free* when the stay is over and nobody looks; *empty* when what it held was taken out.
//!   One that is no reader's, in the list of what is shown, holds the snapshot alone: of a call that was to hand on what it sees
//!   before it looked.
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
//!    pin that the shelf's `stay` keeps. For what is put aside for a standing frame, on the same shelf, both hold too. The
//!    shelf's end unsets it.
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

/// Entries that a frame can lead to: more than most calls go through plugins that look.
const PLACES: usize = 8;

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

struct Frame {
    span: Cell<Span>,
    /// On this thread's shelf; null before the first look.
    places: [Cell<*const Entry>; PLACES],
}

impl Frame {
    const fn of(span: Span) -> Frame {
        Frame {
            span: Cell::new(span),
            places: [const { Cell::new(ptr::null()) }; PLACES],
        }
    }

    #[inline(always)]
    fn lasts(&self) -> bool {
        match self.span.get() {
            Span::None => false,
            // SAFETY: It is this thread's, and its pin is kept by a stay on the shelf (protocol 3).
            Span::Call(brief) => unsafe { brief.lasts() },
            Span::Standing => true,
        }
    }

    /// Where the entry of this reader is, if there is one.
    #[inline(always)]
    fn place(&self, reader: u64) -> &Cell<*const Entry> {
        &self.places[reader as usize % PLACES]
    }

    #[inline(always)]
    fn entry(&self, reader: u64) -> Option<&Entry> {
        // SAFETY: Null, or on this thread's shelf (protocol 3).
        let entry = unsafe { self.place(reader).get().as_ref() }?;
        (entry.reader == reader).then_some(entry)
    }

    /// Whether it leads to this entry.
    fn has(&self, entry: &Arc<Entry>) -> bool {
        ptr::eq(self.place(entry.reader).get(), Arc::as_ptr(entry))
    }

    /// Puts the other one in its place.
    fn swap(&self, other: &Frame) {
        self.span.swap(&other.span);
        for (place, other) in self.places.iter().zip(&other.places) {
            place.swap(other);
        }
    }
}

/// What a frame's calls see, and of whom.
type Seen = (u64, Arc<Snapshot>);

/// What a thread has on its shelf.
struct Own {
    entries: Vec<Arc<Entry>>,
    /// That of the frame.
    stay: Option<Stay>,
    /// What the frame sees, where no entry of its says so.
    seen: Option<Seen>,
    /// From the outside in.
    standing: Vec<Standing>,
}

/// A standing frame.
struct Standing {
    /// The entries that it holds.
    held: Vec<Arc<Entry>>,
    /// What was put aside for it.
    aside: Frame,
    stay: Option<Stay>,
    seen: Option<Seen>,
}

struct Shelf(RefCell<Own>);

thread_local! {
    static FRAME: Frame = const { Frame::of(Span::None) };
    static SHELF: Shelf = const {
        Shelf(RefCell::new(Own {
            entries: Vec::new(),
            stay: None,
            seen: None,
            standing: Vec::new(),
        }))
    };
}

impl Drop for Shelf {
    fn drop(&mut self) {
        FRAME.with(|frame| frame.swap(&Frame::of(Span::None)));
    }
}

/// `None` on a thread past its thread-locals.
fn with_shelf<R>(work: impl FnOnce(&mut Own) -> R) -> Option<R> {
    SHELF.try_with(|shelf| work(&mut shelf.0.borrow_mut())).ok()
}

impl Own {
    /// What the frame sees, if it lasts and that is settled.
    fn seen(&self) -> Option<Seen> {
        if self.seen.is_some() {
            return self.seen.clone();
        }
        FRAME.with(|frame| {
            let mut entries = self.entries.iter().filter(|entry| frame.has(entry));
            entries.find_map(|entry| Some((entry.publisher, entry.snapshot()?)))
        })
    }

    /// Opens a frame of this call.
    fn open(&mut self, call: Brief) {
        let frame = Frame::of(Span::Call(call));
        call.keep(&mut self.stay);
        FRAME.with(|present| present.swap(&frame));
        self.seen = None;
    }

    /// Settles that what has this span sees this.
    fn settle(&mut self, span: Span, publisher: u64, snapshot: &Arc<Snapshot>) {
        match span {
            Span::None => return,
            Span::Call(call) if !self.stay.as_ref().is_some_and(|stay| stay.is(call)) => {
                self.open(call);
            }
            Span::Call(_) | Span::Standing => {}
        }
        self.seen
            .get_or_insert_with(|| (publisher, Arc::clone(snapshot)));
    }

    /// Has the frame lead to this entry, on which a look is counted.
    fn turn_to(&mut self, span: Span, entry: &Arc<Entry>, snapshot: &Arc<Snapshot>) {
        match span {
            Span::None => return,
            Span::Call(call) => {
                if !self.stay.as_ref().is_some_and(|stay| stay.is(call)) {
                    self.open(call);
                }
                // The entry has it, and can be asked for it back when the call has ended.
                self.seen = None;
            }
            Span::Standing => {
                self.settle(span, entry.publisher, snapshot);
                if let Some(standing) = self.standing.last_mut()
                    && !standing.held.iter().any(|held| Arc::ptr_eq(held, entry))
                {
                    entry.count(1);
                    standing.held.push(Arc::clone(entry));
                }
            }
        }
        FRAME.with(|frame| frame.place(entry.reader).set(Arc::as_ptr(entry)));
    }

    /// Settles that what has this span sees what is shown. Not by `seen` where it is a call's, since nobody else can take it
    /// out of there when that has ended.
    fn see(&mut self, span: Span, shown: &Shown) {
        let snapshot = shown.load_full();
        let Span::Call(call) = span else {
            return self.settle(span, shown.id(), &snapshot);
        };
        let is_its = |entry: &&Arc<Entry>| entry.reader == 0 && entry.publisher == shown.id();
        let entry = match self.entries.iter().find(is_its) {
            Some(entry) => Arc::clone(entry),
            None => {
                let entry = Entry::new(0, shown.id());
                shown.list(&entry);
                self.shelve(&entry);
                entry
            }
        };
        // With no call further out that could hold it, it is free.
        if let Ok(_old) = entry.put(Held::bare(&snapshot, call)) {
            entry.count(-1);
            self.turn_to(span, &entry, &snapshot);
        }
    }

    /// Takes this entry on, and those of readers that have ended off: they hold nothing, but a frame may lead to them.
    fn shelve(&mut self, new: &Arc<Entry>) {
        let standing = &self.standing;
        self.entries.retain(|entry| {
            Arc::strong_count(entry) > 1
                || FRAME.with(|frame| frame.has(entry))
                || standing.iter().any(|standing| standing.aside.has(entry))
        });
        self.entries.push(Arc::clone(new));
    }
}

/// A look through a window.
extern "C" fn look(of: *const ()) -> Glance {
    // SAFETY: It is the address of a window, from `Window::lens`, and the services hold its reader (protocol 4).
    let window = unsafe { &*of.cast::<Window>() };
    let glance = FRAME.with(|frame| {
        let entry = frame.entry(window.id)?;
        (frame.lasts() && entry.takes_a_look()).then(|| entry.glance(window.read))
    });
    if let Some(glance) = glance {
        return glance;
    }
    // SAFETY: The window lies in the reader.
    let reader = unsafe { &*window.of };
    look_anew(reader, window.read)
}

/// A look where the frame does not lead to the reader's entry, or there is none.
#[cold]
#[inline(never)]
fn look_anew(reader: &Reader, read: usize) -> Glance {
    let (span, seen) = span_of(reader);
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
    // The shelf is free meanwhile: this may run the author's code, and whatever that looks at is to be of this snapshot.
    with_shelf(|own| own.settle(span, shown.id(), snapshot));
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
fn span_of(reader: &Reader) -> (Span, Option<Seen>) {
    if let Some(span) = lasting() {
        let seen = with_shelf(|own| own.seen()).flatten();
        return match seen {
            Some((publisher, _)) if publisher != reader.shown().id() => (Span::None, None),
            seen => (span, seen),
        };
    }
    match with_shelf(|_| reader.gate_id().stay()).flatten() {
        Some(call) => (Span::Call(call), None),
        None => (Span::None, None),
    }
}

/// The span of this thread's frame, if that lasts.
fn lasting() -> Option<Span> {
    FRAME.with(|frame| frame.lasts().then(|| frame.span.get()))
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
    let entry = Entry::new(reader.id(), reader.shown().id());
    reader.list(&entry);
    let old = match new {
        Some(new) => entry.put(new).unwrap_or_else(Some),
        None => None,
    };
    with_shelf(|own| own.shelve(&entry));
    (entry, old)
}

/// The plugin behind this gate is about to call another on this thread: what that sees is what this call sees.
pub(crate) fn open(gate_id: GateId) {
    if lasting().is_none()
        && let Some(call) = gate_id.stay()
    {
        with_shelf(|own| own.open(call));
    }
}

/// Closes the calling thread's frame, if that does not last. Calls come by here now and then, be it that nobody looks: a brief
/// of a call that is over is kept for ticks then, and not until the marks of its pin have gone round.
pub(crate) fn leave_what_is_over() {
    FRAME.with(|frame| {
        if !frame.lasts() {
            frame.span.set(Span::None);
        }
    });
}

/// Whether the calling thread's frame is of a call, be that over or not.
#[cfg(test)]
pub(super) fn keeps_a_brief() -> bool {
    FRAME.with(|frame| matches!(frame.span.get(), Span::Call(_)))
}

/// What a pending call sees, and all that is within it, on whatever thread.
#[derive(Clone, Default)]
pub(crate) struct Scope(Option<Seen>);

impl Scope {
    /// What the calling thread's call sees, settled now; what is shown, where there is none.
    pub(crate) fn current(shown: &Shown) -> Scope {
        let Some(span) = lasting() else {
            return Scope::present(shown);
        };
        let seen = with_shelf(|own| {
            if own.seen().is_none() {
                own.see(span, shown);
            }
            own.seen()
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
        let begun = with_shelf(|own| {
            let frame = Frame::of(Span::Standing);
            FRAME.with(|present| present.swap(&frame));
            own.standing.push(Standing {
                held: Vec::new(),
                aside: frame,
                stay: own.stay.take(),
                seen: std::mem::replace(&mut own.seen, self.0.clone()),
            });
        });
        Session {
            has_begun: begun.is_some(),
            _on_this_thread: PhantomData,
        }
    }
}

/// A thread runs something for a pending call.
pub(crate) struct Session {
    /// Not on a thread past its thread-locals.
    has_begun: bool,
    _on_this_thread: PhantomData<*const ()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.has_begun {
            return;
        }
        let left = with_shelf(|own| {
            let standing = own.standing.pop()?;
            let Standing {
                held,
                aside,
                stay,
                seen,
            } = standing;
            FRAME.with(|present| present.swap(&aside));
            own.stay = stay;
            for entry in &held {
                entry.count(-1);
            }
            Some((std::mem::replace(&mut own.seen, seen), held))
        });
        drop(left);
    }
}
