//! The file: the TOML text of a configuration, taken apart into givens.

use super::{
    given::{Given, Place, Value},
    settings,
};
use std::{ops::Range, path::Path};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Reads the file's givens; what is not a given is a problem.
pub(super) fn read(path: &Path, problems: &mut Vec<String>) -> Vec<Given> {
    match std::fs::read_to_string(path) {
        Ok(text) => take_apart(path, &text, problems),
        Err(error) => {
            problems.push(format!(
                "{}: the configuration cannot be read: {error}",
                path.display()
            ));
            Vec::new()
        }
    }
}

fn take_apart(path: &Path, text: &str, problems: &mut Vec<String>) -> Vec<Given> {
    let mut reader = Reader {
        path,
        text,
        problems,
        givens: Vec::new(),
    };
    match DeTable::parse(text) {
        Ok(root) => reader.root(root.get_ref()),
        Err(error) => {
            let place = reader.place(&error.span().unwrap_or(0..0));
            reader
                .problems
                .push(format!("{place}: this is not TOML: {}", error.message()));
        }
    }
    reader.givens
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<String>,
    givens: Vec<Given>,
}

impl Reader<'_> {
    fn root(&mut self, root: &DeTable<'_>) {
        for (name, value) in root {
            let place = self.place(&name.span());
            let name = name.get_ref().as_ref();
            if let Some(problem) = settings::check_section(name) {
                self.problems.push(format!("{place}: {problem}"));
                continue;
            }
            let DeValue::Table(table) = value.get_ref() else {
                self.problems.push(format!(
                    "{place}: \"{name}\" is a section; write [{name}] and its keys below"
                ));
                continue;
            };
            match name {
                settings::PER_PLUGIN => self.plugins(table),
                settings::DATASETS => self.datasets(table),
                _ => self.section(name, None, table),
            }
        }
    }

    fn plugins(&mut self, tables: &DeTable<'_>) {
        for (name, value) in tables {
            let place = self.place(&name.span());
            let name = name.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(table) if settings::is_plugin_name(name) => {
                    self.section(settings::PER_PLUGIN, Some(name), table);
                }
                DeValue::Table(_) => self.problems.push(format!(
                    "{place}: \"{name}\" cannot be a plugin's name; a name has lower-case letters, digits, - and _, \
                     begins with a letter and is at most 64 characters long"
                )),
                _ => self.problems.push(format!(
                    "{place}: \"{name}\" is not a plugin's section; write [plugin.NAME] and its keys below, or \
                     [plugins] for all of them"
                )),
            }
        }
    }

    fn datasets(&mut self, tables: &DeTable<'_>) {
        for (name, value) in tables {
            let place = self.place(&name.span());
            let name = name.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(table) if settings::is_plugin_name(name) => {
                    // One that takes all the defaults is declared all the same.
                    let declared = Value::Other("table".to_owned());
                    self.given(settings::DATASETS, Some(name), "", declared, place);
                    self.dataset(name, table);
                }
                DeValue::Table(_) => self.problems.push(format!(
                    "{place}: \"{name}\" cannot be a dataset's name; a name has lower-case letters, digits, - and _, \
                     begins with a letter and is at most 64 characters long"
                )),
                _ => self.problems.push(format!(
                    "{place}: \"{name}\" is not a dataset's section; write [data.NAME] and its keys below"
                )),
            }
        }
    }

    fn dataset(&mut self, name: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let place = self.place(&key.span());
            let key = key.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(source) if key == "source" => {
                    for (key, value) in source {
                        let place = self.place(&key.span());
                        let key = format!("source.{}", key.get_ref());
                        self.given(settings::DATASETS, Some(name), &key, read_value(value), place);
                    }
                }
                _ if key == "source" => self.problems.push(format!(
                    "{place}: data.{name}.source is {}; write source = {{ kind = \"file\", path = \"...\" }}",
                    read_value(value)
                )),
                _ => self.given(settings::DATASETS, Some(name), key, read_value(value), place),
            }
        }
    }

    fn section(&mut self, section: &str, name: Option<&str>, table: &DeTable<'_>) {
        for (key, value) in table {
            let place = self.place(&key.span());
            self.given(section, name, key.get_ref(), read_value(value), place);
        }
    }

    fn given(&mut self, section: &str, name: Option<&str>, key: &str, value: Value, place: Place) {
        self.givens.push(Given {
            section: section.to_owned(),
            name: name.map(str::to_owned),
            key: key.to_owned(),
            value,
            place,
        });
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.as_bytes().iter().take(span.start);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Place::Line(self.path.to_owned(), line)
    }
}

fn read_value(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(truth) => Value::Truth(*truth),
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_| Value::Other("huge integer".to_owned()), Value::Integer),
        other => Value::Other(other.type_str().to_owned()),
    }
}
