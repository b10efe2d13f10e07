//! The inputs: the files that the plugins were built from, as cargo wrote them down beside each (`libcounter.d`).

use super::packages::Selection;
use std::{
    collections::BTreeSet,
    ops::Bound,
    path::{Path, PathBuf},
};

/// What the plugins of a finished build were built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    files: BTreeSet<PathBuf>,
}

#[cfg(test)]
impl<const N: usize> From<[PathBuf; N]> for Inputs {
    fn from(files: [PathBuf; N]) -> Self {
        Inputs {
            files: files.into(),
        }
    }
}

impl Inputs {
    /// The inputs of what was built into this folder; `None` where cargo has not written all of them.
    pub(crate) fn of(selection: &Selection, built_into: &Path) -> Option<Self> {
        let mut inputs = Inputs::default();
        for name in selection.file_names() {
            let list = built_into.join(name).with_extension("d");
            let text = std::fs::read_to_string(list).ok()?;
            let named = text.lines().flat_map(prerequisites);
            // `include_str!("../table")` is written down as src/../table.
            let real = named.map(|path| path.canonicalize().unwrap_or(path));
            inputs.files.extend(real);
        }
        Some(inputs)
    }

    /// Whether this file, or one below this folder, is an input.
    pub(crate) fn have(&self, path: &Path) -> bool {
        // What lies in a folder comes directly behind it.
        let from_it = (Bound::Included(path), Bound::Unbounded);
        let next = self.files.range::<Path, _>(from_it).next();
        next.is_some_and(|input| input.starts_with(path))
    }
}

/// What stands behind the colon of a rule as make reads it: paths with spaces between them, `\ ` being a space in one.
fn prerequisites(rule: &str) -> Vec<PathBuf> {
    let (_, rest) = rule.split_once(": ").unwrap_or_default();
    let mut paths = vec![String::new()];
    let mut characters = rest.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, paths.last_mut()) {
            ('\\', Some(path)) if characters.next_if_eq(&' ').is_some() => path.push(' '),
            (' ', _) => paths.push(String::new()),
            (_, Some(path)) => path.push(character),
            (_, None) => {}
        }
    }
    paths.retain(|path| !path.is_empty());
    paths.into_iter().map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_space_is_one() {
        let rule = r"/t/my\ plugins/liba.so: /w/my\ plugins/a.rs /w/b\c.rs";
        let expected = [r"/w/my plugins/a.rs", r"/w/b\c.rs"].map(PathBuf::from);
        assert_eq!(prerequisites(rule), expected);
        assert_eq!(prerequisites("/t/liba.so:"), [] as [PathBuf; 0]);
    }

    #[test]
    fn a_folder_is_an_input_where_a_file_below_it_is() {
        let inputs = Inputs {
            files: ["/w/a/src/lib.rs", "/w/a-b/lib.rs"]
                .map(PathBuf::from)
                .into(),
        };
        for path in ["/w/a/src/lib.rs", "/w/a/src", "/w/a", "/w/a-b"] {
            assert!(inputs.have(Path::new(path)), "{path}");
        }
        for path in ["/w/a/src/lib", "/w/b", "/w/a/src/lib.rs.orig"] {
            assert!(!inputs.have(Path::new(path)), "{path}");
        }
    }
}
