//! The status as people read it: blocks of labelled lines about a host, a plugin, a swap.

use super::{
    data_text,
    output::{Colour, Output},
};
use host::report::{
    Departure, GenerationStatus, HostStatus, Numbers, PluginStatus, Standing, SwapReport, Trigger,
};
use plugin_api::manifest::{Manifest, Mode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the values begin.
const LABEL_WIDTH: usize = 14;

/// All about a host.
pub(crate) fn host(status: &HostStatus, output: &Output) -> String {
    let mut lines = vec![labelled("host", &status.version)];
    lines.push(labelled("process", &status.pid.to_string()));
    let uptime = Duration::from_secs(status.uptime_seconds);
    lines.push(labelled(
        "up for",
        &humantime::format_duration(uptime).to_string(),
    ));
    let directory = status
        .directory
        .as_ref()
        .map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    lines.push(labelled("watches", &directory));
    lines.push(labelled(
        "state folder",
        &status.state_dir.display().to_string(),
    ));
    if let Err(reason) = &status.interposition {
        let text = format!("not possible here: {reason}");
        lines.push(labelled("unloading", &output.paint(Colour::Yellow, &text)));
    }
    if status.shutting_down {
        let text = output.paint(Colour::Yellow, "shutting down");
        lines.push(labelled("now", &text));
    }
    for plugin in &status.plugins {
        let serving = match &plugin.serving {
            Some(serving) => format!("{} generation {}", serving.version, serving.generation),
            None => coloured(plugin.standing, output),
        };
        lines.push(labelled("plugin", &format!("{} {serving}", plugin.name)));
    }
    for dataset in &status.datasets {
        let standing = data_text::standing(dataset, output);
        lines.push(labelled("data", &format!("{} {standing}", dataset.name)));
    }
    for ignored in &status.ignored {
        let text = format!("{}: {}", ignored.path.display(), ignored.reason);
        lines.push(labelled("ignored", &text));
    }
    lines.join("\n")
}

/// All about a plugin.
pub(crate) fn plugin(status: &PluginStatus, output: &Output) -> String {
    let mut lines = vec![labelled(
        "plugin",
        &output.paint(Colour::Bold, &status.name),
    )];
    lines.push(labelled("standing", &coloured(status.standing, output)));
    if let Some(file) = &status.file {
        lines.push(labelled("file", &file.display().to_string()));
    }
    if let Some(serving) = &status.serving {
        generation(serving, output, &mut lines);
    }
    for call in &status.inside {
        let age = Duration::from_millis(call.age_millis);
        let text = format!(
            "{} {} for {}, generation {}",
            call.method,
            call.place(),
            humantime::format_duration(age),
            call.generation
        );
        lines.push(labelled("inside", &text));
    }
    for old in &status.lingering {
        let text = format!(
            "generation {} ({}): {}",
            old.generation, old.version, old.cause
        );
        lines.push(labelled("lingering", &output.paint(Colour::Yellow, &text)));
        numbers(&old.numbers, output, &mut lines);
    }
    if let Some(failure) = &status.last_failure {
        let text = format!(
            "at {}, {}: {}",
            failure.step,
            time(failure.time),
            failure.reason
        );
        lines.push(labelled("last failure", &output.paint(Colour::Red, &text)));
    }
    if let Some(serving) = &status.serving {
        lines.push(methods(&serving.manifest, output));
    }
    lines.join("\n")
}

fn generation(serving: &GenerationStatus, output: &Output, lines: &mut Vec<String>) {
    lines.push(labelled("version", &serving.version));
    lines.push(labelled("generation", &serving.generation.to_string()));
    let since = format!("{} ({})", time(serving.since), ago(serving.since));
    lines.push(labelled("since", &since));
    lines.push(labelled("mode", mode(serving.mode)));
    if let Some(schema) = serving.schema {
        lines.push(labelled("schema", &schema.to_string()));
    }
    lines.push(labelled("digest", &serving.digest.short()));
    if serving.tainted {
        let text = "a `&mut self` method panicked half-way: the state may be inconsistent";
        lines.push(labelled("tainted", &output.paint(Colour::Red, text)));
    }
    if !serving.reads.is_empty() {
        let reads = serving.reads.iter().map(|read| match read.revision {
            Some(revision) => format!("{} revision {revision}", read.dataset),
            None => format!("{}, which it has not", read.dataset),
        });
        let reads: Vec<String> = reads.collect();
        lines.push(labelled("reads", &reads.join(", ")));
    }
    if serving.jobs + serving.timers + serving.threads > 0 {
        let text = format!(
            "jobs: {}, timers: {}, threads of its own: {}",
            serving.jobs, serving.timers, serving.threads
        );
        lines.push(labelled("runs", &text));
    }
    numbers(&serving.numbers, output, lines);
}

/// The calls of a generation: how many and how they ended, and how long they took.
fn numbers(numbers: &Numbers, output: &Output, lines: &mut Vec<String>) {
    let Numbers {
        calls,
        errors,
        panics,
        in_flight,
        latency,
    } = numbers;
    let text = format!("{calls}, errors: {errors}, panics: {panics}, in flight: {in_flight}");
    let text = if *panics > 0 {
        output.paint(Colour::Yellow, &text)
    } else {
        text
    };
    lines.push(labelled("calls", &text));
    if let Some(latency) = latency {
        let [p50, p99, p999, max] = [
            latency.p50_nanos,
            latency.p99_nanos,
            latency.p999_nanos,
            latency.max_nanos,
        ]
        .map(duration_of_nanos);
        let text = format!("p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}");
        lines.push(labelled("latency", &text));
    }
}

/// What an artifact says of itself.
pub(crate) fn manifest(manifest: &Manifest, output: &Output) -> String {
    let mut lines = vec![labelled(
        "plugin",
        &output.paint(Colour::Bold, &manifest.name),
    )];
    lines.push(labelled("version", &manifest.version));
    lines.push(labelled("contract", &manifest.contract.to_string()));
    lines.push(labelled("mode", mode(manifest.mode)));
    if let Some(schema) = manifest.schema {
        lines.push(labelled("schema", &schema.to_string()));
    }
    lines.push(labelled("compiler", &manifest.rustc));
    lines.push(methods(manifest, output));
    lines.join("\n")
}

fn methods(manifest: &Manifest, output: &Output) -> String {
    let mut lines = Vec::new();
    if !manifest.doc.is_empty() {
        lines.push(labelled("about", &indented(&manifest.doc, LABEL_WIDTH)));
    }
    for method in &manifest.methods {
        let alone = if method.exclusive {
            output.paint(Colour::Dim, "  (called alone)")
        } else {
            String::new()
        };
        let signature = output.paint(Colour::Bold, &method.signature());
        lines.push(labelled("method", &format!("{signature}{alone}")));
        if !method.doc.is_empty() {
            let doc = indented(&method.doc, LABEL_WIDTH + 2);
            lines.push(format!("{}{doc}", " ".repeat(LABEL_WIDTH + 2)));
        }
    }
    lines.join("\n")
}

/// How a swap went.
pub(crate) fn swap(report: &SwapReport, output: &Output) -> String {
    if report.unchanged {
        return format!(
            "{} {}: generation {} serves this artifact already",
            report.plugin, report.version, report.generation
        );
    }
    let micros: u64 = report.steps.iter().map(|step| step.micros).sum();
    let mut lines = vec![format!(
        "{} {} → generation {} {} ({})",
        report.plugin,
        report.version,
        report.generation,
        output.paint(Colour::Green, "serves"),
        duration_of_micros(micros)
    )];
    for step in &report.steps {
        let took = duration_of_micros(step.micros);
        lines.push(format!("  {:<12}{took}", step.step.to_string()));
    }
    if let Some(bytes) = report.state_bytes {
        lines.push(format!("  {bytes} bytes of state handed over"));
    }
    if let (Some(replaced), Some(departure)) = (report.replaced, &report.departure) {
        lines.push(match departure {
            Departure::Unmapped => format!("  generation {replaced} is unmapped"),
            Departure::Lingering { cause } => format!("  generation {replaced} lingers: {cause}"),
        });
    }
    for remark in &report.remarks {
        lines.push(format!("  remark: {remark}"));
    }
    lines.join("\n")
}

/// The word for a standing.
pub(crate) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Serving => "serving",
        Standing::Unloaded => "unloaded",
        Standing::Failed => "failed",
    }
}

