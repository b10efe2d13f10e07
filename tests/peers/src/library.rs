//! The library: `adder`, mapped by hand, as it is where there is no host at all.

use anyhow::{Context, Result};
use libloading::Library;
use std::path::Path;

/// The type of the function that everybody calls.
pub(crate) type Add = fn(u64, u64) -> u64;
/// The same, with a status: the raw form of a typed call.
pub(crate) type AddWithStatus = extern "C" fn(u64, u64) -> Returned;

/// As `adder` has it.
#[repr(C)]
pub(crate) struct Returned {
    pub(crate) status: u64,
    pub(crate) value: u64,
}

/// The functions, and the library that holds them.
pub(crate) struct Adder {
    pub(crate) add: Add,
    pub(crate) add_with_status: AddWithStatus,
    _library: Library,
}

#[expect(
    unsafe_code,
    reason = "a function in a library has the type that one says it has"
)]
impl Adder {
    /// Maps the library.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        // SAFETY: It is `adder`, just built, whose initialisers are those of the standard library.
        let library = unsafe { Library::new(file) };
        let library = library.with_context(|| format!("mapping {}", file.display()))?;
        // SAFETY: So it is declared in `adder`, which the same compiler built.
        let add = *unsafe { library.get::<Add>(b"add\0") }?;
        // SAFETY: As above.
        let add_with_status = *unsafe { library.get::<AddWithStatus>(b"add_with_status\0") }?;
        Ok(Adder {
            add,
            add_with_status,
            _library: library,
        })
    }
}
