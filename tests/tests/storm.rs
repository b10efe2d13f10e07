//! The storm: callers at full speed through hundreds of swaps, and a process that looks afterwards as it did before.
//!
//! It is the only test of its process, so that threads, files and memory can be counted.

use host::{Host, report::Departure};
use tests::{Artifact, Callers, LIMIT, Scene, number, process, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");
/// Swaps of each of the two plugins.
const SWAPS: u64 = 100;
/// What the process may have grown by, for whatever reason: far less than a library for each swap.
const SLACK: u64 = 64 << 20;

/// Waits until the libraries that serve are the only ones that are mapped.
fn settle(scene: &Scene, host: &Host) {
    until("only what serves is mapped", || {
        // This thread has values of thread-locals to give up, which it does when it passes a gate.
        number(host, "steady", "total", "");
        let serving: Vec<String> = host
            .status()
            .plugins
            .iter()
            .filter_map(|plugin| {
                Some(format!(
                    "/{}-{}-",
                    plugin.name,
                    plugin.serving.as_ref()?.generation
                ))
            })
            .collect();
        let stray = |line: &String| !serving.iter().any(|name| line.contains(name));
        (!scene.mapped().iter().any(stray)).then_some(())
    });
}

/// Waits until the next examiner was started ahead: it takes some files.
fn wait_for_the_standby() {
    until("an examiner waits", || {
        (process::children(std::process::id()).len() == 1).then_some(())
    });
}

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
    settle(&scene, &host);
    wait_for_the_standby();
    let (threads, files, memory) = (
        process::thread_names(),
        process::open_files(),
        process::resident(),
    );

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
    settle(&scene, &host);
    wait_for_the_standby();
    until("the threads are as before", || {
        (process::thread_names() == threads).then_some(())
    });
    until("the open files are as before", || {
        (process::open_files() <= files).then_some(())
    });
    let grown = process::resident().saturating_sub(memory);
    assert!(grown < SLACK, "{grown} bytes more than before");

    let gone = host.unload("thread-locals").expect("the unload");
    assert_eq!(gone.departure, Departure::Unmapped);
    host.shutdown(LIMIT);
    assert_eq!(process::children(std::process::id()), [0; 0]);
    drop(host);
    scene.wait_until_unmapped();
}
