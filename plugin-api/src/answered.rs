//! An answer: what a function of an interface's table gives back, in two registers where the value fits into one.
//!
//! It is a word that says whether there is a value, and the value itself or the address of a fault. The fault lives in the
//! plugin's library, with the function that frees it; whoever receives it copies its text and gives it back at once.

use crate::{
    context::CallError,
    contract::{Fault, FaultKind},
};
use std::mem::ManuallyDrop;

/// What a function of a table gives back.
#[repr(C)]
pub struct Answered<W> {
    /// [`GOOD`], or anything else for a fault.
    status: usize,
    value: Value<W>,
}

const GOOD: usize = 0;
const FAULT: usize = 1;

#[repr(C)]
union Value<W> {
    good: ManuallyDrop<W>,
    fault: *mut Boxed,
}

/// A fault on the heap of the library that made it.
#[repr(C)]
struct Boxed {
    fault: Fault,
    free: extern "C" fn(*mut Boxed),
}

extern "C" fn free(boxed: *mut Boxed) {
    // SAFETY: It is called with what `Answered::fault` made of a `Box` of this library, once.
    drop(unsafe { Box::from_raw(boxed) });
}

impl<W> Answered<W> {
    /// A value.
    #[inline(always)]
    pub fn good(value: W) -> Self {
        Answered {
            status: GOOD,
            value: Value {
                good: ManuallyDrop::new(value),
            },
        }
    }

    /// A fault.
    #[cold]
    #[inline(never)]
    pub fn fault(kind: FaultKind, message: String) -> Self {
        let boxed = Boxed {
            fault: Fault::new(kind, message),
            free,
        };
        Answered {
            status: FAULT,
            value: Value {
                fault: Box::into_raw(Box::new(boxed)),
            },
        }
    }

    /// The value, or a copy of the fault, which is given back to its library. The copy is boxed so that a result of one
    /// word stays in registers.
    ///
    /// # Errors
    /// The fault.
    #[inline(always)]
    pub fn into_result(self) -> Result<W, Box<CallError>> {
        if self.status == GOOD {
            // SAFETY: `good` was written, as the status says.
            let value = unsafe { self.value.good };
            Ok(ManuallyDrop::into_inner(value))
        } else {
            // SAFETY: `fault` was written, as the status says.
            Err(copied(unsafe { self.value.fault }))
        }
    }
}

#[cold]
#[inline(never)]
fn copied(boxed: *mut Boxed) -> Box<CallError> {
    // SAFETY: It is the address of a fault that its library keeps until `free` is called, below.
    let fault = unsafe { &*boxed };
    let copy = Box::new(CallError {
        kind: fault.fault.kind,
        message: fault.fault.message.as_str().to_owned(),
    });
    (fault.free)(boxed);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_value_or_its_fault() {
        assert_eq!(Answered::good(7_u64).into_result(), Ok(7));
        let text = Answered::good("text".to_owned()).into_result();
        assert_eq!(text, Ok("text".to_owned()));
        let fault = Answered::<String>::fault(FaultKind::PANICKED, "broken".to_owned());
        let error = fault.into_result().unwrap_err();
        assert_eq!(error.kind, FaultKind::PANICKED);
        assert_eq!(error.message, "broken");
    }

    #[test]
    fn an_answer_of_a_word_is_two_words() {
        assert_eq!(size_of::<Answered<u64>>(), 16);
        assert_eq!(size_of::<Answered<()>>(), 16);
    }
}
