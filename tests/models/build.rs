//! Has the gate built for the model checker, in this package only.

fn main() {
    println!("cargo:rustc-cfg=modelled");
    println!("cargo:rerun-if-changed=build.rs");
}
