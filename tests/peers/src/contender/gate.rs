//! The gate alone: the host's own source, which guards and counts, with a function pointer behind it and nothing else of the
//! product. This is the one place that knows how the gate is used.

use super::{Caller, Contender, Who};
use crate::{
    host_sources::gate::{Approach, Call, Gate, Tally, Tenant},
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

/// A gate, as a handle has it.
pub(crate) type OpenGate = Approach<Gate<Numbered>>;

/// A gate that is open on the functions.
pub(crate) fn open(adder: Arc<Adder>) -> OpenGate {
    let gate = Gate::new();
    // Nothing was behind it, so nobody leaves.
    drop(gate.replace(Some(Numbered::new(1, adder))));
    Approach::to(Arc::new(gate))
}

/// Goes through the gate to do this.
#[inline(always)]
pub(crate) fn pass<R, F: FnOnce(Add) -> R>(gate: &OpenGate, inside: F) -> R {
    let quickly = gate.pass_quickly(
        CALL,
        #[inline(always)]
        |here| Some(here.view().add),
        #[inline(always)]
        |_, add, inside: F| inside(add),
        inside,
    );
    match quickly {
        Ok(result) => result,
        Err(inside) => pass_slowly(gate.holder(), inside),
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
pub(crate) struct BehindGate(OpenGate);

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
        let gate = &self.0;
        Ok(Box::new(
            #[inline(always)]
            move |a, b| pass(gate, move |add| add(a, b)),
        ))
    }
}
