//! The machine: on what the figures were made, and with which versions.

use crate::telling::Section;
use anyhow::{Context, Result};
use std::{fs, process::Command, thread};

const LOCK: &str = include_str!("../Cargo.lock");

/// The version of a package, as this program was built with it.
pub(crate) fn version_of(package: &str) -> &'static str {
    let place = format!("name = \"{package}\"\nversion = \"");
    let after = LOCK.find(&place).map(|at| &LOCK[at + place.len()..]);
    after.and_then(|rest| rest.split('"').next()).unwrap_or("?")
}

/// The load average of the last minute.
pub(crate) fn load() -> Result<f64> {
    let text = read("/proc/loadavg")?;
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().context("reading the load average")
}

/// All about it; `load` is what it was at the beginning.
pub(crate) fn section(load: f64) -> Result<Section> {
    let mut section = Section::new("Machine", &["", ""]);
    let cpu = read("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let rustc = Command::new("rustc")
        .arg("--version")
        .output()
        .context("asking rustc")?;
    let cores = thread::available_parallelism()?;
    let versions = [
        "parking_lot",
        "arc-swap",
        "hot-lib-reloader",
        "wasmtime",
        "mlua",
        "axum",
        "tokio",
    ];
    let versions = versions.map(|package| format!("{package} {}", version_of(package)));
    section.row(["processor", model.unwrap_or("unknown")]);
    section.row(["processors", &cores.to_string()]);
    section.row(["kernel", read("/proc/sys/kernel/osrelease")?.trim()]);
    section.row(["rustc", String::from_utf8_lossy(&rustc.stdout).trim()]);
    section.row(["versions", &versions.join(", ")]);
    section.row([
        "profile",
        "cargo's `release` for everybody: opt-level 3, no LTO, 16 codegen units, unwinding",
    ]);
    section.row([
        "load average, begin and end",
        &format!("{load} {}", self::load()?),
    ]);
    Ok(section)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {path}"))
}
