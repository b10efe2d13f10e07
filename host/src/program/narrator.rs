//! The narrator of `host dev`: after each swap it says what serves now and how long that took from the save, and after
//! each failure why the old version serves on.

use super::{
    data_text,
    events_text::remark,
    output::{Colour, Output},
    release_text,
    status_text::trigger,
};
use crossbeam_channel::{Receiver, select};
use host::{
    Host, Step,
    event::{Event, Happening},
    report::{Departure, PluginStatus, Trigger},
};
use indicatif::ProgressBar;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long a line may wait for cargo to say that it has finished the file: the host is often quicker.
const CARGO_IS_SLOWER: Duration = Duration::from_millis(250);

/// When the builds of this process were set off, and what they made.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    state: Mutex<State>,
    made: Condvar,
    bar: Mutex<Option<ProgressBar>>,
}

#[derive(Debug, Default)]
struct State {
    saved: Option<SystemTime>,
    began: Option<Instant>,
    files: BTreeMap<String, Made>,
}

/// How a file came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    /// The save that set it off, if one did.
    saved: Option<SystemTime>,
    /// What cargo took for it.
    took: Duration,
}

impl Builds {
    /// The next build is for a save at this time.
    pub(crate) fn saved(&self, time: SystemTime) {
        self.state.lock().saved = Some(time);
    }

    /// A build begins.
    pub(crate) fn begin(&self) {
        let mut state = self.state.lock();
        state.began = Some(Instant::now());
        state.files.clear();
    }

    /// The build has made a file of this name.
    pub(crate) fn made(&self, name: &str) {
        let mut state = self.state.lock();
        let Some(began) = state.began else {
            return;
        };
        let (saved, took) = (state.saved, began.elapsed());
        state.files.insert(name.to_owned(), Made { saved, took });
        self.made.notify_all();
    }

    /// The build has ended.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.began = None;
        state.saved = None;
        self.made.notify_all();
    }

    /// The progress of the build is shown by this bar.
    pub(crate) fn show(&self, bar: ProgressBar) {
        *self.bar.lock() = Some(bar);
    }

    /// Does this while no bar is in the way.
    fn beside_bar(&self, tell: impl FnOnce()) {
        let bar = self.bar.lock().clone();
        match bar {
            Some(bar) => bar.suspend(tell),
            None => tell(),
        }
    }

    /// How the file of this name came to be, unless that was told already or cargo was run by somebody else.
    fn take(&self, name: &str) -> Option<Made> {
        let until = Instant::now() + CARGO_IS_SLOWER;
        let mut state = self.state.lock();
        while state.began.is_some() && !state.files.contains_key(name) {
            if self.made.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.files.remove(name)
    }
}

/// Tells what happens in the host until `ended` is cut.
pub(crate) fn narrate(host: &Host, builds: &Builds, output: &Output, ended: &Receiver<()>) {
    let events = host.follow();
    let mut told = BTreeMap::new();
    for plugin in host.status().plugins {
        output.line(&at_first(&plugin, output));
        let serving = plugin.serving.map(|serving| serving.generation);
        told.insert(plugin.name, serving);
    }
    let mut last_of_start = 0;
    for event in host.events() {
        last_of_start = event.sequence;
        if is_said_aloud(&event.what)
            && let Some(line) = line(host, builds, &event, output)
        {
            output.line(&line);
        }
    }
    loop {
        let event = select! {
            recv(events) -> event => event,
            recv(ended) -> _ => return,
        };
        let Ok(event) = event else {
            return;
        };
        // A swap between the two looks above stands in both.
        if let Happening::Swapped {
            plugin, generation, ..
        } = &event.what
            && told.remove(plugin) == Some(Some(*generation))
        {
            continue;
        }
        if event.sequence <= last_of_start && is_said_aloud(&event.what) {
            continue;
        }
        if let Some(line) = line(host, builds, &event, output) {
            builds.beside_bar(|| output.line(&line));
        }
    }
}

/// What is told of the start, beside where each plugin stands: what could not be kept above all.
fn is_said_aloud(what: &Happening) -> bool {
    matches!(what, Happening::Remark { .. } | Happening::Ignored { .. })
}

/// Where a plugin stands at the beginning.
fn at_first(plugin: &PluginStatus, output: &Output) -> String {
    match (&plugin.serving, &plugin.last_failure) {
        (Some(serving), _) => serves(
            &plugin.name,
            &serving.version,
            serving.generation,
            "",
            output,
        ),
        (None, Some(failure)) => {
            not_swapped(&plugin.name, failure.step, &failure.reason, None, output)
        }
        (None, None) => format!("{} does not serve", plugin.name),
    }
}

