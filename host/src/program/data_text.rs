//! The datasets as people read them: a line for each dataset, revision and event.

use super::{
    output::{Colour, Output},
    status_text::{ago, time},
    tables::{drawn, table},
};
use host::{
    data::{DatasetChange, DatasetStatus, RevisionRecord, SourceState, TriggerReport},
    event::Happening,
};

/// A line for each dataset.
pub(crate) fn datasets(datasets: &[DatasetStatus], output: &Output) -> String {
    let headings = ["DATA", "REVISION", "SINCE", "SIZE", "SOURCE", "REMARKS"];
    let mut table = table(output, &headings);
    for dataset in datasets {
        let held = dataset.held.as_ref();
        let of_held = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.add_row([
            dataset.name.clone(),
            of_held(held.map(|held| held.number.to_string())),
            of_held(held.map(|held| ago(held.time))),
            of_held(held.map(|held| bytesize::ByteSize(held.length).to_string())),
            source(dataset),
            remarks(dataset).join("; "),
        ]);
    }
    drawn(&table, output)
}

/// How a dataset stands, after its name.
pub(crate) fn standing(dataset: &DatasetStatus, output: &Output) -> String {
    let held = match &dataset.held {
        Some(held) => format!("revision {} from {}", held.number, held.origin),
        None => output.paint(Colour::Red, "nothing yet"),
    };
    let readers = dataset.readers.iter();
    let readers: Vec<String> = readers
        .map(|reader| format!("{} {}", reader.plugin, reader.version))
        .collect();
    let held = match readers.as_slice() {
        [] => held,
        readers => format!("{held}, read by {}", readers.join(", ")),
    };
    let remarks = remarks(dataset);
    if remarks.is_empty() {
        return held;
    }
    let remarks = output.paint(Colour::Yellow, &remarks.join("; "));
    format!("{held}; {remarks}")
}

fn source(dataset: &DatasetStatus) -> String {
    match &dataset.source {
        Some(source) => format!("{} {}", source.kind, source.place),
        None => "-".to_owned(),
    }
}

/// What is out of the ordinary.
fn remarks(dataset: &DatasetStatus) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(to) = dataset.rolled_back_to {
        remarks.push(format!("rolled back to {to}"));
    }
    let facts = [
        (dataset.pinned, "pinned"),
        (dataset.stale, "stale"),
        (dataset.from_disk, "from disk, not confirmed yet"),
    ];
    let told = facts.iter().filter(|(is_so, _)| *is_so);
    remarks.extend(told.map(|(_, word)| (*word).to_owned()));
    if let Some(refusal) = &dataset.refusal {
        remarks.push(format!(
            "refused {}: {}",
            ago(refusal.time),
            refusal.mistake
        ));
    }
    let failures = dataset.applied.iter().flat_map(|applied| &applied.failures);
    remarks.extend(failures.cloned());
    if let Some(SourceState::Lost { reason }) = dataset.source.as_ref().map(|it| &it.state) {
        remarks.push(format!("source lost: {reason}"));
    }
    let source = dataset.source.as_ref();
    remarks.extend(source.and_then(|source| source.remark.clone()));
    remarks
}

/// A line for each revision.
pub(crate) fn history(revisions: &[RevisionRecord], output: &Output) -> String {
    let mut table = table(output, &["REVISION", "TIME", "HASH", "BYTES", "ORIGIN"]);
    for revision in revisions {
        table.add_row([
            revision.number.to_string(),
            time(revision.time),
            revision.hash.short(),
            revision.length.to_string(),
            revision.origin.to_string(),
        ]);
    }
    drawn(&table, output)
}

/// What became of a dataset by an operator's hand.
pub(crate) fn change(change: &DatasetChange) -> String {
    let DatasetChange {
        dataset, revision, ..
    } = change;
    if change.changed {
        format!("{dataset} → revision {revision} is published")
    } else {
        format!("{dataset} holds this content already, as revision {revision}")
    }
}

/// What was done about the triggers of a dataset, or would be.
pub(crate) fn triggers(report: &TriggerReport, uninstall: bool) -> String {
    let TriggerReport { dataset, sql, .. } = report;
    match (report.done, uninstall) {
        (false, _) => sql.trim_end().to_owned(),
        (true, false) => format!("{dataset} → its triggers are installed"),
        (true, true) => format!("{dataset} → its triggers are gone"),
    }
}

/// What happened to a dataset; `None` if it is about something else.
pub(crate) fn told(what: &Happening, output: &Output) -> Option<String> {
    let green = |word| output.paint(Colour::Green, word);
    let yellow = |word| output.paint(Colour::Yellow, word);
    Some(match what {
        Happening::DataReceived {
            dataset,
            origin,
            length,
        } => format!("{dataset}: {length} bytes came from {origin}"),
        Happening::DataRefused { dataset, refusal } => {
            format!(
                "{dataset}: {}: {refusal}",
                output.paint(Colour::Red, "refused")
            )
        }
        Happening::DataPublished {
            dataset,
            revision,
            origin,
            overtakes_operator,
        } => {
            let overtakes = if *overtakes_operator {
                "; it overtakes what an operator had set"
            } else {
                ""
            };
            let published = green("published");
            format!("{dataset} → revision {revision} {published} (from {origin}{overtakes})")
        }
        Happening::DataRolledBack {
            dataset,
            revision,
            to,
            pinned,
        } => {
            let pinned = if *pinned { ", pinned" } else { "" };
            let back = yellow("rolled back");
            format!("{dataset} → revision {revision} {back} to {to}{pinned}")
        }
        Happening::DataPinned {
            dataset,
            pinned: true,
        } => format!("{dataset} is {}", yellow("pinned")),
        Happening::DataPinned { dataset, .. } => format!("{dataset} is no longer pinned"),
        what => return told_beside(what, output),
    })
}

/// What happened beside the publishing of a dataset; `None` if it is about something else.
fn told_beside(what: &Happening, output: &Output) -> Option<String> {
    let yellow = |word| output.paint(Colour::Yellow, word);
    Some(match what {
        Happening::DataApplied {
            dataset,
            revision,
            failures,
        } if failures.is_empty() => format!("{dataset} revision {revision} applied"),
        Happening::DataApplied {
            dataset,
            revision,
            failures,
        } => format!(
            "{dataset} revision {revision} {}: {}",
            yellow("applied in part"),
            failures.join("; ")
        ),
        Happening::DataRestored { dataset, revision } => {
            format!("{dataset} revision {revision} is served from disk")
        }
        Happening::DataStale { dataset } => {
            format!(
                "{dataset} is {}: nothing has confirmed it for too long",
                yellow("stale")
            )
        }
        Happening::SourceLost { dataset, reason } => {
            format!(
                "{dataset}: source {}: {reason}",
                output.paint(Colour::Red, "lost")
            )
        }
        Happening::SourceBack { dataset } => {
            format!("{dataset}: source {}", output.paint(Colour::Green, "back"))
        }
        _ => return None,
    })
}
