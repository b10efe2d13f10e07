//! A cargo workspace, as far as a new member needs it: whether it is covered already, and how it is added without
//! touching what an author has written.

use super::failure::Failure;
use std::path::{Path, PathBuf};
use toml_edit::{Array, DocumentMut, Item, TableLike, Value};

/// The workspace around a folder.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its folder.
    pub(crate) root: PathBuf,
    manifest: DocumentMut,
}

impl Workspace {
    /// The nearest workspace around `folder`, if it is inside of one.
    pub(crate) fn around(folder: &Path) -> Result<Option<Self>, Failure> {
        for root in folder.ancestors() {
            let file = root.join("Cargo.toml");
            let Ok(text) = std::fs::read_to_string(&file) else {
                continue;
            };
            let manifest: DocumentMut = text.parse().map_err(|error| {
                Failure::failed("failed", format!("{}: {error}", file.display()))
            })?;
            if manifest.get("workspace").is_some_and(Item::is_table_like) {
                let root = root.to_path_buf();
                return Ok(Some(Workspace { root, manifest }));
            }
        }
        Ok(None)
    }

    /// Whether members can write `plugin-api.workspace = true`.
    pub(crate) fn offers(&self, dependency: &str) -> bool {
        let dependencies = self.table().and_then(|table| table.get("dependencies"));
        dependencies.is_some_and(|dependencies| dependencies.get(dependency).is_some())
    }

    /// Whether the folder at this path (from the root) is a member by what stands there.
    pub(crate) fn covers(&self, member: &str) -> bool {
        self.lists("members", member) && !self.excludes(member)
    }

    /// Whether the folder at this path can never be a member.
    pub(crate) fn excludes(&self, member: &str) -> bool {
        self.array("exclude").is_some_and(|excluded| {
            texts(excluded).any(|excluded| Path::new(member).starts_with(excluded))
        })
    }

    /// Makes the folder at this path a member, and a default one where default ones are named. Says whether anything had
    /// to be written.
    pub(crate) fn add(&mut self, member: &str) -> Result<bool, Failure> {
        let mut changed = false;
        if !self.covers(member) {
            self.push("members", member)?;
            changed = true;
        }
        if self.array("default-members").is_some() && !self.lists("default-members", member) {
            self.push("default-members", member)?;
            changed = true;
        }
        Ok(changed)
    }

    /// Writes the manifest, all of it or nothing.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let file = self.root.join("Cargo.toml");
        let unfinished = self
            .root
            .join(format!(".Cargo.toml.{}", std::process::id()));
        std::fs::write(&unfinished, self.manifest.to_string())
            .and_then(|()| std::fs::rename(&unfinished, &file))
            .map_err(|error| {
                let _ = std::fs::remove_file(&unfinished);
                Failure::failed("failed", format!("writing {}: {error}", file.display()))
            })
    }

    fn table(&self) -> Option<&dyn TableLike> {
        self.manifest.get("workspace")?.as_table_like()
    }

    fn array(&self, list: &str) -> Option<&Array> {
        self.table()?.get(list)?.as_array()
    }

    fn lists(&self, list: &str, member: &str) -> bool {
        self.array(list)
            .is_some_and(|array| texts(array).any(|pattern| matches(pattern, member)))
    }

    fn push(&mut self, list: &str, member: &str) -> Result<(), Failure> {
        let array = self
            .manifest
            .get_mut("workspace")
            .and_then(Item::as_table_like_mut)
            .map(|table| {
                table
                    .entry(list)
                    .or_insert(Item::Value(Array::new().into()))
            })
            .and_then(Item::as_array_mut);
        let Some(array) = array else {
            let message = format!(
                "{list} of the workspace at {} is no list",
                self.root.display()
            );
            return Err(Failure::failed("failed", message));
        };
        push_in_style(array, member);
        Ok(())
    }
}

fn texts(array: &Array) -> impl Iterator<Item = &str> {
    array.iter().filter_map(Value::as_str)
}