fn line(host: &Host, builds: &Builds, event: &Event, output: &Output) -> Option<String> {
    Some(match &event.what {
        Happening::Swapped {
            plugin,
            version,
            generation,
            trigger,
            ..
        } => {
            let why = why(host, builds, plugin, *trigger, event.time);
            serves(plugin, version, *generation, &why, output)
        }
        Happening::SwapFailed {
            plugin,
            step,
            reason,
        } => {
            let serving = host.plugin(plugin).and_then(|status| status.serving);
            let serving = serving.map(|serving| (serving.version, serving.generation));
            not_swapped(plugin, *step, reason, serving, output)
        }
        Happening::Unloaded {
            plugin,
            trigger: by,
            ..
        } => format!("{plugin} is unloaded (by {})", trigger(*by)),
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
            method,
            reason,
            ..
        } => {
            let tainted = output.paint(Colour::Red, "may be inconsistent");
            format!("{plugin}: its state {tainted}, {method} panicked: {reason}")
        }
        Happening::Ignored { file, reason } => format!("{file} is ignored: {reason}"),
        Happening::Remark { plugin, text } => remark(plugin.as_deref(), text),
        Happening::Released { .. } | Happening::ReleaseFailed { .. } => {
            return release_text::told(&event.what, output);
        }
        Happening::DataRefused { .. }
        | Happening::DataPublished { .. }
        | Happening::DataRolledBack { .. }
        | Happening::DataPinned { .. }
        | Happening::DataRestored { .. }
        | Happening::DataStale { .. }
        | Happening::SourceLost { .. }
        | Happening::SourceBack { .. } => return data_text::told(&event.what, output),
        Happening::DataReceived { .. }
        | Happening::DataApplied { .. }
        | Happening::Started { .. }
        | Happening::StepDone { .. }
        | Happening::Departed { .. }
        | Happening::BuildStarted { .. }
        | Happening::BuildDone { .. }
        | Happening::ShuttingDown
        | Happening::Stopped => return None,
    })
}

fn serves(plugin: &str, version: &str, generation: u64, why: &str, output: &Output) -> String {
    let serves = output.paint(Colour::Green, "serves");
    format!("{plugin} {version} → generation {generation} {serves}{why}")
}

fn not_swapped(
    plugin: &str,
    step: Step,
    reason: &str,
    serving: Option<(String, u64)>,
    output: &Output,
) -> String {
    let stopped = output.paint(Colour::Red, &format!("stopped at {step}"));
    let rest = match serving {
        Some((version, generation)) => {
            format!("; {version}, generation {generation}, serves on")
        }
        None => String::new(),
    };
    format!("{plugin} {stopped}: {reason}{rest}")
}

/// What set a swap off and what it took, as far as it is of interest.
fn why(host: &Host, builds: &Builds, plugin: &str, by: Trigger, swapped: u64) -> String {
    if by != Trigger::Watch {
        return format!(" (by {})", trigger(by));
    }
    let file = host.plugin(plugin).and_then(|status| status.file);
    let name = file.as_ref().and_then(|file| file.file_name());
    match name.and_then(|name| builds.take(&name.to_string_lossy())) {
        Some(made) => timing(made, swapped),
        None => String::new(),
    }
}

fn timing(made: Made, swapped: u64) -> String {
    let build = made.took.as_millis();
    let swapped = UNIX_EPOCH + Duration::from_millis(swapped);
    let since_save = made
        .saved
        .and_then(|saved| swapped.duration_since(saved).ok());
    match since_save {
        Some(since) => format!(" ({} ms after save, build {build} ms)", since.as_millis()),
        None => format!(" (build {build} ms)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_is_timed_from_the_save() {
        let made = Made {
            saved: Some(UNIX_EPOCH + Duration::from_millis(1_000)),
            took: Duration::from_millis(380),
        };
        assert_eq!(timing(made, 1_412), " (412 ms after save, build 380 ms)");
    }

    #[test]
    fn a_file_that_this_build_made_is_told_once() {
        let builds = Builds::default();
        builds.saved(UNIX_EPOCH);
        builds.begin();
        builds.made("libcounter.so");
        builds.end();
        assert_eq!(
            builds.take("libcounter.so").and_then(|made| made.saved),
            Some(UNIX_EPOCH)
        );
        assert_eq!(builds.take("libcounter.so"), None);
        assert_eq!(builds.take("libother.so"), None);
    }

    #[test]
    fn a_line_waits_for_cargo_while_a_build_runs() {
        let builds = Builds::default();
        builds.begin();
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| builds.take("libcounter.so"));
            builds.made("libcounter.so");
            assert!(taken.join().unwrap().is_some());
        });
    }

    #[test]
    fn a_failure_says_what_serves_on() {
        let output = Output::new(true);
        let serving = Some(("1.0.0".to_owned(), 6));
        assert_eq!(
            not_swapped("counter", Step::Vet, "it crashed", serving, &output),
            "counter stopped at vet: it crashed; 1.0.0, generation 6, serves on"
        );
    }
}
