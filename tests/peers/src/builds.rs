//! The builds: cargo makes the libraries that are called, and the program `host`, all with the plain release profile.

use anyhow::{Context, Result, ensure};
use std::{
    ffi::OsString,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The libraries that are called.
pub(crate) struct Libraries {
    /// Without a contract.
    pub(crate) adder: PathBuf,
    /// A plugin with `&self` methods.
    pub(crate) calc: PathBuf,
    /// A plugin with a `&mut self` method.
    pub(crate) tally: PathBuf,
}

/// The program `host`, and the plugin it serves.
pub(crate) struct Service {
    pub(crate) program: PathBuf,
    pub(crate) counter: PathBuf,
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Builds the libraries.
pub(crate) fn libraries() -> Result<Libraries> {
    let built = build(package(), &["adder", "calc", "tally"])?;
    Ok(Libraries {
        adder: built.join("libadder.so"),
        calc: built.join("libcalc.so"),
        tally: built.join("libtally.so"),
    })
}

/// Builds the program and its plugin, where the workspace builds them.
pub(crate) fn service() -> Result<Service> {
    let root = package().join("../..").canonicalize()?;
    let built = build(&root, &["host", "counter"])?;
    Ok(Service {
        program: built.join("host"),
        counter: built.join("libcounter.so"),
    })
}

/// Builds packages of the workspace at `root`; gives the folder where they are then.
fn build(root: &Path, packages: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .stdout(Stdio::null());
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    for package in packages {
        command.args(["--package", package]);
    }
    let status = command.status().context("starting cargo")?;
    ensure!(
        status.success(),
        "cargo build of {} failed: {status}",
        packages.join(", ")
    );
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release"))
}