/// Adds an element that stands as the last one does: on a line of its own, or behind it.
fn push_in_style(array: &mut Array, text: &str) {
    let Some(last) = array
        .len()
        .checked_sub(1)
        .and_then(|last| array.get_mut(last))
    else {
        array.push(text);
        return;
    };
    let part = |part: Option<&toml_edit::RawString>| {
        let text = part.and_then(toml_edit::RawString::as_str);
        text.unwrap_or_default().to_owned()
    };
    let before = part(last.decor().prefix());
    let after = part(last.decor().suffix());
    // A comment above the last element stays with it.
    let prefix = match before.rfind('\n') {
        Some(line) => before[line..].to_owned(),
        None => " ".to_owned(),
    };
    last.decor_mut().set_suffix("");
    array.push_formatted(Value::from(text).decorated(prefix, after));
}

/// Whether a member's path fits a pattern as cargo reads it: `*` and `?` stand for anything between two slashes.
fn matches(pattern: &str, member: &str) -> bool {
    let parts = |path: &str| -> Vec<String> {
        let parts = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".");
        parts.map(str::to_owned).collect()
    };
    let (pattern, member) = (parts(pattern), parts(member));
    pattern.len() == member.len()
        && pattern
            .iter()
            .zip(&member)
            .all(|(pattern, part)| fits(pattern.as_bytes(), part.as_bytes()))
}

fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => fits(rest, text),
        (Some((b'*', rest)), Some((_, others))) => fits(rest, text) || fits(pattern, others),
        (Some((b'?', rest)), Some((_, others))) => fits(rest, others),
        (Some((wanted, rest)), Some((found, others))) => wanted == found && fits(rest, others),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(manifest: &str) -> Workspace {
        Workspace {
            root: PathBuf::from("/w"),
            manifest: manifest.parse().unwrap(),
        }
    }

    fn with_member(manifest: &str) -> String {
        let mut workspace = workspace(manifest);
        workspace.add("plugins/new").unwrap();
        workspace.manifest.to_string()
    }

    #[test]
    fn a_pattern_covers_one_level() {
        for pattern in ["plugins/*", "./plugins/n?w", "*/new", "plugins/new/"] {
            assert!(matches(pattern, "plugins/new"), "{pattern}");
        }
        for pattern in ["*", "plugins", "plugins/*/*", "plugins/news", "plugins/ne"] {
            assert!(!matches(pattern, "plugins/new"), "{pattern}");
        }
    }

    #[test]
    fn a_member_that_is_covered_changes_nothing() {
        let mut workspace = workspace("[workspace]\nmembers = [\"plugins/*\"]\n");
        assert!(!workspace.add("plugins/new").unwrap());
    }

    #[test]
    fn a_member_is_added_in_the_style_of_the_lists() {
        let before = "\
# Mine.
[workspace]
members = [
    \"host\",
    # The first one.
    \"plugins/counter\",
] # all of them
default-members = [\"host\", \"plugins/counter\"]
";
        let after = "\
# Mine.
[workspace]
members = [
    \"host\",
    # The first one.
    \"plugins/counter\",
    \"plugins/new\",
] # all of them
default-members = [\"host\", \"plugins/counter\", \"plugins/new\"]
";
        assert_eq!(with_member(before), after);
    }

    #[test]
    fn a_list_without_a_last_comma_stays_well_formed() {
        let before = "[workspace]\nmembers = [\n  \"a\",\n  \"b\"\n]\n";
        let after = "[workspace]\nmembers = [\n  \"a\",\n  \"b\",\n  \"plugins/new\"\n]\n";
        assert_eq!(with_member(before), after);
    }

    #[test]
    fn where_no_member_is_named_the_list_begins() {
        let after = "[workspace]\nmembers = [\"plugins/new\"]\n";
        assert_eq!(with_member("[workspace]\n"), after);
        assert_eq!(with_member("[workspace]\nmembers = []\n"), after);
    }

    #[test]
    fn what_is_excluded_is_no_member() {
        let workspace =
            workspace("[workspace]\nmembers = [\"plugins/*\"]\nexclude = [\"plugins\"]\n");
        assert!(!workspace.covers("plugins/new"));
        assert!(workspace.excludes("plugins/new"));
    }
}
