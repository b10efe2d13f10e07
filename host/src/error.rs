//! The errors of the host's face: one for swaps, one for calls, one for handles.

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
        CallError::from_copy(fault.kind, fault.message.to_string())
    }

    /// The call error that a plugin's fault stands for, with the text that was copied from it.
    pub(crate) fn from_copy(kind: FaultKind, message: String) -> Self {
        match kind {
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

/// Why there is no handle on a plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// The host knows no plugin of that name.
    #[error("no plugin \"{plugin}\" is known here")]
    UnknownPlugin {
        /// The name asked for.
        plugin: String,
    },
    /// The plugin is known but not serving, so that nobody knows what it will offer.
    #[error("plugin \"{plugin}\" is not serving")]
    NotServing {
        /// The plugin.
        plugin: String,
    },
    /// The plugin does not offer the interface.
    #[error("plugin \"{plugin}\" does not offer interface `{interface}`; it offers {}", listed(.offered))]
    NotOffered {
        /// The plugin.
        plugin: String,
        /// The name of the interface asked for.
        interface: String,
        /// The names of those it offers.
        offered: Vec<String>,
    },
    /// The plugin offers another interface of that name: another version of it, usually.
    #[error(
        "plugin \"{plugin}\" and this caller differ in {difference}; build both against the same"
    )]
    Differs {
        /// The plugin.
        plugin: String,
        /// The first difference: "interface `Arithmetic`: argument `b` of `add` is u32 there, u64 here".
        difference: String,
    },
    /// Too many different interfaces of the plugin are in use at once.
    #[error(
        "{most} different interfaces of plugin \"{plugin}\" are in use, and more cannot be; drop handles that are not needed"
    )]
    TooMany {
        /// The plugin.
        plugin: String,
        /// How many there may be.
        most: usize,
    },
}

fn listed(offered: &[String]) -> String {
    if offered.is_empty() {
        return "none: write `offers(...)` into its #[plugin_api::plugin]".to_owned();
    }
    let names: Vec<String> = offered.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

impl HandleError {
    /// The fault by which a plugin that asked learns of this error.
    pub(crate) fn to_fault(&self) -> Fault {
        let kind = match self {
            HandleError::UnknownPlugin { .. } => FaultKind::UNKNOWN_PLUGIN,
            HandleError::NotServing { .. } => FaultKind::NOT_SERVING,
            HandleError::NotOffered { .. } | HandleError::Differs { .. } => FaultKind::NOT_OFFERED,
            HandleError::TooMany { .. } => FaultKind::UNAVAILABLE,
        };
        Fault::new(kind, self.to_string())
    }
}
