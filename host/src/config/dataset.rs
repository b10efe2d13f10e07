//! The settings of a dataset: `[data.NAME]`, with the source that brings it.
//!
//! What a source takes is its own affair: its kind has a list of keys, each read in one of a few ways.

use super::{
    given::Given,
    secret::Secret,
    settings::{Setting, nearest, set, setting},
};
use crate::data::{
    Format, Schema,
    source::{KINDS, kind_of},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// How the keys of a source are told from those of its dataset.
pub(super) const SOURCE: &str = "source.";
/// The key that every source has.
const KIND: &str = "source.kind";
/// The end of a key whose value is the path of a file with the secret.
const IN_FILE: &str = "_file";
/// How long a host waits for a required dataset, where nothing else is said.
const REQUIRED_WITHIN: Duration = Duration::from_secs(10);

/// `[data.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetConfig {
    /// `format`: what the content is written in. Default JSON.
    pub format: Format,
    /// `json_schema`: the file with the JSON Schema that the parsed content must fit. Default none.
    pub json_schema: Option<PathBuf>,
    /// `keep`: revisions kept on disk, the held one among them. Default 100, at least 1.
    pub keep: usize,
    /// `max_bytes`: the largest content. Default 16 MiB.
    pub max_bytes: u64,
    /// `poll`: how often the source reads its truth without a hint. Default 60 s.
    pub poll: Duration,
    /// `stale_after`: how long nothing may have confirmed what is held before it is shown as stale. Default never.
    pub stale_after: Option<Duration>,
    /// `required`, `required_within`: how long the start waits for the source before it fails. Default not at all.
    pub required: Option<Duration>,
    /// `source`: where it comes from. Default: only from operators.
    pub source: Option<SourceConfig>,
}

/// `source = { kind = "...", ... }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// `kind`: `file`, ...
    pub kind: String,
    /// The settings of that kind, by key.
    pub settings: BTreeMap<String, SourceSetting>,
}

/// A setting of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSetting {
    /// A text.
    Text(String),
    /// A path.
    Path(PathBuf),
    /// A text that is never shown.
    Secret(Secret),
    /// A whole number.
    Count(usize),
    /// A duration.
    Duration(Duration),
}

/// A key that a kind of source takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// The key.
    pub(crate) word: &'static str,
    /// Whether it must be set.
    pub(crate) required: bool,
    /// How its value is read.
    pub(crate) reads: Reads,
}

impl Key {
    /// A key that must be set.
    pub(crate) const fn required(word: &'static str, reads: Reads) -> Key {
        Key {
            word,
            required: true,
            reads,
        }
    }

    /// A key that may be left out.
    #[allow(dead_code, reason = "a file has no such key")]
    pub(crate) const fn optional(word: &'static str, reads: Reads) -> Key {
        Key {
            word,
            required: false,
            reads,
        }
    }
}

/// How the value of a key is read.
#[derive(Debug, Clone, Copy)]
#[allow(
    dead_code,
    reason = "what is read depends on the kinds that are built in"
)]
pub(crate) enum Reads {
    /// Any text but an empty one.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A path; a relative one starts at the folder of the file.
    Path,
    /// A text with `${VARIABLE}`s. With `_file` behind the key, the path of a file that holds it.
    Secret,
    /// A whole number between these.
    Count(usize, usize),
    /// A duration above zero.
    Duration,
}

impl Default for DatasetConfig {
    fn default() -> Self {
        DatasetConfig {
            format: Format::Json,
            json_schema: None,
            keep: 100,
            max_bytes: 16 << 20,
            poll: Duration::from_secs(60),
            stale_after: None,
            required: None,
            source: None,
        }
    }
}

