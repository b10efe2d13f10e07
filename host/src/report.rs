//! A report: what the host tells of a swap, a plugin, or itself. Plain data, shared by library, journal and surfaces.

use crate::{artifact::Digest, data::DatasetStatus, step::Step};
use plugin_api::manifest::{Manifest, Mode};
use serde::{Deserialize, Serialize, Serializer};
use std::path::{Path, PathBuf};

/// What became of a generation that was retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "departure", rename_all = "snake_case")]
pub enum Departure {
    /// Its library is out of memory: verified in the process's mappings.
    Unmapped,
    /// Its library is still in memory, for this reason; a sweeper tries again.
    Lingering {
        /// What holds it, in words.
        cause: String,
    },
}

/// What vetting found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It can be loaded, created, snapshot, restored and dropped.
    Sound {
        /// What it says of itself.
        manifest: Box<Manifest>,
        /// What its author should know all the same.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remarks: Vec<String>,
    },
    /// It is not a plugin for this host; the reason says what to do.
    Refused {
        /// Why.
        reason: String,
    },
    /// It ended the examiner process.
    Crashed {
        /// The signal or exit code, and the last words on standard error.
        reason: String,
    },
    /// The examiner process did not come back in time.
    Silent {
        /// How long it was given, and where it stood.
        reason: String,
    },
}

impl Verdict {
    /// The verdict's word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Sound { .. } => "sound",
            Verdict::Refused { .. } => "refused",
            Verdict::Crashed { .. } => "crashed",
            Verdict::Silent { .. } => "silent",
        }
    }

    /// The reason, unless it is sound.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Verdict::Sound { .. } => None,
            Verdict::Refused { reason }
            | Verdict::Crashed { reason }
            | Verdict::Silent { reason } => Some(reason),
        }
    }
}

/// How long a step took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// The step.
    pub step: Step,
    /// Microseconds of wall-clock time.
    pub micros: u64,
}

/// What set a journey off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A file that appeared or changed in the watched directory.
    Watch,
    /// An operator's `load`.
    Load,
    /// An operator's `rollback`.
    Rollback,
    /// An operator's release.
    Release,
    /// An operator's `unload`.
    Unload,
    /// A file that was removed from the watched directory.
    Removal,
    /// The start of the host: back to the last good artifact.
    Start,
    /// The end of the host.
    Shutdown,
}

/// A swap that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapReport {
    /// The plugin.
    pub plugin: String,
    /// The version that serves now.
    pub version: String,
    /// The generation that serves now.
    pub generation: u64,
    /// The generation it replaced, if one was serving.
    pub replaced: Option<u64>,
    /// Whether the artifact was the serving one already, so that nothing was done.
    pub unchanged: bool,
    /// The digest of the artifact.
    pub digest: Digest,
    /// Bytes of state handed over.
    pub state_bytes: Option<u64>,
    /// What each step took.
    pub steps: Vec<StepTime>,
    /// What became of the replaced generation.
    pub departure: Option<Departure>,
    /// What could not be kept, and what else an operator should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// A plugin that was unloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnloadReport {
    /// The plugin.
    pub plugin: String,
    /// The generation that served.
    pub generation: u64,
    /// What became of it.
    pub departure: Departure,
    /// Whether its state was saved, to be restored when it is loaded again.
    pub state_saved: bool,
}

/// How the end of a host went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownReport {
    /// Plugins whose state was saved.
    pub saved: Vec<String>,
    /// Plugins whose calls did not end in time, with who was inside; their state could not be saved.
    pub out_of_time: Vec<String>,
    /// Plugins whose state could not be saved for another reason.
    pub failed: Vec<String>,
}

/// Where a plugin stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It answers calls.
    Serving,
    /// An operator unloaded it, or its file was removed.
    Unloaded,
    /// No artifact of it could be loaded yet.
    Failed,
}

/// All about one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub standing: Standing,
    /// The generation that serves, if one does.
    pub serving: Option<GenerationStatus>,
    /// Generations that are retired and not yet unmapped.
    pub lingering: Vec<LingeringStatus>,
    /// The watched file it comes from, if any.
    pub file: Option<PathBuf>,
    /// The last artifact that was turned away, with the reason.
    pub last_failure: Option<Failure>,
    /// Calls that are inside now.
    pub inside: Vec<Blocker>,
}

