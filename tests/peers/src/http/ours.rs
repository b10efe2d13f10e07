//! Our listener: the program `host`, as it is installed, with the plugin `counter` and its defaults.

use crate::{builds, process::Served};
use anyhow::{Context, Result};
use std::{fs, net::SocketAddr, process::Command};
use tempfile::TempDir;

/// Builds and starts it. The folder holds its plugins and its state.
pub(crate) fn start() -> Result<(Served, SocketAddr, TempDir)> {
    let service = builds::service()?;
    let folder = tempfile::tempdir()?;
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins)?;
    fs::copy(service.counter, plugins.join("libcounter.so"))?;
    // Nothing is to reach it but what is set here.
    let mut command = Command::new(service.program);
    command
        .current_dir(folder.path())
        .arg("run")
        .arg(&plugins)
        .args(["--listen", "127.0.0.1:0", "--state-dir"])
        .arg(folder.path().join("state"))
        .stderr(fs::File::create(folder.path().join("log"))?);
    let served = Served::start(command).context("starting the host")?;
    let address = served
        .ready
        .split(' ')
        .find_map(|word| word.strip_prefix("call=http://"))
        .context("the host does not say where it listens")?
        .parse()
        .context("reading the address")?;
    Ok((served, address, folder))
}
