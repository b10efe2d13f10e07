//! The configuration of a process: what `host.toml` and the environment say, with the command line before both.

use super::{
    commands::{self, Settings},
    failure::Failure,
};
use host::config::{Config, LogConfig, LogFormat};
use std::{io::IsTerminal as _, time::Duration};
use tracing_subscriber::EnvFilter;

/// What is configured, with `settings` before it.
pub(crate) fn configuration(settings: &Settings) -> Result<Config, Failure> {
    let mut config = Config::load(settings.config.as_deref())
        .map_err(|error| Failure::config(error.to_string()))?;
    if let Some(listen) = settings.listen {
        config.call.listen = listen;
    }
    if let Some(format) = settings.log_format {
        config.log.format = match format {
            commands::LogFormat::Text => LogFormat::Text,
            commands::LogFormat::Json => LogFormat::Json,
        };
    }
    Ok(config)
}

/// Where the configuration comes from, for people: a file that nobody named may be a surprise.
pub(crate) fn told(settings: &Settings) -> Option<String> {
    let file = settings.config.clone().or_else(Config::file_here)?;
    let file = std::path::absolute(&file).unwrap_or(file);
    Some(format!("configured by {}", file.display()))
}

/// The longest that the end of a host may wait for calls: the longest that any swap may.
pub(crate) fn longest_drain(config: &Config) -> Duration {
    config
        .plugin
        .values()
        .chain([&config.plugins.each])
        .map(|plugin| plugin.drain_deadline)
        .max()
        .unwrap_or_default()
}

/// The filter without what libraries write whose words are the host's to say: clients of sources write logins at their
/// finest level, and errors where a source is merely lost; what watches files warns of each that was removed.
fn quiet(filter: EnvFilter) -> EnvFilter {
    ["amq_protocol_tcp=off", "lapin=off", "notify=off"]
        .iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive)
}

/// Sends log records to standard error from now on.
pub(crate) fn start_logging(log: &LogConfig) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| {
        Failure::config(format!(
            "[log] filter \"{}\" is not understood: {error}; write something like \"info,host=debug\"",
            log.filter
        ))
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(quiet(filter))
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => subscriber
            .with_ansi(std::io::stderr().is_terminal())
            .try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::failed("failed", format!("starting the log: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_hosts_to_say_is_left_out_of_the_finest_log() {
        let filter = quiet(EnvFilter::new("trace")).to_string();
        for library in ["amq_protocol_tcp", "lapin", "notify"] {
            assert!(filter.contains(&format!("{library}=off")), "{filter}");
        }
    }
}
