//! The events as people read them: one line each.

use super::{
    output::{Colour, Output},
    status_text::{duration_of_micros, time, trigger},
};
use host::{
    event::{Event, Happening},
    report::Departure,
};

/// The event on one line, with its time.
pub(crate) fn line(event: &Event, output: &Output) -> String {
    let time = output.paint(Colour::Dim, &time(event.time));
    format!("{time} {}", told(&event.what, output))
}

/// What happened.
fn told(what: &Happening, output: &Output) -> String {
    match what {
        Happening::Started { directory } => match directory {
            Some(directory) => format!("started, watching {directory}"),
            None => "started".to_owned(),
        },
        Happening::Ignored { file, reason } => format!("{file} is ignored: {reason}"),
        Happening::StepDone {
            plugin,
            generation,
            step,
            micros,
        } => {
            let took = duration_of_micros(*micros);
            match generation {
                Some(generation) => format!("{plugin} generation {generation}: {step} ({took})"),
                None => format!("{plugin}: {step} ({took})"),
            }
        }
        Happening::Swapped {
            plugin,
            version,
            generation,
            trigger: cause,
            ..
        } => {
            let serves = output.paint(Colour::Green, "serves");
            let cause = trigger(*cause);
            format!("{plugin} {version} → generation {generation} {serves} (by {cause})")
        }
        Happening::SwapFailed {
            plugin,
            step,
            reason,
        } => {
            let stopped = output.paint(Colour::Red, &format!("stopped at {step}"));
            format!("{plugin}: swap {stopped}: {reason}")
        }
        Happening::Unloaded {
            plugin,
            generation,
            trigger: cause,
        } => format!(
            "{plugin} generation {generation} unloaded (by {})",
            trigger(*cause)
        ),
        Happening::Departed {
            plugin,
            generation,
            departure: Departure::Unmapped,
        } => format!("{plugin} generation {generation} is unmapped"),
        Happening::Departed {
            plugin,
            generation,
            departure: Departure::Lingering { cause },
        } => {
            let lingers = output.paint(Colour::Yellow, "lingers");
            format!("{plugin} generation {generation} {lingers}: {cause}")
        }
        Happening::Tainted {
            plugin,
            generation,
            method,
            reason,
        } => {
            let tainted = output.paint(Colour::Red, "tainted");
            format!("{plugin} generation {generation} is {tainted}: {method} panicked: {reason}")
        }
        Happening::Remark { plugin, text } => match plugin {
            Some(plugin) => format!("{plugin}: {text}"),
            None => text.clone(),
        },
        Happening::BuildStarted { packages } => format!("build of {}", packages.join(", ")),
        Happening::BuildDone {
            success: true,
            millis,
            ..
        } => format!("build done ({millis} ms)"),
        Happening::BuildDone { reason, millis, .. } => {
            let failed = output.paint(Colour::Red, "failed");
            let reason = reason
                .as_deref()
                .unwrap_or("for a reason cargo did not tell");
            format!("build {failed} ({millis} ms): {reason}")
        }
        Happening::ShuttingDown => "shutting down".to_owned(),
        Happening::Stopped => "stopped".to_owned(),
    }
}
