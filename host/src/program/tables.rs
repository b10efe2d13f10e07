//! The tables: a line for each plugin, a line for each record of the journal.

use super::{
    output::{Colour, Output},
    status_text::{self, standing},
};
use comfy_table::{ContentArrangement, Table, presets};
use host::{
    journal::{Outcome, Record},
    report::{Departure, PluginStatus},
};

/// A line for each plugin.
pub(crate) fn plugins(plugins: &[PluginStatus], output: &Output) -> String {
    let mut table = table(
        output,
        &[
            "PLUGIN",
            "STANDING",
            "VERSION",
            "GENERATION",
            "SCHEMA",
            "SINCE",
            "CALLS",
            "ERRORS",
            "P99",
            "REMARKS",
        ],
    );
    for plugin in plugins {
        let serving = plugin.serving.as_ref();
        let of_serving = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.add_row([
            plugin.name.clone(),
            standing(plugin.standing).to_owned(),
            of_serving(serving.map(|serving| serving.version.clone())),
            of_serving(serving.map(|serving| serving.generation.to_string())),
            of_serving(serving.and_then(|serving| Some(serving.schema?.to_string()))),
            of_serving(serving.map(|serving| status_text::ago(serving.since))),
            of_serving(serving.map(|serving| serving.numbers.calls.to_string())),
            of_serving(serving.map(|serving| serving.numbers.errors.to_string())),
            of_serving(serving.and_then(|serving| {
                let latency = serving.numbers.latency?;
                Some(status_text::duration_of_nanos(latency.p99_nanos))
            })),
            remarks(plugin),
        ]);
    }
    drawn(&table, output)
}

/// What is out of the ordinary, in few words; `host status PLUGIN` has the rest.
fn remarks(plugin: &PluginStatus) -> String {
    let mut remarks = Vec::new();
    if plugin
        .serving
        .as_ref()
        .is_some_and(|serving| serving.tainted)
    {
        remarks.push("tainted".to_owned());
    }
    if !plugin.lingering.is_empty() {
        remarks.push(format!("{} lingering", plugin.lingering.len()));
    }
    if let Some(failure) = &plugin.last_failure {
        remarks.push(format!("a newer artifact failed at {}", failure.step));
    }
    remarks.join(", ")
}

/// A line for each record.
pub(crate) fn history(records: &[Record], output: &Output) -> String {
    let mut table = table(
        output,
        &[
            "TIME",
            "TRIGGER",
            "VERSION",
            "GENERATION",
            "DIGEST",
            "TOOK",
            "OUTCOME",
        ],
    );
    for record in records {
        let micros: u64 = record.steps.iter().map(|step| step.micros).sum();
        table.add_row([
            status_text::time(record.time),
            status_text::trigger(record.trigger).to_owned(),
            record.version.clone(),
            record.generation.to_string(),
            record.digest.short(),
            status_text::duration_of_micros(micros),
            outcome(&record.outcome),
        ]);
    }
    drawn(&table, output)
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Intent => "broken off: the incumbent counts".to_owned(),
        Outcome::Swapped { departure, remarks } => {
            let mut text = "swapped".to_owned();
            if let Some(Departure::Lingering { cause }) = departure {
                text.push_str(&format!("; the old generation lingered: {cause}"));
            }
            for remark in remarks {
                text.push_str(&format!("; {remark}"));
            }
            text
        }
        Outcome::Failed { step, reason } => {
            format!("failed at {step}: {reason}")
        }
        Outcome::Unloaded { departure } => match departure {
            Some(Departure::Lingering { cause }) => format!("unloaded; lingered: {cause}"),
            _ => "unloaded".to_owned(),
        },
    }
}

/// An empty table with these headings.
pub(crate) fn table(output: &Output, heading: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if let Some(width) = output.width() {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    table.set_header(heading);
    table
}

/// The table's lines without white space at their ends, the heading apart from the rest.
pub(crate) fn drawn(table: &Table, output: &Output) -> String {
    let mut lines: Vec<String> = table
        .lines()
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect();
    // Colours come last: the table would count their codes as letters.
    if let Some(heading) = lines.first_mut() {
        *heading = output.paint(Colour::Bold, heading);
    }
    lines.join("\n")
}
