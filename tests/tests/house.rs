//! The house rules that a compiler does not check, held by reading the sources.

use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::repository;

/// Folders with sources.
const ROOMS: &[&str] = &[
    "host/src",
    "plugin-api/src",
    "plugin-api/macros/src",
    "plugins",
    "tests",
];

/// Every source file, by its path in the repository, with its text.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for room in ROOMS {
        collect(&repository().join(room), &mut files);
    }
    assert!(files.len() > 50, "the sources are found");
    let relative = |path: &Path| {
        path.strip_prefix(repository())
            .expect("below the root")
            .display()
            .to_string()
    };
    files
        .iter()
        .map(|path| {
            (
                relative(path),
                fs::read_to_string(path).expect("a source can be read"),
            )
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

/// The files in which `word` stands, but for those below `rooms` and this one.
fn outside(word: &str, rooms: &[&str]) -> Vec<String> {
    sources()
        .into_iter()
        .filter(|(path, text)| text.contains(word) && path != "tests/tests/house.rs")
        .map(|(path, _)| path)
        .filter(|path| !rooms.iter().any(|room| path.starts_with(room)))
        .collect()
}

#[test]
fn every_file_says_first_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(silent, [""; 0]);
}

#[test]
fn no_file_is_named_for_nothing() {
    const EMPTY_WORDS: &[&str] = &[
        "util", "utils", "common", "helper", "helpers", "manager", "misc",
    ];
    for (path, _) in sources() {
        let named = Path::new(&path).components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            EMPTY_WORDS.contains(&name.trim_end_matches(".rs"))
        });
        assert!(!named, "{path}");
    }
}

#[test]
fn no_file_has_grown_past_reading() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 600, "{path} has {lines} lines");
    }
}

#[test]
fn no_test_is_left_out() {
    assert_eq!(outside("#[ignore", &[]), [""; 0]);
}

#[test]
fn foreign_code_is_loaded_in_one_room() {
    // Beside the comparison with rivals, which has no host around what it calls.
    let rooms = ["host/src/foreign/", "tests/peers/"];
    assert_eq!(outside("libloading::", &rooms), [""; 0]);
}

#[test]
fn the_plugin_side_knows_nothing_of_the_host() {
    for (path, text) in sources() {
        if path.starts_with("plugin-api/") {
            for word in ["std::fs::", "notify::", "libloading", "dlopen"] {
                assert!(!text.contains(word), "{path} knows of {word}");
            }
        }
    }
}

#[test]
fn a_step_never_calls_another() {
    for (path, text) in sources() {
        let Some(step) = path.strip_prefix("host/src/steps/") else {
            continue;
        };
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(
            !code.contains("journey::"),
            "{step} knows the order of the steps"
        );
    }
}
