//! A failure: why a verb did not do what it was asked, with the exit code that tells scripts.

use std::{fmt, process::ExitCode};

/// How a process of this program ends when it does not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was refused, or it failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// There is no host to ask.
    NoHost = 3,
    /// Somebody was busy, or something ran out of time.
    OutOfTime = 4,
}

/// Why a verb did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) ending: Ending,
    /// The kind, in one word for scripts.
    pub(crate) kind: String,
    /// The story, for people.
    pub(crate) message: String,
}

impl Failure {
    /// It was refused or it failed.
    pub(crate) fn failed(kind: &str, message: impl Into<String>) -> Self {
        Failure::new(Ending::Failed, kind, message)
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::new(Ending::Usage, "usage", message)
    }

    /// The configuration is wrong.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Failure::new(Ending::Usage, "config", message)
    }

    /// There is no host to ask.
    pub(crate) fn no_host(message: impl Into<String>) -> Self {
        Failure::new(Ending::NoHost, "no_host", message)
    }

    /// Something ran out of time.
    pub(crate) fn out_of_time(message: impl Into<String>) -> Self {
        Failure::new(Ending::OutOfTime, "out_of_time", message)
    }

    /// A failure that a host has answered with, by its kind.
    pub(crate) fn answered(kind: &str, message: impl Into<String>) -> Self {
        let ending = match kind {
            "busy" | "timed_out" | "out_of_time" => Ending::OutOfTime,
            _ => Ending::Failed,
        };
        Failure::new(ending, kind, message)
    }

    fn new(ending: Ending, kind: &str, message: impl Into<String>) -> Self {
        Failure {
            ending,
            kind: kind.to_owned(),
            message: message.into(),
        }
    }

    /// The code this process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.ending as u8)
    }

    /// The same failure as scripts read it.
    pub(crate) fn json(&self) -> String {
        serde_json::json!({ "error": { "kind": self.kind, "message": self.message } }).to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::failed("failed", format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_succeed_later_ends_with_four_and_all_else_with_one() {
        for kind in ["busy", "timed_out", "out_of_time"] {
            assert_eq!(Failure::answered(kind, "").ending, Ending::OutOfTime);
        }
        for kind in ["vet", "refused", "unknown_plugin", "not_serving"] {
            assert_eq!(Failure::answered(kind, "").ending, Ending::Failed);
        }
    }

    #[test]
    fn scripts_read_kind_and_message() {
        let failure = Failure::no_host("nobody \"there\"");
        assert_eq!(
            failure.json(),
            r#"{"error":{"kind":"no_host","message":"nobody \"there\""}}"#
        );
    }
}
