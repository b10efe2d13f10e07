//! The releases as people read them: what one has come to, a line for each, and their events.

use super::{
    data_text,
    output::{Colour, Output},
    status_text::time,
    tables::{drawn, table},
};
use host::{
    event::Happening,
    release::{ReleaseOutcome, ReleaseRecord, ReleaseReport},
};

/// What a release has come to.
pub(crate) fn report(report: &ReleaseReport, output: &Output) -> String {
    let applied = output.paint(Colour::Green, "applied");
    let name = named(report.release, report.name.as_deref(), report.rolls_back);
    let mut lines = vec![format!("{name} is {applied}")];
    for change in &report.changes {
        lines.push(format!("  {}", data_text::change(change)));
    }
    for swap in &report.swaps {
        let (plugin, version, generation) = (&swap.plugin, &swap.version, swap.generation);
        let became = if swap.unchanged {
            format!("serves already, as generation {generation}")
        } else {
            format!("→ generation {generation} serves")
        };
        lines.push(format!("  {plugin} {version} {became}"));
        let remarks = swap.remarks.iter().map(|remark| format!("    {remark}"));
        lines.extend(remarks);
    }
    for unload in &report.unloads {
        lines.push(format!("  {} is unloaded", unload.plugin));
    }
    lines.join("\n")
}

/// "release 4 (summer prices)".
fn named(number: u64, name: Option<&str>, rolls_back: Option<u64>) -> String {
    let name = match (name, rolls_back) {
        (_, Some(other)) => format!(" (rollback of release {other})"),
        (Some(name), None) => format!(" ({name})"),
        (None, None) => String::new(),
    };
    format!("release {number}{name}")
}

/// A line for each release.
pub(crate) fn list(releases: &[ReleaseRecord], output: &Output) -> String {
    let headings = [
        "RELEASE", "TIME", "NAME", "BY", "PLUGINS", "DATA", "OUTCOME",
    ];
    let mut table = table(output, &headings);
    for release in releases {
        let plugins = release.plugins.iter();
        let plugins = plugins.map(|it| match &it.version {
            Some(version) => format!("{} {version}", it.plugin),
            None => format!("{} unloaded", it.plugin),
        });
        let data = release.data.iter().map(|it| match it.revision {
            Some(revision) => format!("{} {revision}", it.dataset),
            None => it.dataset.clone(),
        });
        let name = match release.rolls_back {
            Some(other) => format!("rollback of release {other}"),
            None => release.name.clone().unwrap_or_else(|| "-".to_owned()),
        };
        table.add_row([
            release.number.to_string(),
            time(release.time),
            name,
            release.who.clone(),
            or_none(plugins.collect()),
            or_none(data.collect()),
            outcome(&release.outcome),
        ]);
    }
    drawn(&table, output)
}

fn or_none(parts: Vec<String>) -> String {
    if parts.is_empty() {
        return "-".to_owned();
    }
    parts.join(", ")
}

fn outcome(outcome: &ReleaseOutcome) -> String {
    let word = outcome.word();
    match outcome {
        ReleaseOutcome::Intent | ReleaseOutcome::Applied => word.to_owned(),
        ReleaseOutcome::PutBack { reason } => format!("{word}: {reason}"),
        ReleaseOutcome::NotPutBack { reason, left } => {
            format!("{word}: {reason}; left are: {}", left.join("; "))
        }
    }
}

/// What happened to a release; `None` if it is about something else.
pub(crate) fn told(what: &Happening, output: &Output) -> Option<String> {
    Some(match what {
        Happening::Released {
            release,
            name,
            rolls_back,
            plugins,
            data,
        } => {
            let parts: Vec<&str> = plugins.iter().chain(data).map(String::as_str).collect();
            let applied = output.paint(Colour::Green, "applied");
            let name = named(*release, name.as_deref(), *rolls_back);
            format!("{name} {applied}: {}", parts.join(", "))
        }
        Happening::ReleaseFailed {
            release,
            name,
            reason,
            left,
        } => {
            let failed = output.paint(Colour::Red, "not applied");
            let name = match (release, name) {
                (Some(release), name) => named(*release, name.as_deref(), None),
                (None, Some(name)) => format!("release {name}"),
                (None, None) => "a release".to_owned(),
            };
            let left = match left.as_slice() {
                [] => String::new(),
                left => format!("; not put back: {}", left.join("; ")),
            };
            format!("{name} {failed}: {reason}{left}")
        }
        _ => return None,
    })
}
