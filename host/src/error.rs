//! The errors of the host's face: one for swaps, one for calls.

use crate::step::Step;
use plugin_api::contract::{Fault, FaultKind};

/// Why an artifact's journey ended before its switch. Nothing has changed: what served before serves on, with its state.
///
/// The step answers whose fault it was: vet, load and hand over, the artifact's; drain, its callers'; watch and unload,
/// the platform's.
#[derive(Debug)]
pub struct SwapError {
    /// Where the journey ended.
    pub step: Step,
    /// The plugin, as far as it was known by then; else the file.
    pub subject: String,
    /// The story.
    pub cause: anyhow::Error,
}

impl SwapError {
    /// The error that ended the journey of `subject` at `step`.
    pub(crate) fn new(step: Step, subject: impl Into<String>, cause: anyhow::Error) -> Self {
        SwapError {
            step,
            subject: subject.into(),
            cause,
        }
    }

    /// Whether trying again later may succeed with the same artifact: it was only the callers who stood in the way.
    #[must_use]
    pub fn is_out_of_time(&self) -> bool {
        self.step == Step::Drain
    }
}

impl std::fmt::Display for SwapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "swap of \"{}\" stopped at {}: {:#}",
            self.subject, self.step, self.cause
        )
    }
}

impl std::error::Error for SwapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause.as_ref())
    }
}

/// Why a call has no result. All but [`CallError::TimedOut`] and [`CallError::Cancelled`] tell what became of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The host knows no plugin of that name.
    #[error("no plugin \"{plugin}\" is known here")]
    UnknownPlugin {
        /// The name asked for.
        plugin: String,
    },
    /// The plugin has no such method.
    #[error("plugin \"{plugin}\" has no method \"{method}\"; it has {offered}")]
    UnknownMethod {
        /// The plugin.
        plugin: String,
        /// The name asked for.
        method: String,
        /// The signatures it has.
        offered: String,
    },
    /// The arguments do not fit the method; it was not executed.
    #[error("{0}")]
    BadArguments(String),
    /// The method ran and refused: the author's `Err`, as text.
    #[error("{0}")]
    Refused(String),
    /// The method panicked on its way.
    #[error("the plugin panicked: {0}")]
    Panicked(String),
    /// The plugin is known but not serving; the call was not executed.
    #[error("{0}")]
    NotServing(String),
    /// Too many calls wait already, or this one waited too long to be let in; it was not executed.
    #[error("{0}")]
    Busy(String),
    /// The call was let in and did not end in time. Its outcome is unknown.
    #[error("{0}")]
    TimedOut(String),
    /// The call was pending in a plugin that went out of service. Its outcome is unknown.
    #[error("{0}")]
    Cancelled(String),
    /// The plugin itself failed in a way that the contract does not foresee.
    #[error("{0}")]
    Failed(String),
}

impl CallError {
    /// The word for its kind, as it stands in answers.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            CallError::UnknownPlugin { .. } => "unknown_plugin",
            CallError::UnknownMethod { .. } => "unknown_method",
            CallError::BadArguments(_) => "bad_arguments",
            CallError::Refused(_) => "refused",
            CallError::Panicked(_) => "panicked",
            CallError::NotServing(_) => "not_serving",
            CallError::Busy(_) => "busy",
            CallError::TimedOut(_) => "timed_out",
            CallError::Cancelled(_) => "cancelled",
            CallError::Failed(_) => "failed",
        }
    }

    /// The call error that a plugin's fault stands for. The text is copied: the fault lives in the plugin's library.
    pub(crate) fn from_fault(fault: &Fault) -> Self {
        let message = fault.message.to_string();
        match fault.kind {
            FaultKind::REFUSED => CallError::Refused(message),
            FaultKind::BAD_ARGUMENTS => CallError::BadArguments(message),
            FaultKind::PANICKED => CallError::Panicked(message),
            FaultKind::NOT_SERVING => CallError::NotServing(message),
            FaultKind::BUSY => CallError::Busy(message),
            FaultKind::TIMED_OUT => CallError::TimedOut(message),
            FaultKind::CANCELLED => CallError::Cancelled(message),
            _ => CallError::Failed(message),
        }
    }

    /// The fault by which a plugin that called another learns of this error.
    pub(crate) fn to_fault(&self) -> Fault {
        let kind = match self {
            CallError::UnknownPlugin { .. } => FaultKind::UNKNOWN_PLUGIN,
            CallError::UnknownMethod { .. } => FaultKind::UNKNOWN_METHOD,
            CallError::BadArguments(_) => FaultKind::BAD_ARGUMENTS,
            CallError::Refused(_) => FaultKind::REFUSED,
            CallError::Panicked(_) => FaultKind::PANICKED,
            CallError::NotServing(_) => FaultKind::NOT_SERVING,
            CallError::Busy(_) => FaultKind::BUSY,
            CallError::TimedOut(_) => FaultKind::TIMED_OUT,
            CallError::Cancelled(_) => FaultKind::CANCELLED,
            CallError::Failed(_) => FaultKind::UNAVAILABLE,
        };
        Fault::new(kind, self.to_string())
    }
}
