//! A mapping: a stretch of this process's memory that shows a file, as the kernel lists it.

use anyhow::{Context, Result};
use std::path::Path;

/// What the kernel's list of mappings says of one file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// Whether any mapping of it is executable.
    pub(crate) executable: bool,
    /// The inode its mappings show.
    pub(crate) inode: Option<u64>,
}

/// Looks `path` up in this process's mappings. A path that was unlinked since is found by its old name.
pub(crate) fn of(path: &Path) -> Result<Mapped> {
    let list = std::fs::read("/proc/self/maps").context("reading the process's mappings")?;
    Ok(find(&list, path))
}

/// Looks `path` up in a list of mappings, in which other paths may hold anything.
fn find(list: &[u8], path: &Path) -> Mapped {
    let list = String::from_utf8_lossy(list);
    let wanted = path.to_string_lossy();
    let mut mapped = Mapped::default();
    for line in list.lines() {
        let Some(entry) = Line::parse(line) else {
            continue;
        };
        if entry.path.strip_suffix(" (deleted)").unwrap_or(entry.path) == wanted {
            mapped.executable |= entry.permissions.contains('x');
            mapped.inode = Some(entry.inode);
        }
    }
    mapped
}

/// A line of the list: `address permissions offset device inode path`.
struct Line<'a> {
    permissions: &'a str,
    inode: u64,
    path: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut field = || {
            let (field, after) = rest.trim_start().split_once(' ')?;
            rest = after;
            Some(field)
        };
        let (_address, permissions, _offset, _device) = (field()?, field()?, field()?, field()?);
        let inode = field()?.parse().ok()?;
        Some(Line {
            permissions,
            inode,
            path: rest.trim_start(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_list_is_read_with_spaces_in_the_path() {
        let line =
            Line::parse("7f00-7f01 r-xp 00001000 fe:00 4711       /a b/c.so").expect("parses");
        assert_eq!(
            (line.permissions, line.inode, line.path),
            ("r-xp", 4711, "/a b/c.so")
        );
    }

    #[test]
    fn a_path_that_is_no_text_hides_no_other() {
        let list = b"7f00-7f01 r-xp 00001000 fe:00 1 /a/\xff.so\n\
            7f01-7f02 r-xp 00001000 fe:00 2 /a/b.so (deleted)\n";
        let mapped = find(list, Path::new("/a/b.so"));
        assert_eq!((mapped.executable, mapped.inode), (true, Some(2)));
    }

    #[test]
    fn this_program_is_mapped_and_a_stranger_is_not() {
        let program = std::env::current_exe().expect("this program has a path");
        assert!(of(&program).expect("the list can be read").executable);
        assert_eq!(
            of(Path::new("/no/such/file")).expect("the list can be read"),
            Mapped::default()
        );
    }
}
