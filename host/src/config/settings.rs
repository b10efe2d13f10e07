//! The settings: every key that can be given, with what it sets and within which limits. The only list of them.

use super::{
    AdminConfig, CallConfig, Config, LogConfig, LogFormat, OnDrainDeadline, OnRemoval,
    PluginConfig, PluginsConfig, dataset, given::Given,
};

/// The sections of the file.
pub(super) const SECTIONS: &[&str] = &["call", "admin", "plugins", PER_PLUGIN, DATASETS, "log"];
/// The section that has a table for each plugin.
pub(super) const PER_PLUGIN: &str = "plugin";
/// The section that has a table for each dataset.
pub(super) const DATASETS: &str = "data";

/// A key, and how a given sets it.
pub(super) struct Setting<T> {
    pub(super) key: &'static str,
    pub(super) set: fn(&mut T, &Given) -> Result<(), String>,
}

/// A setting whose field is filled by what a reader of the given returns.
macro_rules! setting {
    ($key:literal, $($field:ident).+, $given:ident => $read:expr) => {
        Setting { key: $key, set: |config, $given| { config.$($field).+ = $read; Ok(()) } }
    };
}
pub(super) use setting;

const CALL: &[Setting<CallConfig>] = &[
    setting!("listen", listen, given => given.address()?),
    setting!("max_body", max_body, given => given.size(1, 1 << 30)?),
    setting!("timeout", timeout, given => given.duration()?),
    setting!("threads", threads, given => given.count(1, 4_096)?),
    setting!("per_plugin", per_plugin, given => Some(given.count(1, 4_096)?)),
    setting!("queue", queue, given => given.count(1, 1_000_000)?),
    setting!("max_connections", max_connections, given => given.count(1, 1_000_000)?),
    setting!("max_head", max_head, given => given.size(8 << 10, 1 << 20)?),
    setting!("head_timeout", head_timeout, given => given.duration()?),
    setting!("body_timeout", body_timeout, given => given.duration()?),
    setting!("idle_timeout", idle_timeout, given => given.duration()?),
];

const ADMIN: &[Setting<AdminConfig>] = &[
    setting!("listen", listen, given => Some(given.address()?)),
    setting!("token_file", token_file, given => Some(given.file_path()?)),
];

const PLUGINS: &[Setting<PluginsConfig>] =
    &[setting!("dir", dir, given => Some(given.file_path()?))];

const EACH_PLUGIN: &[Setting<PluginConfig>] = &[
    setting!("drain_deadline", drain_deadline, given => given.duration()?),
    setting!("on_drain_deadline", on_drain_deadline, given => given.word(&[
        ("abort", OnDrainDeadline::Abort),
        ("keep_trying", OnDrainDeadline::KeepTrying),
    ])?),
    setting!("removal_grace", removal_grace, given => given.duration()?),
    setting!("on_removal", on_removal, given => given.word(&[
        ("unload", OnRemoval::Unload),
        ("keep", OnRemoval::Keep),
    ])?),
    setting!("keep_artifacts", keep_artifacts, given => given.count(1, 1_000)?),
    setting!("vet_timeout", vet_timeout, given => given.duration()?),
    setting!("close_patience", close_patience, given => given.duration()?),
    setting!("handover_timeout", handover_timeout, given => given.duration()?),
    setting!("max_generations", max_generations, given => given.count(2, 1_000)?),
];

const LOG: &[Setting<LogConfig>] = &[
    setting!("filter", filter, given => given.text("directives such as \"info,host=debug\"")?),
    setting!("format", format, given => given.word(&[("text", LogFormat::Text), ("json", LogFormat::Json)])?),
];