/// All about the generation that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationStatus {
    /// Its number.
    pub generation: u64,
    /// The author's version.
    pub version: String,
    /// How its successor will take over.
    pub mode: Mode,
    /// The number of its state's format, if it has state.
    pub schema: Option<u32>,
    /// The digest of the author's file.
    pub digest: Digest,
    /// When it began to serve: milliseconds since 1970.
    pub since: u64,
    /// Whether a `&mut self` method panicked half-way, in this generation or in one that its state comes from, so that the
    /// state may be inconsistent.
    pub tainted: bool,
    /// Jobs of its that are running.
    pub jobs: usize,
    /// Its timers.
    pub timers: usize,
    /// Threads that its own code has started and that are alive.
    pub threads: usize,
    /// The datasets it reads, with the revision that its next call will see.
    #[serde(default)]
    pub reads: Vec<ReadStatus>,
    /// Its calls.
    pub numbers: Numbers,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// A dataset that a generation reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadStatus {
    /// The dataset.
    pub dataset: String,
    /// The revision that its next call will see.
    pub revision: Option<u64>,
}

/// The calls that a generation has had, in numbers. By name and typed ones, from outside and from other plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// Calls that have ended.
    pub calls: u64,
    /// Those of them that ended with an error: refused by the method, or a fault of the plugin's.
    pub errors: u64,
    /// Those of the errors that were panics.
    pub panics: u64,
    /// Calls that are inside now.
    pub in_flight: u64,
    /// How long calls took; `None` where none was timed.
    pub latency: Option<Latency>,
}

/// How long calls took inside the plugin, in nanoseconds: upper bounds, to about a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the calls took no longer.
    pub p50_nanos: u64,
    /// 99 in 100 took no longer.
    pub p99_nanos: u64,
    /// 999 in 1,000 took no longer.
    pub p999_nanos: u64,
    /// The longest.
    pub max_nanos: u64,
}

/// A generation that is retired and not yet unmapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LingeringStatus {
    /// Its number.
    pub generation: u64,
    /// The author's version.
    pub version: String,
    /// What holds it.
    pub cause: String,
    /// Its calls.
    pub numbers: Numbers,
}

/// An artifact that was turned away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When: milliseconds since 1970.
    pub time: u64,
    /// Where its journey ended.
    pub step: Step,
    /// Why.
    pub reason: String,
}

/// A call that is inside, and so stands in the way of a drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// The method.
    pub method: String,
    /// The calling thread, by name or number; empty for an `async` method, which is pending on no thread.
    pub thread: String,
    /// How long it has been inside, in milliseconds.
    pub age_millis: u64,
    /// The generation it is inside of.
    pub generation: u64,
}

impl Blocker {
    /// Where it is, in words: "on thread worker-1", or "pending".
    #[must_use]
    pub fn place(&self) -> String {
        if self.thread.is_empty() {
            "pending".to_owned()
        } else {
            format!("on thread {}", self.thread)
        }
    }
}

/// All about the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// The version of the host.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// The directory it watches, if any.
    #[serde(serialize_with = "some_as_text")]
    pub directory: Option<PathBuf>,
    /// Where it keeps journal, artifacts and snapshots.
    #[serde(serialize_with = "as_text")]
    pub state_dir: PathBuf,
    /// Whether the libc symbols are interposed, so that libraries can be unmapped; if not, why not.
    #[serde(with = "interposition")]
    pub interposition: Result<(), String>,
    /// Whether it is on its way out.
    pub shutting_down: bool,
    /// Its plugins.
    pub plugins: Vec<PluginStatus>,
    /// Its datasets.
    #[serde(default)]
    pub datasets: Vec<DatasetStatus>,
    /// Files of the watched directory that are ignored, with the reason.
    pub ignored: Vec<IgnoredFile>,
}

/// A path as JSON can hold it: what is not UTF-8 in it is replaced.
/// As an object: whether they are, and why not.
mod interposition {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Told {
        in_force: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(
        it: &Result<(), String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let reason = it.as_ref().err().cloned();
        let in_force = it.is_ok();
        Told { in_force, reason }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<(), String>, D::Error> {
        let told = Told::deserialize(deserializer)?;
        Ok(match told.in_force {
            true => Ok(()),
            false => Err(told.reason.unwrap_or_default()),
        })
    }
}

fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn some_as_text<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => as_text(path, serializer),
        None => serializer.serialize_none(),
    }
}

/// A file of the watched directory that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredFile {
    /// The file.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    #[test]
    fn interposition_is_told_in_words_of_lower_case_and_read_again() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Told(#[serde(with = "super::interposition")] Result<(), String>);
        for (told, text) in [
            (Told(Ok(())), r#"{"in_force":true}"#),
            (
                Told(Err("linked statically".to_owned())),
                r#"{"in_force":false,"reason":"linked statically"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&told).expect("it is written"), text);
            let again: Told = serde_json::from_str(text).expect("it is read");
            assert_eq!(again, told);
        }
    }
}
