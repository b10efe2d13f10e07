//! A misfit that is a library like any other, and no plugin at all.
#![expect(unsafe_code, reason = "an exported function has a link name")]

/// Returns 42.
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> u32 {
    42
}