/// The keys of a section.
pub(super) fn keys(section: &str) -> Vec<&'static str> {
    fn of<T>(settings: &'static [Setting<T>]) -> impl Iterator<Item = &'static str> {
        settings.iter().map(|setting| setting.key)
    }
    match section {
        "call" => of(CALL).collect(),
        "admin" => of(ADMIN).collect(),
        "plugins" => of(PLUGINS).chain(of(EACH_PLUGIN)).collect(),
        PER_PLUGIN => of(EACH_PLUGIN).collect(),
        DATASETS => dataset::keys(),
        "log" => of(LOG).collect(),
        _ => Vec::new(),
    }
}

/// What is wrong with the name of a section, if something is.
pub(super) fn check_section(name: &str) -> Option<String> {
    if SECTIONS.contains(&name) {
        return None;
    }
    Some(unknown(&format!("section [{name}]"), name, SECTIONS))
}

/// Whether a plugin can be called so.
pub(super) fn is_plugin_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
}

/// Of `known`, the one that `name` was probably meant to be.
pub(super) fn nearest<'a, S: AsRef<str>>(name: &str, known: &'a [S]) -> Option<&'a str> {
    known
        .iter()
        .map(|known| {
            (
                strsim::normalized_damerau_levenshtein(name, known.as_ref()),
                known.as_ref(),
            )
        })
        .filter(|(similarity, _)| *similarity >= 0.4)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown {what}; did you mean \"{near}\"?"),
        None => format!("unknown {what}; there are {}", known.join(", ")),
    }
}

/// The configuration that the givens make of the defaults.
pub(super) fn apply(givens: &[Given], problems: &mut Vec<String>) -> Config {
    let mut config = Config::default();
    let (of_data, givens_of_rest): (Vec<&Given>, Vec<&Given>) =
        givens.iter().partition(|given| given.section == DATASETS);
    config.data = dataset::datasets(&of_data, problems);
    let (for_one, for_all): (Vec<&Given>, Vec<&Given>) = givens_of_rest
        .into_iter()
        .partition(|given| given.name.is_some());
    for given in for_all {
        let Config {
            call,
            admin,
            plugins,
            log,
            ..
        } = &mut config;
        note(
            problems,
            given,
            match given.section.as_str() {
                "call" => set(CALL, call, given),
                "admin" => set(ADMIN, admin, given),
                "plugins" => set(PLUGINS, plugins, given)
                    .or_else(|| set(EACH_PLUGIN, &mut plugins.each, given)),
                "log" => set(LOG, log, given),
                _ => None,
            },
        );
    }
    for given in for_one {
        let Some(name) = &given.name else { continue };
        let each = &config.plugins.each;
        let plugin = config
            .plugin
            .entry(name.clone())
            .or_insert_with(|| each.clone());
        note(problems, given, set(EACH_PLUGIN, plugin, given));
    }
    if config.admin.listen.is_some() && config.admin.token_file.is_none() {
        let place = givens
            .iter()
            .find(|given| given.section == "admin" && given.key == "listen")
            .map_or(String::new(), |given| format!("{}: ", given.place));
        problems.push(format!(
            "{place}admin.listen needs admin.token_file: write the path of a file that holds the bearer token"
        ));
    }
    config
}

/// Sets what the given is about; `None` where these settings have no such key.
pub(super) fn set<T>(
    settings: &[Setting<T>],
    config: &mut T,
    given: &Given,
) -> Option<Result<(), String>> {
    let setting = settings.iter().find(|setting| setting.key == given.key)?;
    Some((setting.set)(config, given))
}

fn note(problems: &mut Vec<String>, given: &Given, outcome: Option<Result<(), String>>) {
    match outcome {
        Some(Ok(())) => {}
        Some(Err(problem)) => problems.push(problem),
        None => {
            let section = match &given.name {
                Some(name) => format!("{}.{name}", given.section),
                None => given.section.clone(),
            };
            problems.push(format!(
                "{}: {}",
                given.place,
                unknown(
                    &format!("key \"{}\" in [{section}]", given.key),
                    &given.key,
                    &keys(&given.section)
                )
            ));
        }
    }
}