fn coloured(standing_of: Standing, output: &Output) -> String {
    let colour = match standing_of {
        Standing::Serving => Colour::Green,
        Standing::Unloaded => Colour::Yellow,
        Standing::Failed => Colour::Red,
    };
    output.paint(colour, standing(standing_of))
}

/// The word for a trigger.
pub(crate) fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Watch => "watch",
        Trigger::Load => "load",
        Trigger::Rollback => "rollback",
        Trigger::Release => "release",
        Trigger::Unload => "unload",
        Trigger::Removal => "removal",
        Trigger::Start => "start",
        Trigger::Shutdown => "shutdown",
    }
}

/// A moment, from milliseconds since 1970.
pub(crate) fn time(millis: u64) -> String {
    let moment = UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    moment.map_or_else(
        || millis.to_string(),
        |moment| humantime::format_rfc3339_millis(moment).to_string(),
    )
}

/// How long ago a moment was, in whole seconds.
pub(crate) fn ago(millis: u64) -> String {
    let age = UNIX_EPOCH
        .checked_add(Duration::from_millis(millis))
        .and_then(|moment| SystemTime::now().duration_since(moment).ok())
        .unwrap_or_default();
    let seconds = Duration::from_secs(age.as_secs());
    format!("{} ago", humantime::format_duration(seconds))
}

