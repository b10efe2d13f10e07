//! The host: what an embedding service holds.

use crate::{
    config::Config,
    error::{CallError, SwapError},
    event::{Event, Happening},
    journal::Record,
    report::{HostStatus, PluginStatus, ShutdownReport, SwapReport, UnloadReport, Verdict},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// A running host. Clones are the same host; it ends with [`Host::shutdown`], or when the last clone is dropped.
#[derive(Clone)]
pub struct Host {}

/// How a host is to be started.
pub struct HostBuilder {}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The method's result as JSON text.
    pub result: Vec<u8>,
    /// The version that answered.
    pub version: std::sync::Arc<str>,
    /// The generation that answered.
    pub generation: u64,
}

/// Where a rollback goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackTarget {
    /// The last artifact that served with this version.
    Version(String),
    /// The artifact that served as this generation.
    Generation(u64),
}

impl HostBuilder {
    /// Sets the configuration. Default: [`Config::default`].
    #[must_use]
    pub fn config(self, _config: Config) -> Self {
        unimplemented!()
    }
    /// Watches this directory; `Config::plugins.dir` otherwise; none at all where neither is set.
    #[must_use]
    pub fn directory(self, _directory: impl Into<PathBuf>) -> Self {
        unimplemented!()
    }
    /// Only files with these names are looked at in the directory.
    #[must_use]
    pub fn only_files(self, _names: impl IntoIterator<Item = String>) -> Self {
        unimplemented!()
    }
    /// Where journal, artifacts and snapshots are kept. Default `.host`.
    #[must_use]
    pub fn state_dir(self, _dir: impl Into<PathBuf>) -> Self {
        unimplemented!()
    }
    /// The program that examines artifacts in a child process. Default: this program itself.
    #[must_use]
    pub fn examiner(self, _program: impl Into<PathBuf>) -> Self {
        unimplemented!()
    }
    /// Starts: the last good artifacts first, then what the directory has; returns when all that was there is decided.
    pub fn start(self) -> anyhow::Result<Host> {
        unimplemented!()
    }
}

impl Host {
    /// A host to be started.
    #[must_use]
    pub fn builder() -> HostBuilder {
        unimplemented!()
    }
    /// Calls a method by name on the calling thread. `arguments` is JSON.
    pub fn call(
        &self,
        _plugin: &str,
        _method: &str,
        _arguments: &[u8],
    ) -> Result<Reply, CallError> {
        unimplemented!()
    }
    /// Gives the call to the bounded pool of call threads; `answer` is called on one of them. Waits for nothing:
    /// a full queue is `CallError::Busy` at once.
    pub fn call_queued(
        &self,
        _plugin: String,
        _method: String,
        _arguments: Vec<u8>,
        _answer: Box<dyn FnOnce(Result<Reply, CallError>) + Send>,
    ) -> Result<(), CallError> {
        unimplemented!()
    }
    /// Takes the file through the whole journey, and waits for the outcome.
    pub fn load(&self, _file: &Path) -> Result<SwapReport, SwapError> {
        unimplemented!()
    }
    /// Drains and unloads a plugin.
    pub fn unload(&self, _plugin: &str) -> Result<UnloadReport, SwapError> {
        unimplemented!()
    }
    /// Goes back to an older artifact, by the same journey.
    pub fn rollback(
        &self,
        _plugin: &str,
        _to: Option<RollbackTarget>,
    ) -> Result<SwapReport, SwapError> {
        unimplemented!()
    }
    /// Examines a file as a load would; nothing is loaded.
    pub fn vet(&self, _file: &Path) -> Verdict {
        unimplemented!()
    }
    /// Looks at the whole directory again.
    pub fn rescan(&self) {
        unimplemented!()
    }
    /// Changes the set of names given to [`HostBuilder::only_files`].
    pub fn watch_only(&self, _names: impl IntoIterator<Item = String>) {
        unimplemented!()
    }
    /// All about the host.
    #[must_use]
    pub fn status(&self) -> HostStatus {
        unimplemented!()
    }
    /// All about one plugin.
    #[must_use]
    pub fn plugin(&self, _name: &str) -> Option<PluginStatus> {
        unimplemented!()
    }
    /// The journal's records of a plugin, newest first, at most `limit`.
    pub fn history(&self, _plugin: &str, _limit: usize) -> anyhow::Result<Vec<Record>> {
        unimplemented!()
    }
    /// The last events, oldest first, at most 100.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        unimplemented!()
    }
    /// The events from now on. A follower who falls 1,024 behind is cut off.
    #[must_use]
    pub fn follow(&self) -> crossbeam_channel::Receiver<Event> {
        unimplemented!()
    }
    /// Adds an event of the program's own (builds of `host dev`).
    pub fn announce(&self, _what: Happening) {
        unimplemented!()
    }
    /// Refuses new calls, drains, saves states, stops. Every later call is `NotServing`.
    pub fn shutdown(&self, _deadline: Duration) -> ShutdownReport {
        unimplemented!()
    }
}

/// Examines `file` in a child process of `examiner` without a host (for `host vet`).
pub fn vet(_file: &Path, _examiner: Option<&Path>, _limit: Duration) -> Verdict {
    unimplemented!()
}

/// Must be the first thing in the `main` of a program that examines artifacts by itself: it does nothing in the ordinary
/// process and never returns in the examiner process.
pub fn examiner() {}
