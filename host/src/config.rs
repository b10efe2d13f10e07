//! The configuration: what an operator may set, with its defaults.
//!
//! It is written in one strict TOML file, `host.toml`, and overridden by environment variables `HOST__SECTION__KEY`.
//! Both come down to *givens* (a place, a key, a value), which the tables in `settings` apply one by one. Whatever
//! does not fit is told, all of it at once, with its place and with what to write instead.
//!
//! What is more particular wins: `[plugins]`, then its environment, then `[plugin.NAME]`, then its environment.

mod dataset;
mod environment;
mod file;
mod given;
mod secret;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

pub use dataset::{DatasetConfig, SourceConfig, SourceSetting};
pub(crate) use dataset::{Key, Reads};
pub use secret::Secret;

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "host.toml";

/// Everything an operator may set: `host.toml`, as read and defaulted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[call]`: the listener for calls over HTTP.
    pub call: CallConfig,
    /// `[admin]`: the administration API on a TCP address.
    pub admin: AdminConfig,
    /// `[plugins]`: what holds for every plugin.
    pub plugins: PluginsConfig,
    /// `[plugin.NAME]`: what differs for one plugin, by its name. A plugin that only the environment mentions stands
    /// here as the environment spells it; [`Config::for_plugin`] finds it all the same.
    pub plugin: BTreeMap<String, PluginConfig>,
    /// `[data.NAME]`: the datasets, by name.
    pub data: BTreeMap<String, DatasetConfig>,
    /// `[log]`: what is logged, and how.
    pub log: LogConfig,
}

/// `[call]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallConfig {
    /// `listen`: the address; port 0 picks a free one. Default `127.0.0.1:7878`.
    pub listen: SocketAddr,
    /// `max_body`: the largest request body in bytes. Default 4 MiB.
    pub max_body: u64,
    /// `timeout`: how long a call may take before its caller is answered 504. Default 30 s.
    pub timeout: Duration,
    /// `threads`: threads that run calls. Default twice the processors, at least 4.
    pub threads: usize,
    /// `per_plugin`: threads that the calls of one plugin may hold. Default half of them. See [`CallConfig::share`].
    pub per_plugin: Option<usize>,
    /// `queue`: calls of one plugin that may wait for a thread, and calls of `async` methods that may be pending over HTTP,
    /// before further ones are answered 429. Default 1024.
    pub queue: usize,
    /// `max_connections`: connections that are open at once; further ones wait to be accepted. Default 1000.
    pub max_connections: usize,
    /// `max_head`: the largest head of a request (its first line with its headers) in bytes. Default 64 KiB.
    pub max_head: u64,
    /// `head_timeout`: how long a client may take for the head of a request. Default 10 s.
    pub head_timeout: Duration,
    /// `body_timeout`: how long a client may take for the body of a request. Default 30 s.
    pub body_timeout: Duration,
    /// `idle_timeout`: how long a connection may be idle: nothing comes in, nothing goes out, and no call is running.
    /// Default 60 s.
    pub idle_timeout: Duration,
}

impl CallConfig {
    /// The threads that the calls of one plugin may hold: never all, where there are several.
    #[must_use]
    pub fn share(&self) -> usize {
        let most = self.threads.saturating_sub(1).max(1);
        self.per_plugin.unwrap_or(self.threads / 2).clamp(1, most)
    }
}

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdminConfig {
    /// `listen`: a TCP address for the administration API beside the socket. Default none.
    pub listen: Option<SocketAddr>,
    /// `token_file`: the file with the bearer token that the TCP address asks for; required with `listen`.
    pub token_file: Option<PathBuf>,
}

/// `[plugins]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginsConfig {
    /// `dir`: the directory to watch, where the command line names none.
    pub dir: Option<PathBuf>,
    /// What holds for every plugin that has nothing of its own.
    pub each: PluginConfig,
}

