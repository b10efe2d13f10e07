//! Makes the interposed functions visible to libraries, in the programs and tests of this package.
//!
//! Linkers export them by themselves, since the C library defines the same names; here it is said aloud.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    for symbol in [
        "__cxa_thread_atexit_impl",
        "pthread_create",
        "pthread_key_create",
        "pthread_key_delete",
    ] {
        println!("cargo:rustc-link-arg=-Wl,--export-dynamic-symbol={symbol}");
    }
}
