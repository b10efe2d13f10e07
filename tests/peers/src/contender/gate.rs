//! The gate alone: the host's own source, which guards and counts, with a function pointer behind it and nothing else of the
//! product. This is the one place that knows how the gate is used.

use super::{Caller, Contender, Who};
use crate::{
    host_sources::gate::{Call, Gate, Place, Tally, Tenant},
    library::{Add, Adder},
};
use anyhow::Result;
use std::{sync::Arc, time::Duration};

/// How long a caller may wait outside.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// What is called, as far as the gate is told.
const CALL: Call = Call::of(0, false);

/// The functions behind the gate, as one tenant of several.
pub(crate) struct Numbered {
    number: u64,
    tally: Arc<Tally>,
    adder: Arc<Adder>,
    add: Add,
}

impl Numbered {
    /// The functions, under this number.
    pub(crate) fn new(number: u64, adder: Arc<Adder>) -> Arc<Self> {
        Arc::new(Numbered {
            number,
            tally: Arc::default(),
            add: adder.add,
            adder,
        })
    }

    /// The same functions under another number.
    pub(crate) fn successor(&self, number: u64) -> Arc<Self> {
        Numbered::new(number, Arc::clone(&self.adder))
    }
}

impl Tenant for Numbered {
    type View = Self;

    // Who has a timed view, has his own functions there.
    fn views(&self) -> [&Self; 2] {
        [self; 2]
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

/// A gate that is open on the functions.
pub(crate) fn open(adder: Arc<Adder>) -> Gate<Numbered> {
    let gate = Gate::new();
    // Nothing was behind it, so nobody leaves.
    drop(gate.replace(Some(Numbered::new(1, adder))));
    gate
}

/// Goes through the gate to do this. `place` is the gate's, as a handle has it.
#[inline(always)]
pub(crate) fn pass<R, F: FnOnce(Add) -> R>(gate: &Gate<Numbered>, place: Place, inside: F) -> R {
    let quickly = gate.pass_quickly(
        place,
        CALL,
        #[inline(always)]
        |_, view| Some(view.add),
        #[inline(always)]
        |_, add, inside: F| inside(add),
        inside,
    );
    match quickly {
        Ok(result) => result,
        Err(inside) => pass_slowly(gate, inside),
    }
}

#[cold]
#[inline(never)]
fn pass_slowly<R, F: FnOnce(Add) -> R>(gate: &Gate<Numbered>, inside: F) -> R {
    match gate.pass(LIMIT, CALL, move |tenant| inside(tenant.add)) {
        Ok(result) => result,
        Err(refusal) => panic!("the gate opens in time: {refusal:?}"),
    }
}

/// The contender.
pub(crate) struct BehindGate(Gate<Numbered>);

impl BehindGate {
    pub(crate) fn new(adder: Arc<Adder>) -> Self {
        BehindGate(open(adder))
    }
}

impl Contender for BehindGate {
    fn who(&self) -> Who {
        Who::Gate
    }

    fn what(&self) -> String {
        "**the gate alone**, before a function pointer, with a count".to_owned()
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        let (gate, place) = (&self.0, self.0.place());
        Ok(Box::new(
            #[inline(always)]
            move |a, b| pass(gate, place, move |add| add(a, b)),
        ))
    }
}
