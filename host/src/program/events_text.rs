//! The events as people read them: one line each.

use super::{
    data_text,
    output::{Colour, Output},
    release_text,
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
    let elsewhere = data_text::told(what, output).or_else(|| release_text::told(what, output));
    if let Some(told) = elsewhere {
        return told;
    }
    match what {
        Happening::Started { directory } => {
            format!("started{}", with(", watching ", directory.as_ref()))
        }
        Happening::Ignored { file, reason } => format!("{file} is ignored: {reason}"),
        Happening::StepDone {
            plugin,
            generation,
            step,
            micros,
        } => {
            let generation = with(" generation ", generation.as_ref());
            format!(
                "{plugin}{generation}: {step} ({})",
                duration_of_micros(*micros)
            )
        }
        Happening::Swapped {
            plugin,
            version,
            generation,
            trigger: by,
            ..
        } => {
            let (serves, by) = (output.paint(Colour::Green, "serves"), trigger(*by));
            format!("{plugin} {version} → generation {generation} {serves} (by {by})")
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
            trigger: by,
        } => format!(
            "{plugin} generation {generation} unloaded (by {})",
            trigger(*by)
        ),
        Happening::Departed {
            plugin,
            generation,
            departure,
        } => format!(
            "{plugin} generation {generation} {}",
            departed(departure, output)
        ),
        Happening::Tainted {
            plugin,
            generation,
            method,
            reason,
        } => {
            let tainted = output.paint(Colour::Red, "tainted");
            format!("{plugin} generation {generation} is {tainted}: {method} panicked: {reason}")
        }
        Happening::Remark { plugin, text } => remark(plugin.as_deref(), text),
        Happening::BuildStarted { packages } => format!("build of {}", packages.join(", ")),
        Happening::BuildDone { reason, millis, .. } => built(reason.as_deref(), *millis, output),
        Happening::ShuttingDown => "shutting down".to_owned(),
        Happening::Stopped => "stopped".to_owned(),
        // What is left was told above.
        _ => String::new(),
    }
}

/// The thing behind the word, if there is one.
fn with(word: &str, thing: Option<&impl std::fmt::Display>) -> String {
    thing.map_or_else(String::new, |thing| format!("{word}{thing}"))
}

/// What is said of a plugin, or of nobody in particular.
pub(crate) fn remark(plugin: Option<&str>, text: &str) -> String {
    match plugin {
        Some(plugin) => format!("{plugin}: {text}"),
        None => text.to_owned(),
    }
}

fn departed(departure: &Departure, output: &Output) -> String {
    match departure {
        Departure::Unmapped => "is unmapped".to_owned(),
        Departure::Lingering { cause } => {
            format!("{}: {cause}", output.paint(Colour::Yellow, "lingers"))
        }
    }
}

/// A build that gives a reason has failed.
fn built(reason: Option<&str>, millis: u64, output: &Output) -> String {
    match reason {
        None => format!("build done ({millis} ms)"),
        Some(reason) => {
            let failed = output.paint(Colour::Red, "failed");
            format!("build {failed} ({millis} ms): {reason}")
        }
    }
}