/// A very short time, to three digits.
pub(crate) fn duration_of_nanos(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..10_000 => format!("{}.{} µs", nanos / 1_000, nanos % 1_000 / 100),
        _ => duration_of_micros(nanos / 1_000),
    }
}

/// A short time, to three digits.
pub(crate) fn duration_of_micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..10_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{} s", micros / 1_000_000),
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Barrier => "barrier (state is handed over between calls)",
        Mode::Overlap => "overlap (old and new run side by side for a while)",
    }
}

fn labelled(label: &str, value: &str) -> String {
    format!("{label:<LABEL_WIDTH$}{value}")
}

/// All lines but the first moved to the right.
fn indented(text: &str, by: usize) -> String {
    text.trim().replace('\n', &format!("\n{}", " ".repeat(by)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_with_how_they_ended_and_how_long_they_took() {
        let mut lines = Vec::new();
        let mut some = Numbers {
            calls: 5,
            errors: 2,
            panics: 0,
            in_flight: 1,
            latency: None,
        };
        numbers(&some, &Output::new(false), &mut lines);
        some.latency = Some(host::report::Latency {
            p50_nanos: 640,
            p99_nanos: 1_280,
            p999_nanos: 40_960,
            max_nanos: 12_000_000,
        });
        numbers(&some, &Output::new(false), &mut lines);
        assert_eq!(
            lines,
            [
                "calls         5, errors: 2, panics: 0, in flight: 1",
                "calls         5, errors: 2, panics: 0, in flight: 1",
                "latency       p50 640 ns, p99 1.2 µs, p99.9 40 µs, max 12 ms",
            ]
        );
    }

    #[test]
    fn short_times_have_few_digits() {
        assert_eq!(duration_of_micros(730), "730 µs");
        assert_eq!(duration_of_micros(4_260), "4.2 ms");
        assert_eq!(duration_of_micros(412_900), "412 ms");
        assert_eq!(duration_of_micros(12_000_000), "12 s");
    }

    #[test]
    fn a_moment_reads_as_a_date() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
    }
}
