//! The arguments: what is to be measured, and how long.

use clap::{Parser, Subcommand, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// Measures the host beside its rivals.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// Only this part.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<Part>,
    /// A fifth of the effort: to see whether it runs.
    #[arg(long)]
    pub(crate) quick: bool,
    /// The ratios as one JSON object in the last line; null is what was not measured.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) errand: Option<Errand>,
}

/// What this program does as a child of itself.
#[derive(Subcommand)]
pub(crate) enum Errand {
    /// Adds for whoever connects to this socket.
    #[command(hide = true)]
    ServeSocket {
        /// The socket.
        path: PathBuf,
    },
    /// Adds over HTTP, with a bare handler of axum.
    #[command(hide = true)]
    ServeAxum,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What a call costs, at one thread and at two.
    Calls,
    /// What callers feel of swaps.
    Pause,
    /// Requests per second.
    Http,
    /// From the build to the first new answer.
    Swap,
}

impl Part {
    /// In the order in which they run. The last one leaves a watcher behind that wakes four thousand times a second.
    pub(crate) const ALL: [Part; 4] = [Part::Calls, Part::Pause, Part::Http, Part::Swap];
}

/// How long everything takes.
pub(crate) struct Effort {
    /// Rounds of calls.
    pub(crate) call_rounds: usize,
    /// One contender's time at one number of threads in one round.
    pub(crate) call_slice: Duration,
    /// One distribution of pauses.
    pub(crate) pause_slice: Duration,
    /// Rounds of HTTP.
    pub(crate) http_rounds: usize,
    /// One server's time with one number of connections in one round.
    pub(crate) http_slice: Duration,
    /// Swaps of each contender.
    pub(crate) swaps: usize,
}

impl Arguments {
    pub(crate) fn effort(&self) -> Effort {
        let millis = Duration::from_millis;
        if self.quick {
            Effort {
                call_rounds: 40,
                call_slice: millis(2),
                pause_slice: millis(600),
                http_rounds: 3,
                http_slice: millis(200),
                swaps: 5,
            }
        } else {
            Effort {
                call_rounds: 240,
                call_slice: millis(2),
                pause_slice: millis(3000),
                http_rounds: 9,
                http_slice: millis(400),
                swaps: 25,
            }
        }
    }
}
