//! An event: everything that can happen in a host, as a closed list.

use crate::{
    data::{Origin, Refusal},
    report::{Departure, Trigger},
    step::Step,
};
use serde::{Deserialize, Serialize};

/// Something that happened, with its place in the order of events and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number since the host started, from 1.
    pub sequence: u64,
    /// When: milliseconds since 1970.
    pub time: u64,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// Everything that can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// The host began to work.
    Started {
        /// The watched directory, if any.
        directory: Option<String>,
    },
    /// A file was noticed that is not to be loaded.
    Ignored {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A step of a journey was done.
    StepDone {
        /// The plugin, or the file while the plugin is unknown.
        plugin: String,
        /// The generation, once it has a number.
        generation: Option<u64>,
        /// The step.
        step: Step,
        /// What it took.
        micros: u64,
    },
    /// A new generation serves.
    Swapped {
        /// The plugin.
        plugin: String,
        /// Its version.
        version: String,
        /// Its generation.
        generation: u64,
        /// The one it replaced.
        replaced: Option<u64>,
        /// What set it off.
        trigger: Trigger,
    },
    /// A journey ended before its switch; what served serves on.
    SwapFailed {
        /// The plugin, or the file while the plugin is unknown.
        plugin: String,
        /// Where.
        step: Step,
        /// Why.
        reason: String,
    },
    /// A plugin no longer serves.
    Unloaded {
        /// The plugin.
        plugin: String,
        /// The generation that served.
        generation: u64,
        /// What set it off.
        trigger: Trigger,
    },
    /// What became of a retired generation.
    Departed {
        /// The plugin.
        plugin: String,
        /// The generation.
        generation: u64,
        /// What became of it.
        #[serde(flatten)]
        departure: Departure,
    },
    /// A `&mut self` method panicked, so that the state may be half changed.
    Tainted {
        /// The plugin.
        plugin: String,
        /// The generation.
        generation: u64,
        /// The method.
        method: String,
        /// The panic.
        reason: String,
    },
    /// Content of a dataset came that is not what came last.
    DataReceived {
        /// The dataset.
        dataset: String,
        /// Who brought it.
        origin: Origin,
        /// Its length in bytes.
        length: u64,
    },
    /// Content was refused; what was held is held on.
    DataRefused {
        /// The dataset.
        dataset: String,
        /// Why, where, and whose it was.
        refusal: Refusal,
    },
    /// A new revision is published.
    DataPublished {
        /// The dataset.
        dataset: String,
        /// Its revision.
        revision: u64,
        /// Who brought it.
        origin: Origin,
        /// Whether it ends what an operator had put or gone back to.
        overtakes_operator: bool,
    },
    /// An operator went back to an older revision, whose content is published as a new one.
    DataRolledBack {
        /// The dataset.
        dataset: String,
        /// The new revision.
        revision: u64,
        /// The one whose content it has.
        to: u64,
        /// Whether it is held against the source.
        pinned: bool,
    },
    /// An operator pinned what a dataset holds, or lifted the pin.
    DataPinned {
        /// The dataset.
        dataset: String,
        /// Whether it is pinned now.
        pinned: bool,
    },
    /// Those who use a dataset have been told of a revision.
    DataApplied {
        /// The dataset.
        dataset: String,
        /// The revision.
        revision: u64,
        /// Who could not use it, with the reason.
        failures: Vec<String>,
    },
    /// A revision from disk is held since the start, until the source is heard.
    DataRestored {
        /// The dataset.
        dataset: String,
        /// The revision.
        revision: u64,
    },
    /// Nothing has confirmed what a dataset holds for too long. It is served on.
    DataStale {
        /// The dataset.
        dataset: String,
    },
    /// The source of a dataset cannot be followed now; it is tried again.
    SourceLost {
        /// The dataset.
        dataset: String,
        /// Why.
        reason: String,
    },
    /// The source of a dataset is followed again.
    SourceBack {
        /// The dataset.
        dataset: String,
    },
    /// A release is applied: all of it.
    Released {
        /// Its number.
        release: u64,
        /// What people call it.
        name: Option<String>,
        /// The release that it went back from, if it was made for that.
        rolls_back: Option<u64>,
        /// Its plugins.
        plugins: Vec<String>,
        /// Its datasets.
        data: Vec<String>,
    },
    /// A release was not applied.
    ReleaseFailed {
        /// Its number, if it came so far as to have one.
        release: Option<u64>,
        /// What people call it.
        name: Option<String>,
        /// Why.
        reason: String,
        /// What was left as the release had made it, and why; empty where everything is as it was.
        left: Vec<String>,
    },
    /// Something could not be kept, or an operator should know it.
    Remark {
        /// The plugin, if it is about one.
        plugin: Option<String>,
        /// What.
        text: String,
    },
    /// An author's build began (`host dev`).
    BuildStarted {
        /// The packages.
        packages: Vec<String>,
    },
    /// An author's build ended (`host dev`).
    BuildDone {
        /// Whether it succeeded.
        success: bool,
        /// The compiler's first error, if it did not.
        reason: Option<String>,
        /// What it took.
        millis: u64,
    },
    /// The host takes no more calls and drains.
    ShuttingDown,
    /// The host has ended its work.
    Stopped,
}
