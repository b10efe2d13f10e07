//! A row: where a thread finds its pins by one load.
//!
//! Every thread has one, an array among its thread-locals. A gate whose callers need no fence takes a *place* in all rows at
//! its birth, the same in each, as long as there is one, and gives it back at its end. What a thread's row shows there is
//! that thread's pin on the gate; or one on a gate that had the place before, which shows nothing, so that nobody passes
//! by it. Gates without a place have their pins looked up in the thread's table, on a way that is not inlined.
//!
//! Who may touch what: a row belongs to its thread. What it shows is kept by that thread's table, and taken out of the row
//! before it goes.

use super::{
    fence::Fences,
    pin::Pin,
    sync::{next_gate, thread_local},
};
use std::{
    cell::Cell,
    ptr::NonNull,
    sync::{Mutex, PoisonError},
};

/// Which gate; of use beyond the gate's own life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GateId {
    place: Place,
    /// Never used again.
    pub(super) number: usize,
}

/// Where rows show the pins on a gate. The first is no gate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u8);

const NOWHERE: Place = Place(0);

/// As many as a place can number.
const PLACES: usize = 1 << u8::BITS;

type Row = [Cell<Option<NonNull<Pin>>>; PLACES];

thread_local! {
    static ROW: Row = const { [const { Cell::new(None) }; PLACES] };
}

/// The places that no gate has.
static FREE: Mutex<Free> = Mutex::new(Free {
    given_back: Vec::new(),
    last: NOWHERE,
});

struct Free {
    given_back: Vec<Place>,
    /// Those above it were never taken.
    last: Place,
}

impl Free {
    fn take(&mut self) -> Option<Place> {
        self.given_back.pop().or_else(|| {
            self.last = Place(self.last.0.checked_add(1)?);
            Some(self.last)
        })
    }
}

impl Place {
    /// What the calling thread's row shows there.
    #[inline(always)]
    pub(super) fn shown(self) -> Option<NonNull<Pin>> {
        let shown = |row: &Row| row[usize::from(self.0)].get();
        ROW.try_with(shown).ok().flatten()
    }
}

impl GateId {
    /// That of a new gate with these fences.
    pub(super) fn new(fences: Fences) -> GateId {
        let place = match fences {
            Fences::OnTheOne => free(Free::take).unwrap_or(NOWHERE),
            Fences::OnEach => NOWHERE,
        };
        GateId {
            place,
            number: next_gate(),
        }
    }

    /// That of a gate that has come when all places were taken.
    #[cfg(all(test, not(modelled)))]
    pub(super) fn without_place() -> GateId {
        GateId::new(Fences::OnEach)
    }

    /// Whether rows show the pins on both at the same place.
    #[cfg(all(test, not(modelled)))]
    pub(super) fn shares_place_with(self, other: GateId) -> bool {
        self.has_place() && self.place == other.place
    }

    /// Gives its place back: no pin on the gate shows anything any more.
    pub(super) fn end(self) {
        if self.has_place() {
            free(|free| free.given_back.push(self.place));
        }
    }

    /// Whether rows show the pins on the gate.
    pub(super) fn has_place(self) -> bool {
        self.place != NOWHERE
    }

    /// Where rows show the pins on the gate.
    pub(super) fn place(self) -> Place {
        self.place
    }

    /// What the calling thread's row shows at the gate's place.
    pub(super) fn shown(self) -> Option<NonNull<Pin>> {
        self.place.shown()
    }

    /// Has the calling thread's row show this there. It has no destructor, so every thread has it to its end.
    pub(super) fn show(self, pin: Option<NonNull<Pin>>) {
        if self.has_place() {
            let _done = ROW.try_with(|row| row[usize::from(self.place.0)].set(pin));
        }
    }
}

fn free<R>(with: impl FnOnce(&mut Free) -> R) -> R {
    with(&mut FREE.lock().unwrap_or_else(PoisonError::into_inner))
}
