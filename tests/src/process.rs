//! What this process looks like from outside: its mappings, threads, files and memory, as `/proc` tells.

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
