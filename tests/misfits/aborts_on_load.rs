//! A misfit that ends the process while it is being loaded.
#![expect(unsafe_code, reason = "a constructor is an entry in a section")]

extern "C" fn abort() {
    std::process::abort();
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = abort;

/// Nothing to speak of.
#[derive(Default)]
struct AbortsOnLoad;

#[plugin_api::plugin(name = "aborts-on-load", version = "1.0.0", stateless)]
impl AbortsOnLoad {
    /// Returns 1.
    fn touch(&self) -> u64 {
        1
    }
}
