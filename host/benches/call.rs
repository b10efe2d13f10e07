//! A call of a plugin as an embedding service makes it, by name: `&self` and `&mut self`, at one thread and at two.
//!
//! ```text
//! cargo bench -p host --bench call
//! ```
//!
//! It builds the example plugin `counter` in release first.

mod threads;

use anyhow::{Context, Result, ensure};
use criterion::Criterion;
use host::Host;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use threads::together;

/// What is called: how, method, arguments.
const CALLS: [(&str, &str, &[u8]); 2] = [("&self", "total", b"[]"), ("&mut self", "add", b"[1]")];

fn main() -> Result<()> {
    // First of all: artifacts are examined in a child process, which is this program once more.
    host::examiner();
    let state = tempfile::tempdir()?;
    let host = Host::builder().state_dir(state.path()).start()?;
    host.load(&counter()?)?;
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    by_name(&mut criterion, &host);
    criterion.final_summary();
    Ok(())
}

fn by_name(criterion: &mut Criterion, host: &Host) {
    for (how, method, arguments) in CALLS {
        let call = || {
            let reply = host.call("counter", method, arguments);
            reply.expect("it serves")
        };
        criterion.bench_function(&format!("by name/{how}, one thread"), |bench| {
            bench.iter(call)
        });
        criterion.bench_function(&format!("by name/{how}, two threads"), |bench| {
            bench.iter_custom(|times| together(times, || || drop(call())));
        });
    }
}

/// The library of the example plugin, freshly built.
fn counter() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "counter"])
        .current_dir(root)
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "the plugin `counter` does not build");
    // This program lies in `deps` of the same folder.
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent);
    Ok(folder
        .context("the bench is not where cargo puts it")?
        .join("libcounter.so"))
}
