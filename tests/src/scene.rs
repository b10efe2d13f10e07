//! A scene: a host in this process, with folders of its own.

use crate::{artifact::Artifact, process, waiting::LIMIT};
use host::{Host, config::Config, report::SwapReport};
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

/// Folders and settings for a host in this process.
#[derive(Debug)]
pub struct Scene {
    folder: TempDir,
    examiner: PathBuf,
    /// The settings; deadlines are so long that only a test of deadlines meets them.
    pub config: Config,
}

impl Scene {
    /// A new scene. `examiner` is `env!("CARGO_BIN_EXE_examiner")`, which only a test target knows.
    ///
    /// # Panics
    /// When there is no room for its folders.
    #[must_use]
    pub fn new(examiner: &str) -> Self {
        let mut config = Config::default();
        config.plugins.each.vet_timeout = Duration::from_secs(60);
        config.plugins.each.drain_deadline = Duration::from_secs(60);
        config.plugins.each.handover_timeout = Duration::from_secs(60);
        let scene = Scene {
            folder: TempDir::new().expect("a temporary folder"),
            examiner: examiner.into(),
            config,
        };
        std::fs::create_dir(scene.plugins()).expect("a folder for plugins");
        scene
    }

    /// The folder that a watching host watches.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// The host's own folder.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A folder for files that the host does not watch.
    #[must_use]
    pub fn elsewhere(&self) -> PathBuf {
        self.folder.path().join("elsewhere")
    }

    /// Starts a host that watches nothing.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(&self) -> Host {
        Host::builder()
            .config(self.config.clone())
            .state_dir(self.state_dir())
            .examiner(&self.examiner)
            .start()
            .expect("the host starts")
    }

    /// Starts a host that watches the folder of plugins.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_watching(&self) -> Host {
        Host::builder()
            .config(self.config.clone())
            .directory(self.plugins())
            .state_dir(self.state_dir())
            .examiner(&self.examiner)
            .start()
            .expect("the host starts")
    }

    /// Loads an artifact that nothing is wrong with, from elsewhere.
    ///
    /// # Panics
    /// When it is not loaded.
    pub fn load(&self, host: &Host, artifact: &Artifact) -> SwapReport {
        match host.load(&self.put(artifact)) {
            Ok(report) => report,
            Err(error) => panic!("{error}"),
        }
    }

    /// Puts an artifact elsewhere.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, artifact: &Artifact) -> PathBuf {
        artifact.place(&self.elsewhere())
    }

    /// The libraries of this scene's host that are mapped, without the plugins' own doing.
    #[must_use]
    pub fn mapped(&self) -> Vec<String> {
        process::mappings_below(self.folder.path())
    }

    /// Waits until no library of this scene's host is mapped.
    ///
    /// # Panics
    /// When one stays.
    pub fn wait_until_unmapped(&self) {
        let begin = std::time::Instant::now();
        while !self.mapped().is_empty() {
            assert!(
                begin.elapsed() < LIMIT,
                "still mapped: {:#?}",
                self.mapped()
            );
            std::thread::yield_now();
        }
    }
}

/// Calls a method whose result is a number.
///
/// # Panics
/// When it has no such result.
pub fn number(host: &Host, plugin: &str, method: &str, arguments: &str) -> u64 {
    match host.call(plugin, method, arguments.as_bytes()) {
        Ok(reply) => serde_json::from_slice(&reply.result).expect("the result is a number"),
        Err(error) => panic!("{plugin}.{method}{arguments}: {error}"),
    }
}
