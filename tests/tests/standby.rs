//! The standby: who waits for the next artifact examines it, and ends with its host, however that ends.

use rustix::io::{FdFlags, fcntl_setfd};
use std::{fs, path::Path};
use tempfile::TempDir;
use tests::{Artifact, Program, process, until};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A host that watches this folder.
fn run(plugins: &TempDir) -> Program {
    Program::start_with(folder(), |command| {
        command
            .arg("run")
            .arg(plugins.path())
            .args(["--listen", "127.0.0.1:0"])
            .env("HOST__PLUGINS__VET_TIMEOUT", "5m");
    })
}

/// The examiner that waits, once one does and no other is at work.
fn standby(host: &Program) -> u32 {
    until("one examiner waits", || {
        match process::children(host.pid()).as_slice() {
            [one] if !is_at_work(*one) => Some(*one),
            _ => None,
        }
    })
}

/// Whether it has mapped an artifact.
fn is_at_work(examiner: u32) -> bool {
    process::has_mapped(examiner, "/staged/")
}

fn ends(examiner: u32) {
    until("the examiner has ended", || {
        (!process::is_running(examiner)).then_some(())
    });
}

/// Whether a process has this file open.
fn has_open(number: u32, file: &Path) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{number}/fd")).expect("it runs");
    descriptors
        .flatten()
        .any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|opened| opened == file))
}

#[test]
fn who_waits_keeps_nothing_open_that_its_host_has_inherited() {
    let plugins = folder();
    Artifact::of("steady").place(plugins.path());
    let place = plugins.path().canonicalize().expect("it is there");
    let file = place.join("inherited");
    let inherited = fs::File::create(&file).expect("a file");
    // As a C library opens files: whoever is started has it too.
    fcntl_setfd(&inherited, FdFlags::empty()).expect("a flag less");
    let host = run(&plugins);
    assert!(has_open(host.pid(), &file));
    let waits = standby(&host);
    until("it is closed", || (!has_open(waits, &file)).then_some(()));
}

#[test]
fn who_waits_ends_with_a_host_that_is_killed() {
    let plugins = folder();
    Artifact::of("steady").place(plugins.path());
    let host = run(&plugins);
    let waits = standby(&host);
    host.signal("KILL");
    ends(waits);
}

#[test]
fn who_waited_examines_the_next_and_ends_with_a_host_that_is_killed_though_it_hangs() {
    let plugins = folder();
    Artifact::of("steady").place(plugins.path());
    let host = run(&plugins);
    let waits = standby(&host);
    Artifact::of("hangs_in_new").place(plugins.path());
    until("who waited is at work", || is_at_work(waits).then_some(()));
    host.signal("KILL");
    ends(waits);
}

#[test]
fn who_examines_the_first_ends_with_a_host_that_is_killed_though_it_hangs() {
    let plugins = folder();
    let host = run(&plugins);
    assert_eq!(process::children(host.pid()), [0; 0], "before it is needed");
    Artifact::of("hangs_in_new").place(plugins.path());
    let examiner = until("one is at work", || {
        let all = process::children(host.pid());
        all.into_iter().find(|one| is_at_work(*one))
    });
    host.signal("KILL");
    ends(examiner);
}

#[test]
fn who_waits_has_ended_before_a_host_that_is_told_to_end() {
    let plugins = folder();
    Artifact::of("steady").place(plugins.path());
    let host = run(&plugins);
    let waits = standby(&host);
    host.signal("TERM");
    assert_eq!(host.wait().0.code(), Some(0));
    assert!(!process::is_running(waits), "{waits} runs");
}

#[test]
fn a_standby_that_was_killed_costs_no_verdict() {
    let plugins = folder();
    Artifact::of("steady").place(plugins.path());
    let host = run(&plugins);
    let waits = standby(&host);
    let number = rustix::process::Pid::from_raw(waits.cast_signed()).expect("a number");
    rustix::process::kill_process(number, rustix::process::Signal::KILL).expect("it runs");
    Artifact::of("steady")
        .version("1.0.1")
        .place(plugins.path());
    until("the new version serves", || {
        let status = host.command(&["status", "steady", "--json"]).json();
        (status["serving"]["version"] == "1.0.1").then_some(())
    });
    assert_ne!(standby(&host), waits);
}
