//! The environment: the variables `HOST__SECTION__KEY`, taken apart into givens.
//!
//! `HOST__STATE_DIR` is the command line's, and no setting; other variables are not ours.

use super::{
    given::{Given, Place, Value},
    settings,
};
use std::ffi::OsString;

const PREFIX: &str = "HOST__";
const NOT_A_SETTING: &str = "HOST__STATE_DIR";

/// A plugin's name as the environment spells it.
pub(super) fn spelling(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// Reads the givens in `variables`, in the order of their names. Plugins that the file names are recognised.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    file: &[Given],
    problems: &mut Vec<String>,
) -> Vec<Given> {
    let mut ours: Vec<(String, OsString)> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX) && name != NOT_A_SETTING)
        .collect();
    ours.sort();
    let mut givens = Vec::new();
    for (name, value) in ours {
        match take_apart(&name, value, file) {
            Ok(given) => givens.push(given),
            Err(problem) => problems.push(format!("{name}: {problem}")),
        }
    }
    givens
}

fn take_apart(name: &str, value: OsString, file: &[Given]) -> Result<Given, String> {
    let no_setting = || match settings::nearest(name, &known_variables()) {
        Some(near) => format!("this is no setting; did you mean {near}?"),
        None => "this is no setting; a setting is written HOST__SECTION__KEY".to_owned(),
    };
    if name != name.to_ascii_uppercase() {
        return Err(format!(
            "write it in upper case: {}",
            name.to_ascii_uppercase()
        ));
    }
    let words = name.trim_start_matches(PREFIX);
    let (section, rest) = words.split_once("__").ok_or_else(no_setting)?;
    let section = section.to_ascii_lowercase();
    if section == settings::DATASETS {
        return Err(settings::NO_DATASETS_YET.to_owned());
    }
    let (plugin, key) = if section == settings::PER_PLUGIN {
        let (plugin, key) = rest.rsplit_once("__").ok_or_else(no_setting)?;
        (Some(recognise(plugin, file)?), key)
    } else {
        (None, rest)
    };
    let key = key.to_ascii_lowercase();
    if !settings::keys(&section).contains(&key.as_str()) {
        return Err(no_setting());
    }
    let value = value
        .into_string()
        .map_err(|_| "its value is not text in UTF-8".to_owned())?;
    Ok(Given {
        section,
        plugin,
        key,
        value: Value::Text(value),
        place: Place::Variable(name.to_owned()),
    })
}

/// The plugin that the environment spells so: by the name in the file, or else by the spelling itself.
fn recognise(spelled: &str, file: &[Given]) -> Result<String, String> {
    let mut names: Vec<&str> = file
        .iter()
        .filter_map(|given| given.plugin.as_deref())
        .filter(|name| spelling(name) == spelled)
        .collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] if settings::is_plugin_name(&spelled.to_ascii_lowercase()) => Ok(spelled.to_owned()),
        [] => Err(format!(
            "\"{}\" cannot be a plugin's name",
            spelled.to_ascii_lowercase()
        )),
        [name] => Ok((*name).to_owned()),
        several => Err(format!(
            "this may mean the plugins {}; set it in the file instead",
            several.join(" and ")
        )),
    }
}

fn known_variables() -> Vec<String> {
    let mut known = vec![NOT_A_SETTING.to_owned()];
    for section in settings::SECTIONS {
        for key in settings::keys(section) {
            let plugin = if *section == settings::PER_PLUGIN {
                "NAME__"
            } else {
                ""
            };
            known.push(format!(
                "{PREFIX}{}__{plugin}{}",
                section.to_ascii_uppercase(),
                key.to_ascii_uppercase()
            ));
        }
    }
    known
}
