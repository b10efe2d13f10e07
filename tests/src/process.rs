//! What a process looks like from outside: its mappings, threads, files, memory and children, as `/proc` tells. This process,
//! unless a number is asked for.

use std::{fs, path::Path};

/// The mappings of files below `dir`, deleted ones included.
///
/// # Panics
/// When `/proc` cannot be read.
#[must_use]
pub fn mappings_below(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().expect("a path in UTF-8");
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc can be read");
    maps.lines()
        .filter(|line| line.contains(dir))
        .map(str::to_owned)
        .collect()
}

/// The number of mappings.
///
/// # Panics
/// When `/proc` cannot be read.
#[must_use]
pub fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc can be read");
    maps.lines().count()
}

/// The number of threads.
///
/// # Panics
/// When `/proc` cannot be read.
#[must_use]
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task")
        .expect("/proc can be read")
        .count()
}

/// The names of the threads, for messages.
///
/// # Panics
/// When `/proc` cannot be read.
#[must_use]
pub fn thread_names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir("/proc/self/task")
        .expect("/proc can be read")
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect();
    names.sort();
    names
}

/// The number of open files.
///
/// # Panics
/// When `/proc` cannot be read.
#[must_use]
pub fn open_files() -> usize {
    fs::read_dir("/proc/self/fd")
        .expect("/proc can be read")
        .count()
}

/// Memory that is resident, in bytes.
///
/// # Panics
/// When `/proc` cannot be read.
#[must_use]
pub fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc can be read");
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse().ok())
        .expect("the kernel tells resident memory");
    kib * 1024
}

/// The children of a process that run.
///
/// # Panics
/// When `/proc` cannot be read.
#[must_use]
pub fn children(parent: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .expect("/proc can be read")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| matches!(life(*number), Some((state, of)) if of == parent && runs(state)))
        .collect()
}

/// Whether a process runs: one that has ended, and that nobody has waited for, does not.
#[must_use]
pub fn is_running(number: u32) -> bool {
    life(number).is_some_and(|(state, _)| runs(state))
}

/// Whether a process has mapped a file whose path has this in it.
#[must_use]
pub fn has_mapped(number: u32, file: &str) -> bool {
    // One that has ended has mapped nothing.
    fs::read_to_string(format!("/proc/{number}/maps")).is_ok_and(|maps| maps.contains(file))
}

/// The state of a process, and its parent.
fn life(number: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name before may have any character in it.
    let mut after = stat.rsplit_once(')')?.1.split_whitespace();
    let state = after.next()?.chars().next()?;
    Some((state, after.next()?.parse().ok()?))
}

fn runs(state: char) -> bool {
    !matches!(state, 'Z' | 'X')
}
