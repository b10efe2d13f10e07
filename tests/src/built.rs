//! What cargo has built: the examples of this package as libraries, and the program `host`.
//!
//! `cargo test` builds the examples before it runs a test, but not where a single test target is asked for, and never the
//! program of another package. What is missing or older than its sources is built here, once a process.

use std::{
    fs,
    io::{Write, stderr},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// The folder of the workspace.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package is a folder of the workspace")
        .to_owned()
}

/// The file of the example with this name.
///
/// # Panics
/// When there is no such example.
#[must_use]
pub fn library(name: &str) -> PathBuf {
    static FRESH: OnceLock<()> = OnceLock::new();
    FRESH.get_or_init(|| {
        let sources = ["tests/guests", "tests/misfits", "plugin-api"];
        if !is_fresh(&examples_dir(), &sources) {
            cargo(&["build", "--package", "tests", "--examples"]);
        }
    });
    let path = examples_dir().join(format!("lib{name}.so"));
    assert!(
        path.is_file(),
        "there is no example \"{name}\" ({} is missing)",
        path.display()
    );
    path
}

/// The program `host`.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn program() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut arguments = vec!["build", "--package", "host", "--bin", "host"];
        if cfg!(feature = "sources") {
            arguments.extend(["--features", "all-sources"]);
        }
        cargo(&arguments);
    });
    profile_dir().join("host")
}

/// The names of the examples in a folder of this package: `guests` or `misfits`.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn examples(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// How a library is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `cargo build`.
    Debug,
    /// `cargo build --release`.
    Release,
}

/// The library of the example plugin in this package, after a build of it.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn plugin(package: &str, profile: Profile) -> PathBuf {
    let mut arguments = vec!["build", "--package", package];
    if profile == Profile::Release {
        arguments.push("--release");
    }
    run_cargo(&arguments);
    let folder = match profile {
        Profile::Debug => "debug",
        Profile::Release => "release",
    };
    let file = format!("lib{}.so", package.replace('-', "_"));
    target_dir().join(folder).join(file)
}

/// `target/<profile>`, seen from a program in it, or from a test in its folder `deps`.
fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.parent().expect("a test is in a folder");
    if folder.ends_with("deps") {
        folder.parent().expect("deps is in a folder").to_owned()
    } else {
        folder.to_owned()
    }
}

/// `target`, for what a test wants kept from run to run.
///
/// # Panics
/// When the test is not where cargo puts it.
#[must_use]
pub fn target_dir() -> PathBuf {
    let profile = profile_dir();
    profile
        .parent()
        .expect("the profile is a folder of target")
        .to_owned()
}

fn examples_dir() -> PathBuf {
    profile_dir().join("examples")
}

/// Whether every example is there, and younger than all of the sources.
fn is_fresh(built: &Path, sources: &[&str]) -> bool {
    let youngest = sources
        .iter()
        .filter_map(|source| youngest(&repository().join(source)))
        .max();
    ["guests", "misfits"]
        .into_iter()
        .flat_map(examples)
        .all(|name| {
            let library = built.join(format!("lib{name}.so"));
            let time = fs::metadata(library).and_then(|metadata| metadata.modified());
            time.is_ok_and(|time| Some(time) > youngest)
        })
}

/// When the youngest file in or below `path` was written.
fn youngest(path: &Path) -> Option<SystemTime> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_dir() {
        return metadata.modified().ok();
    }
    fs::read_dir(path)
        .ok()?
        .filter_map(|entry| youngest(&entry.ok()?.path()))
        .max()
}

/// Builds in this program's own profile.
fn cargo(arguments: &[&str]) {
    let is_release = profile_dir().ends_with("release");
    let profile: &[&str] = if is_release { &["--release"] } else { &[] };
    run_cargo(&[arguments, profile].concat());
}

fn run_cargo(arguments: &[&str]) {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(repository())
        .arg("--quiet")
        .args(arguments);
    // Set for this test by the outer cargo, and not meant for the packages that are built now.
    for (name, _) in std::env::vars_os() {
        let inherited = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_"));
        if inherited {
            command.env_remove(name);
        }
    }
    command.env("CARGO_TARGET_DIR", target_dir());
    // It may take minutes, and wait for another cargo: whoever sees nothing happen is to know.
    let _closed = writeln!(stderr(), "building first: cargo {}", arguments.join(" "));
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "cargo {arguments:?} has failed");
}
