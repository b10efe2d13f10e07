//! The program `host`: a command line before the library.

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: in an examiner process this never returns.
    host::examiner();
    program::run(std::env::args_os())
}

/// Ends the process at once, from whatever thread: an operator has asked twice.
#[expect(
    clippy::exit,
    reason = "the one place that does not wait for anything: the second signal"
)]
fn end_at_once(code: u8) -> ! {
    std::process::exit(code.into())
}
