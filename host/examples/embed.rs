//! A service that embeds a host: it counts what comes in on standard input, line by line, in the plugin `counter`.
//!
//! ```text
//! cargo build -p counter
//! cargo run -p host --example embed -- target/debug
//! ```
//!
//! While it runs, change plugins/counter/src/lib.rs and build it again: the next line is counted by the new code.

#![expect(clippy::print_stdout, reason = "this is a program")]

use host::{CallError, Host, config::Config};
use std::{io::BufRead, time::Duration};

fn main() -> anyhow::Result<()> {
    // First of all: artifacts are examined in a child process, which is this program once more. There it never returns.
    host::examiner();

    let directory = std::env::args_os().nth(1);
    let directory = directory.unwrap_or_else(|| "target/debug".into());
    // What host.toml here says, if there is one. `start` returns when all that is in the directory has been decided.
    let host = Host::builder()
        .config(Config::load(None)?)
        .directory(directory)
        .state_dir("target/embed-state")
        .start()?;
    for plugin in host.status().plugins {
        match (plugin.serving, plugin.last_failure) {
            (Some(serving), _) => println!("{} {} serves", plugin.name, serving.version),
            (None, Some(failure)) => println!("{}: {}", plugin.name, failure.reason),
            (None, None) => println!("{} does not serve", plugin.name),
        }
    }

    for _line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match host.call("counter", "add", b"[1]") {
            Ok(reply) => println!(
                "{} (version {}, generation {})",
                String::from_utf8_lossy(&reply.result),
                reply.version,
                reply.generation
            ),
            // It was executed: an author's `Err`, or a panic.
            Err(CallError::Refused(reason) | CallError::Panicked(reason)) => println!("{reason}"),
            // It was not executed, unless it is `Failed`. The kind is a word for programs, the error a sentence for people.
            Err(error) => println!("{}: {error}", error.kind()),
        }
    }

    // Refuses new calls, waits for those inside, saves the states.
    let report = host.shutdown(Duration::from_secs(5));
    println!("saved: {}", report.saved.join(", "));
    Ok(())
}
