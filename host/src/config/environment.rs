//! The environment: the variables `HOST__SECTION__KEY`, taken apart into givens.
//!
//! `HOST__STATE_DIR` is the command line's, and no setting; other variables are not ours.

use super::{
    dataset,
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
    let words = name.trim_start_matches(PREFIX);
    let no_setting = || match settings::nearest(words, &known_variables()) {
        Some(near) => format!("this is no setting; did you mean {PREFIX}{near}?"),
        None => "this is no setting; a setting is written HOST__SECTION__KEY".to_owned(),
    };
    if name != name.to_ascii_uppercase() {
        return Err(format!(
            "write it in upper case: {}",
            name.to_ascii_uppercase()
        ));
    }
    let (section, rest) = words.split_once("__").ok_or_else(no_setting)?;
    let section = section.to_ascii_lowercase();
    let (of, key) = if section == settings::PER_PLUGIN {
        let (plugin, key) = rest.rsplit_once("__").ok_or_else(no_setting)?;
        (Some(recognise(plugin, file)?), key.to_ascii_lowercase())
    } else if section == settings::DATASETS {
        let (dataset, key) = dataset_key(rest).ok_or_else(no_setting)?;
        (Some(recognise_dataset(dataset, file)?), key)
    } else {
        (None, rest.to_ascii_lowercase())
    };
    // What a source takes depends on its kind, which may be said elsewhere.
    let is_of_source = section == settings::DATASETS && key.starts_with(dataset::SOURCE);
    if !is_of_source && !settings::keys(&section).contains(&key.as_str()) {
        return Err(no_setting());
    }
    let value = value
        .into_string()
        .map_err(|_| "its value is not text in UTF-8".to_owned())?;
    Ok(Given {
        section,
        name: of,
        key,
        value: Value::Text(value),
        place: Place::Variable(name.to_owned()),
    })
}

/// The plugin that the environment spells so: by the name in the file, or else by the spelling itself.
fn recognise(spelled: &str, file: &[Given]) -> Result<String, String> {
    let mut names: Vec<&str> = file
        .iter()
        .filter(|given| given.section == settings::PER_PLUGIN)
        .filter_map(|given| given.name.as_deref())
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

/// The dataset as it is spelled, and the key: `RATES__POLL`, or `RATES__SOURCE__URL` for `source.url`.
fn dataset_key(rest: &str) -> Option<(&str, String)> {
    if let Some((dataset, key)) = rest.split_once("__SOURCE__") {
        return Some((
            dataset,
            format!("{}{}", dataset::SOURCE, key.to_ascii_lowercase()),
        ));
    }
    let (dataset, key) = rest.rsplit_once("__")?;
    Some((dataset, key.to_ascii_lowercase()))
}

/// The dataset that the environment spells so, which the file must declare.
fn recognise_dataset(spelled: &str, file: &[Given]) -> Result<String, String> {
    let mut names: Vec<&str> = file
        .iter()
        .filter(|given| given.section == settings::DATASETS)
        .filter_map(|given| given.name.as_deref())
        .filter(|name| spelling(name) == spelled)
        .collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [name] => Ok((*name).to_owned()),
        [] => Err(format!(
            "the file declares no dataset [data.{}]; write that section first",
            spelled.to_ascii_lowercase()
        )),
        several => Err(format!(
            "this may mean the datasets {}; set it in the file instead",
            several.join(" and ")
        )),
    }
}

/// What can stand behind the prefix, which all have in common and is no likeness.
fn known_variables() -> Vec<String> {
    let mut known = vec![NOT_A_SETTING.trim_start_matches(PREFIX).to_owned()];
    for section in settings::SECTIONS {
        for key in settings::keys(section) {
            let name = if matches!(*section, settings::PER_PLUGIN | settings::DATASETS) {
                "NAME__"
            } else {
                ""
            };
            known.push(format!(
                "{}__{name}{}",
                section.to_ascii_uppercase(),
                key.to_ascii_uppercase()
            ));
        }
    }
    known
}
