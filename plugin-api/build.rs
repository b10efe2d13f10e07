//! Records the compiler that builds this crate, and so the plugin that depends on it, for the manifest.

fn main() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = std::process::Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned());
    println!("cargo:rustc-env=PLUGIN_API_RUSTC={version}");
    println!("cargo:rerun-if-changed=build.rs");
}
