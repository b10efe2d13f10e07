//! A process: a server that this program starts, waits for, and ends.

use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write, stdout},
    process::{Child, Command, Stdio},
};

/// A running server. It is ended when this is dropped.
pub(crate) struct Served {
    child: Child,
    /// What it has said when it was ready, after that word.
    pub(crate) ready: String,
}

impl Served {
    /// This program once more, on an errand.
    pub(crate) fn this_program(errand: &str, arguments: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(errand).args(arguments);
        Served::start(command).with_context(|| format!("starting {errand}"))
    }

    /// Starts it, and waits for the line that begins with `ready`.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let out = child.stdout.take().context("its output is a pipe")?;
        let mut served = Served {
            child,
            ready: String::new(),
        };
        // A process that ends closes its output, and so ends this as well.
        for line in BufReader::new(out).lines() {
            if let Some(ready) = line?.strip_prefix("ready") {
                served.ready = ready.trim().to_owned();
                return Ok(served);
            }
        }
        bail!("it has ended before it was ready")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _unknown = self.child.wait();
    }
}

/// Tells the parent that this process is ready.
pub(crate) fn say_ready(where_: &str) {
    let mut out = stdout().lock();
    // A parent that has gone ends this process soon.
    let _gone = writeln!(out, "ready {where_}").and_then(|()| out.flush());
}