impl SourceConfig {
    /// A file, or a folder of files.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        SourceConfig::of("file", [("path", SourceSetting::Path(path.into()))])
    }

    /// A source of another kind, with these settings by their keys.
    ///
    /// ```
    /// use host::config::{Secret, SourceConfig, SourceSetting};
    ///
    /// let url = SourceSetting::Secret(Secret::new("redis://127.0.0.1"));
    /// let key = SourceSetting::Text("rates".to_owned());
    /// let source = SourceConfig::of("redis", [("url", url), ("key", key)]);
    /// # assert_eq!(source.text("key"), Some("rates"));
    /// ```
    pub fn of<'key>(
        kind: impl Into<String>,
        settings: impl IntoIterator<Item = (&'key str, SourceSetting)>,
    ) -> Self {
        let settings = settings.into_iter();
        SourceConfig {
            kind: kind.into(),
            settings: settings
                .map(|(key, setting)| (key.to_owned(), setting))
                .collect(),
        }
    }

    /// The path under this key.
    #[must_use]
    pub fn path(&self, key: &str) -> Option<&Path> {
        match self.settings.get(key)? {
            SourceSetting::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The text under this key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.settings.get(key)? {
            SourceSetting::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The secret under this key.
    #[must_use]
    pub fn secret(&self, key: &str) -> Option<&Secret> {
        match self.settings.get(key)? {
            SourceSetting::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// The number under this key.
    #[must_use]
    pub fn count(&self, key: &str) -> Option<usize> {
        match self.settings.get(key)? {
            SourceSetting::Count(count) => Some(*count),
            _ => None,
        }
    }

    /// The duration under this key.
    #[must_use]
    pub fn duration(&self, key: &str) -> Option<Duration> {
        match self.settings.get(key)? {
            SourceSetting::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    /// The text with all secrets of this source hidden.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        let secrets = self.settings.values().filter_map(|setting| match setting {
            SourceSetting::Secret(secret) => Some(secret),
            _ => None,
        });
        secrets.fold(text.to_owned(), |text, secret| secret.redact(&text))
    }

    /// Where the content is, for people; it holds no secret.
    #[must_use]
    pub fn place(&self) -> String {
        let kind = KINDS.iter().find(|kind| kind.word == self.kind);
        match kind.and_then(|kind| self.settings.get(kind.place)) {
            Some(SourceSetting::Path(path)) => path.display().to_string(),
            Some(SourceSetting::Text(text)) => text.clone(),
            _ => String::new(),
        }
    }
}

/// The settings of `[data.NAME]` but those of its source.
pub(super) const EACH_DATASET: &[Setting<DatasetConfig>] = &[
    setting!("format", format, given => given.word(Format::ALL)?),
    setting!("json_schema", json_schema, given => Some(schema(given)?)),
    setting!("keep", keep, given => given.count(1, 1_000_000)?),
    setting!("max_bytes", max_bytes, given => given.size(1, 1 << 30)?),
    setting!("poll", poll, given => given.duration()?),
    setting!("stale_after", stale_after, given => Some(given.duration()?)),
    Setting {
        key: "required",
        set: |config, given| {
            let within = config.required.unwrap_or(REQUIRED_WITHIN);
            config.required = given.truth()?.then_some(within);
            Ok(())
        },
    },
];

/// The path of a file with a JSON Schema that can be used.
fn schema(given: &Given) -> Result<PathBuf, String> {
    let path = given.file_path()?;
    match Schema::load(&path) {
        Ok(_schema) => Ok(path),
        Err(error) => Err(format!("{}: {}: {error:#}", given.place, given.path())),
    }
}

/// Set after all others, since it depends on `required`.
pub(super) const REQUIRED_WITHIN_KEY: &str = "required_within";

/// The datasets that the givens declare. What does not fit is a problem.
pub(super) fn datasets(
    givens: &[&Given],
    problems: &mut Vec<String>,
) -> BTreeMap<String, DatasetConfig> {
    let mut by_name: BTreeMap<&str, Vec<&Given>> = BTreeMap::new();
    for given in givens {
        by_name
            .entry(given.name.as_deref().unwrap_or_default())
            .or_default()
            .push(given);
    }
    by_name
        .into_iter()
        .map(|(name, givens)| {
            let config = dataset(name, &givens, problems);
            (name.to_owned(), config)
        })
        .collect()
}

fn dataset(name: &str, givens: &[&Given], problems: &mut Vec<String>) -> DatasetConfig {
    let mut config = DatasetConfig::default();
    let (of_source, own): (Vec<&Given>, Vec<&Given>) = givens
        .iter()
        .partition(|given| given.key.starts_with(SOURCE));
    for given in &own {
        match set(EACH_DATASET, &mut config, given) {
            Some(Ok(())) => {}
            Some(Err(problem)) => problems.push(problem),
            None if given.key == REQUIRED_WITHIN_KEY || given.key.is_empty() => {}
            None => problems.push(unknown(given, &given.key, &keys(), "")),
        }
    }
    if let Some(given) = own.iter().rfind(|given| given.key == REQUIRED_WITHIN_KEY) {
        match given.duration() {
            Ok(within) => config.required = config.required.map(|_| within),
            Err(problem) => problems.push(problem),
        }
    }
    config.source = source(name, &of_source, problems);
    let place = givens
        .first()
        .map_or(String::new(), |given| given.place.to_string());
    if config.required.is_some() && of_source.is_empty() {
        problems.push(format!(
            "{place}: data.{name} is required and has no source: nobody could bring it while the host waits"
        ));
    }
    if config.format == Format::Bytes && config.json_schema.is_some() {
        problems.push(format!(
            "{place}: data.{name} has a json_schema and the format \"bytes\", which is not parsed; leave out one of them"
        ));
    }
    config
}

/// The keys of `[data.NAME]` but those of its source.
pub(super) fn keys() -> Vec<&'static str> {
    let own = EACH_DATASET.iter().map(|setting| setting.key);
    own.chain([REQUIRED_WITHIN_KEY, "source"]).collect()
}

fn source(name: &str, givens: &[&Given], problems: &mut Vec<String>) -> Option<SourceConfig> {
    let first = givens.first()?;
    let Some(given) = givens.iter().rfind(|given| given.key == KIND) else {
        problems.push(format!(
            "{}: data.{name}.source has no kind; write source = {{ kind = \"file\", path = \"...\" }}",
            first.place
        ));
        return None;
    };
    let word = given.text("the kind of a source");
    let found = word.and_then(|word| {
        kind_of(KINDS, &word)
            .map_err(|why| format!("{}: {} is \"{word}\": {why}", given.place, given.path()))
    });
    let kind = match found {
        Ok(kind) => kind,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let mut settings = BTreeMap::new();
    for given in givens.iter().filter(|given| given.key != KIND) {
        let word = given.key.trim_start_matches(SOURCE);
        match read(kind.keys, word, given) {
            Some(Ok((key, setting))) => drop(settings.insert(key.to_owned(), setting)),
            Some(Err(problem)) => problems.push(problem),
            None => {
                let known: Vec<&str> = kind.keys.iter().map(|key| key.word).collect();
                let of_kind = format!(" of a source of kind \"{}\"", kind.word);
                problems.push(unknown(given, word, &known, &of_kind));
            }
        }
    }
    for key in kind.keys.iter().filter(|key| key.required) {
        if !givens.iter().any(|given| is_for(key, given)) {
            problems.push(format!(
                "{}: data.{name}.source of kind \"{}\" needs \"{}\"",
                first.place, kind.word, key.word
            ));
        }
    }
    Some(SourceConfig {
        kind: kind.word.to_owned(),
        settings,
    })
}

/// Whether the given sets this key, by a value or by a file.
fn is_for(key: &Key, given: &Given) -> bool {
    let word = given.key.trim_start_matches(SOURCE);
    word == key.word
        || (matches!(key.reads, Reads::Secret) && word.strip_suffix(IN_FILE) == Some(key.word))
}

/// The key and value of a given of a source; `None` where the kind has no such key.
fn read(
    keys: &'static [Key],
    word: &str,
    given: &Given,
) -> Option<Result<(&'static str, SourceSetting), String>> {
    let key = keys.iter().find(|key| is_for(key, given))?;
    let setting = match key.reads {
        Reads::Text => given.text("a text").map(SourceSetting::Text),
        Reads::Path => given.file_path().map(SourceSetting::Path),
        Reads::Secret if word == key.word => given.secret().map(SourceSetting::Secret),
        Reads::Secret => given.secret_in_file().map(SourceSetting::Secret),
        Reads::Count(least, most) => given.count(least, most).map(SourceSetting::Count),
        Reads::Duration => given.duration().map(SourceSetting::Duration),
        Reads::Word(words) => {
            let words: Vec<(&str, &str)> = words.iter().map(|word| (*word, *word)).collect();
            let word = given.word(&words);
            word.map(|word| SourceSetting::Text(word.to_owned()))
        }
    };
    Some(setting.map(|setting| (key.word, setting)))
}

fn unknown(given: &Given, word: &str, known: &[&str], of: &str) -> String {
    let hint = match nearest(word, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("there are {}", known.join(", ")),
    };
    let name = given.name.as_deref().unwrap_or_default();
    format!(
        "{}: unknown key \"{word}\"{of} in [data.{name}]; {hint}",
        given.place
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::given::{Place, Value};

    const KEYS: &[Key] = &[Key {
        word: "url",
        required: true,
        reads: Reads::Secret,
    }];

    fn given(key: &str, value: &str) -> Given {
        Given {
            section: "data".to_owned(),
            name: Some("rates".to_owned()),
            key: key.to_owned(),
            value: Value::Text(value.to_owned()),
            place: Place::Variable("HERE".to_owned()),
        }
    }

    #[test]
    fn a_secret_is_read_from_the_setting_or_from_a_file() {
        let own = read(KEYS, "url", &given("source.url", "redis://h"));
        let secret = SourceSetting::Secret(Secret::new("redis://h"));
        assert_eq!(own, Some(Ok(("url", secret.clone()))));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("url");
        std::fs::write(&file, "redis://h\n").expect("it is written");
        let path = file.display().to_string();
        let in_file = read(KEYS, "url_file", &given("source.url_file", &path));
        assert_eq!(in_file, Some(Ok(("url", secret))));
        assert_eq!(read(KEYS, "urls", &given("source.urls", "x")), None);
    }

    #[test]
    fn a_problem_with_a_secret_does_not_show_it() {
        let bad = read(
            KEYS,
            "url",
            &given("source.url", "redis://ada:hidden@${NOT_SET_ANYWHERE}"),
        );
        let problem = bad.and_then(Result::err).expect("a variable is missing");
        assert!(problem.contains("NOT_SET_ANYWHERE") && !problem.contains("hidden"));
    }
}
