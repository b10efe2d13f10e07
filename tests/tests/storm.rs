//! The storm: callers at full speed through hundreds of swaps, and a process that looks afterwards as it did before.
//!
//! It is the only test of its process, so that threads, files and memory can be counted.

use host::report::Departure;
use tests::{Artifact, Callers, LIMIT, Scene, number, process, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");
/// Swaps of each of the two plugins.
const SWAPS: u64 = 200;
/// What the process may have grown by, for whatever reason: far less than a library for each swap.
const SLACK: u64 = 64 << 20;

#[test]
fn no_call_is_lost_or_doubled_and_nothing_is_left_behind() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let steady = [Artifact::of("steady"), Artifact::of("steady_2")];
    scene.load(&host, &steady[0]);
    scene.load(&host, &Artifact::of("thread_locals"));
    // The first swaps make what is made once: threads, files, caches.
    for warm_up in 1..=5 {
        scene.load(&host, &steady[1].clone().build(warm_up));
        scene.load(&host, &steady[0].clone().build(warm_up));
    }
    let (threads, files, memory) = (
        process::threads(),
        process::open_files(),
        process::resident(),
    );
    let names = process::thread_names();

    let callers = Callers::start(&host, 4);
    for swap in 1..=SWAPS {
        let next = steady[(swap % 2) as usize].clone().build(1000 + swap);
        let before = callers.answered();
        let report = scene.load(&host, &next);
        assert!(report.replaced.is_some(), "{report:?}");
        assert_eq!(number(&host, "thread-locals", "work", ""), 42);
        scene.load(&host, &Artifact::of("thread_locals").build(swap));
        until("calls are answered between swaps", || {
            (callers.answered() > before).then_some(())
        });
    }
    let tally = callers.stop();

    assert_eq!(tally.errors, [], "no caller noticed anything");
    assert_eq!(
        number(&host, "steady", "total", ""),
        tally.total(),
        "sent = executed = answered"
    );
    for (caller, answered) in &tally.answered {
        assert_eq!(
            number(&host, "steady", "last", &caller.to_string()),
            *answered
        );
    }
    until("nothing lingers", || {
        let plugins = host.status().plugins;
        plugins
            .iter()
            .all(|plugin| plugin.lingering.is_empty())
            .then_some(())
    });
    until("the threads are as before", || {
        (process::threads() <= threads).then_some(())
    });
    assert_eq!(process::thread_names(), names);
    assert!(
        process::open_files() <= files,
        "{} files, {files} before",
        process::open_files()
    );
    let grown = process::resident().saturating_sub(memory);
    assert!(grown < SLACK, "{grown} bytes more than before");

    let gone = host.unload("thread-locals").expect("the unload");
    assert_eq!(gone.departure, Departure::Unmapped);
    host.shutdown(LIMIT);
    drop(host);
    scene.wait_until_unmapped();
}