/// What may be set under `[plugins]` for all and under `[plugin.NAME]` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginConfig {
    /// `drain_deadline`: how long a swap waits for the calls inside. Default 5 s.
    pub drain_deadline: Duration,
    /// `on_drain_deadline`: what then. Default abort.
    pub on_drain_deadline: OnDrainDeadline,
    /// `removal_grace`: how long a file must be gone to count as removed. Default 250 ms.
    pub removal_grace: Duration,
    /// `on_removal`: what a removed file means. Default unload.
    pub on_removal: OnRemoval,
    /// `keep_artifacts`: artifacts kept for rollback. Default 5, at least 1.
    pub keep_artifacts: usize,
    /// `vet_timeout`: how long the examiner process may take. Default 10 s.
    pub vet_timeout: Duration,
    /// `close_patience`: how long a swap holds callers outside in one try to close the gate. Default 2 ms.
    pub close_patience: Duration,
    /// `handover_timeout`: how long each of create, snapshot, restore and attach may take. Default 10 s.
    pub handover_timeout: Duration,
    /// `max_generations`: living generations (serving and lingering) of one plugin. Default 16, at least 2.
    pub max_generations: usize,
}

/// What a swap does when its drain deadline passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDrainDeadline {
    /// `abort`: the incumbent serves on, and the artifact waits for the next attempt.
    Abort,
    /// `keep_trying`: it goes on trying.
    KeepTrying,
}

/// What a removed file means for its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRemoval {
    /// `unload`: the plugin is unloaded.
    Unload,
    /// `keep`: it serves on.
    Keep,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `filter`: directives as in `info,host=debug`. Default `info`.
    pub filter: String,
    /// `format`: Default text.
    pub format: LogFormat,
}

/// How log records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `text`: for people.
    Text,
    /// `json`: one object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            call: CallConfig::default(),
            admin: AdminConfig::default(),
            plugins: PluginsConfig {
                dir: None,
                each: PluginConfig::default(),
            },
            plugin: BTreeMap::new(),
            data: BTreeMap::new(),
            log: LogConfig {
                filter: "info".to_owned(),
                format: LogFormat::Text,
            },
        }
    }
}

impl Default for CallConfig {
    fn default() -> Self {
        CallConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 7878)),
            max_body: 4 << 20,
            timeout: Duration::from_secs(30),
            threads: std::thread::available_parallelism().map_or(4, |n| (n.get() * 2).max(4)),
            per_plugin: None,
            queue: 1024,
            max_connections: 1000,
            max_head: 64 << 10,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

impl Default for PluginConfig {
    fn default() -> Self {
        PluginConfig {
            drain_deadline: Duration::from_secs(5),
            on_drain_deadline: OnDrainDeadline::Abort,
            removal_grace: Duration::from_millis(250),
            on_removal: OnRemoval::Unload,
            keep_artifacts: 5,
            vet_timeout: Duration::from_secs(10),
            close_patience: Duration::from_millis(2),
            handover_timeout: Duration::from_secs(10),
            max_generations: 16,
        }
    }
}

impl Config {
    /// Reads the file at `path` and the environment. Where no path is given, `host.toml` in the current directory is
    /// read if it exists; otherwise the defaults hold.
    ///
    /// Relative paths in the file start at its folder, those in the environment at the current directory.
    pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
        Config::read(path, std::env::vars_os())
    }

    /// The file that [`Config::load`] reads, where no path is given.
    #[must_use]
    pub fn file_here() -> Option<PathBuf> {
        let file = PathBuf::from(DEFAULT_FILE);
        file.exists().then_some(file)
    }

    /// [`Config::load`], with the environment as an argument.
    fn read(
        path: Option<&Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let file = path.map(Path::to_owned).or_else(Config::file_here);
        let mut givens = match file {
            Some(file) => file::read(&file, &mut problems),
            None => Vec::new(),
        };
        givens.extend(environment::read(variables, &givens, &mut problems));
        let config = settings::apply(&givens, &mut problems);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError { problems })
        }
    }

    /// What holds for the plugin of this name.
    #[must_use]
    pub fn for_plugin(&self, name: &str) -> &PluginConfig {
        self.plugin
            .get(name)
            .or_else(|| self.plugin.get(&environment::spelling(name)))
            .unwrap_or(&self.plugins.each)
    }
}

/// Why the configuration cannot be used: everything that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// What does not fit: each with its place, and with what to write instead. Never empty.
    pub problems: Vec<String>,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
