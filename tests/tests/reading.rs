//! Plugins that read hot data: what a call sees of it, through publishes and swaps.

use host::{
    Host,
    config::DatasetConfig,
    data::{DataError, Origin, Stage},
    event::Happening,
    report::Departure,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tests::{Artifact, Hold, Scene, event, until};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

fn scene() -> Scene {
    let mut scene = Scene::new(EXAMINER);
    for name in ["left", "right"] {
        let dataset = DatasetConfig {
            keep: 3,
            ..DatasetConfig::default()
        };
        scene.config.data.insert(name.to_owned(), dataset);
    }
    scene
}

fn operator() -> Origin {
    Origin::operator("a test")
}

/// Both, in one step.
fn publish(host: &Host, number: u64) -> Result<(), DataError> {
    let left = format!("{{\"number\": {number}, \"words\": [\"{number}\"]}}");
    let contents = BTreeMap::from([
        ("left".to_owned(), left.into_bytes()),
        ("right".to_owned(), number.to_string().into_bytes()),
    ]);
    host.change_data(contents, &operator()).map(drop)
}

fn put(host: &Host, left: &str) -> Result<(), DataError> {
    host.put_data("left", left.as_bytes().to_vec(), &operator())
        .map(drop)
}

fn call<T: serde::de::DeserializeOwned>(host: &Host, method: &str, arguments: &[u8]) -> T {
    let (plugin, method) = method.split_once('.').unwrap_or(("reads", method));
    match host.call(plugin, method, arguments) {
        Ok(reply) => serde_json::from_slice(&reply.result).expect("it has this type"),
        Err(error) => panic!("{plugin}.{method}: {error}"),
    }
}

/// A host on which both plugins read revision 1 of both datasets.
fn reading(scene: &Scene) -> Host {
    let host = scene.start();
    publish(&host, 1).expect("it is good");
    scene.load(&host, &Artifact::of("reads"));
    scene.load(&host, &Artifact::of("echoes"));
    host
}

#[test]
fn a_plugin_reads_what_is_published_from_one_call_to_the_next() {
    let scene = scene();
    let host = reading(&scene);
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [1, 1]);
    publish(&host, 2).expect("it is good");
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [2, 2]);
    put(&host, r#"{"number": 3}"#).expect("it is good");
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [3, 2]);
    host.rollback_data("left", Some(2), false, "a test")
        .expect("it is kept");
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [2, 2]);
}

#[test]
fn a_call_sees_one_revision_of_everything_from_start_to_end() {
    let scene = scene();
    let host = reading(&scene);
    let hold = Hold::new();
    thread::scope(|scope| {
        let held = scope.spawn(|| call::<[[u64; 2]; 2]>(&host, "held", &hold.arguments()));
        let inside = hold.wait();
        publish(&host, 2).expect("it is good");
        publish(&host, 3).expect("it is good");
        assert_eq!(call::<[u64; 2]>(&host, "both", b""), [3, 3]);
        drop(inside);
        assert_eq!(held.join().expect("it answers"), [[1, 1], [1, 1]]);
    });
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [3, 3]);
}

#[test]
fn so_do_the_calls_that_it_makes_also_to_a_plugin_that_is_swapped_meanwhile() {
    let scene = scene();
    let host = reading(&scene);
    let hold = Hold::new();
    for (round, method) in (2_u64..).zip(["nested", "nested_first"]) {
        thread::scope(|scope| {
            let held = scope.spawn(|| call::<Vec<u64>>(&host, method, &hold.arguments()));
            let inside = hold.wait();
            publish(&host, round).expect("it is good");
            let swapped = scene.load(&host, &Artifact::of("echoes").build(round));
            assert_eq!(swapped.departure, Some(Departure::Unmapped), "{method}");
            assert_eq!(call::<u64>(&host, "echoes.left", b""), round);
            drop(inside);
            let seen = held.join().expect("it answers");
            assert!(
                seen.iter().all(|seen| *seen == round - 1),
                "{method}: {seen:?}"
            );
        });
    }
}

#[test]
fn an_async_method_keeps_its_revision_over_awaits_and_on_other_threads() {
    let scene = scene();
    let host = reading(&scene);
    let hold = Hold::new();
    thread::scope(|scope| {
        let held = scope.spawn(|| call::<[u64; 5]>(&host, "over_awaits", &hold.arguments()));
        let inside = hold.wait();
        publish(&host, 2).expect("it is good");
        drop(inside);
        assert_eq!(held.join().expect("it answers"), [1; 5]);
    });
}

#[test]
fn an_outgoing_generation_goes_on_while_its_successor_serves() {
    let scene = scene();
    let host = reading(&scene);
    let hold = Hold::new();
    thread::scope(|scope| {
        let held = scope.spawn(|| call::<[[u64; 2]; 2]>(&host, "held", &hold.arguments()));
        let inside = hold.wait();
        let swap = scope.spawn(|| scene.load(&host, &Artifact::of("reads").build(2)));
        until("the successor serves", || {
            let serving = host.plugin("reads")?.serving?;
            (serving.generation > 2).then_some(())
        });
        publish(&host, 2).expect("it is good");
        assert_eq!(call::<[u64; 2]>(&host, "both", b""), [2, 2]);
        drop(inside);
        assert_eq!(held.join().expect("it answers"), [[1, 1], [1, 1]]);
        let swapped = swap.join().expect("it is swapped");
        assert_eq!(swapped.departure, Some(Departure::Unmapped));
    });
}

#[test]
fn a_look_that_a_job_keeps_stays_as_it_is() {
    let scene = scene();
    let host = reading(&scene);
    let hold = Hold::new();
    call::<()>(&host, "keep", &hold.arguments());
    let inside = hold.wait();
    for number in 2..20 {
        if number != 13 {
            publish(&host, number).expect("it is good");
        }
    }
    drop(inside);
    let kept = until("the job has ended", || {
        let kept: Vec<u64> = call(&host, "kept", b"");
        (!kept.is_empty()).then_some(kept)
    });
    assert_eq!(kept, [1, 19]);
}

#[test]
fn what_a_plugin_refuses_leaves_the_last_good_one_serving() {
    let scene = scene();
    let host = reading(&scene);
    let refusal = |error: DataError| match error {
        DataError::Refused { dataset, refusal } => (dataset, *refusal),
        other => panic!("{other}"),
    };
    let (dataset, refused) = refusal(publish(&host, 13).expect_err("13 brings no luck"));
    assert_eq!(dataset, "left");
    assert_eq!(refused.stage, Stage::Checked);
    assert_eq!(
        refused.mistake.to_string(),
        "plugin \"reads\" 1.0.0 cannot use it: 13 brings no luck"
    );
    let error = put(&host, r#"{"nummer": 1}"#).expect_err("it does not fit");
    assert_eq!(
        refusal(error).1.mistake.to_string(),
        "line 1 column 13: plugin \"reads\" 1.0.0 cannot use it: missing field `number`"
    );
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [1, 1]);
    assert_eq!(call::<u64>(&host, "echoes.left", b""), 1);
    publish(&host, 2).expect("it is good");
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [2, 2]);
}

#[test]
fn a_panic_in_a_check_refuses_and_changes_nothing() {
    let scene = scene();
    let host = reading(&scene);
    scene.load(&host, &Artifact::of("panics_in_check"));
    let error = publish(&host, 7).expect_err("no 7").to_string();
    assert!(
        error.contains("reading it panicked: ") && error.contains("no 7"),
        "{error}"
    );
    assert_eq!(call::<u64>(&host, "sevenless.left", b""), 1);
    publish(&host, 8).expect("it is good");
    assert_eq!(call::<u64>(&host, "sevenless.left", b""), 8);
}

#[test]
fn a_check_that_hangs_refuses_and_its_library_stays_until_it_returns() {
    let mut scene = scene();
    scene.config.plugins.each.handover_timeout = Duration::from_millis(200);
    let host = reading(&scene);
    scene.load(&host, &Artifact::of("hangs_in_check"));
    let hold = Hold::new();
    let path = hold.path();
    let hangs = format!("{{\"number\": 2, \"words\": [{path:?}]}}");
    let error = put(&host, &hangs).expect_err("it hangs").to_string();
    assert!(error.contains("plugin \"hanger\" 1.0.0"), "{error}");
    assert!(error.contains("has not returned within 200ms"), "{error}");
    let inside = hold.wait();
    let error = publish(&host, 2).expect_err("it hangs still").to_string();
    assert!(error.contains("has not returned"), "{error}");
    assert_eq!(call::<u64>(&host, "hanger.left", b""), 1);
    let unloaded = host.unload("hanger").expect("it is unloaded");
    let Departure::Lingering { cause } = unloaded.departure else {
        panic!("its library is mapped");
    };
    assert!(
        cause.contains("parsing of data \"left\" has not returned"),
        "{cause}"
    );
    publish(&host, 2).expect("it is not asked any more");
    drop(inside);
    until("it is unmapped", || {
        let plugin = host.plugin("hanger")?;
        plugin.lingering.is_empty().then_some(())
    });
}

#[test]
fn a_plugin_whose_data_is_missing_or_does_not_fit_stops_at_vet() {
    let scene = scene();
    let host = scene.start();
    let load = |example: &str| {
        let error = host.load(&scene.put(&Artifact::of(example)));
        error.expect_err("it is turned away").to_string()
    };
    let error = load("reads");
    assert!(
        error.contains("stopped at vet: it reads data \"left\", which has no revision yet"),
        "{error}"
    );
    publish(&host, 1).expect("it is good");
    let error = load("wants_other_data");
    assert!(
        error.contains("stopped at vet: refused: data \"left\" revision 1: line 1 column 29: missing field `wanted`"),
        "{error}"
    );
    let error = load("panics_in_parse");
    assert!(error.contains("reading it panicked: no reading"), "{error}");
    let elsewhere = Scene::new(EXAMINER);
    let host = elsewhere.start();
    let error = host.load(&scene.put(&Artifact::of("reads")));
    let error = error.expect_err("it is not declared").to_string();
    assert!(error.contains("write [data.left] in host.toml"), "{error}");
}

#[test]
fn a_file_that_was_turned_away_for_its_data_is_tried_again_when_that_changes() {
    let scene = scene();
    Artifact::of("reads").place(&scene.plugins());
    let host = scene.start_watching();
    let events = host.follow();
    assert!(
        host.plugin("reads")
            .is_some_and(|plugin| plugin.serving.is_none())
    );
    publish(&host, 1).expect("it is good");
    event(&events, "it serves", |what| {
        matches!(what, Happening::Swapped { .. })
    });
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [1, 1]);
}

#[test]
fn a_successor_starts_with_the_current_revisions_and_nothing_stays_mapped() {
    let scene = scene();
    let host = reading(&scene);
    let threads = 4;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        // Each has looked, and stays alive without calling again.
        let barrier = Arc::new(std::sync::Barrier::new(threads + 1));
        for _ in 0..threads {
            let (host, ended, barrier) = (host.clone(), &ended, Arc::clone(&barrier));
            scope.spawn(move || {
                assert_eq!(call::<[u64; 2]>(&host, "both", b""), [1, 1]);
                barrier.wait();
                until("the test has ended", || {
                    ended.load(Ordering::Acquire).then_some(())
                });
            });
        }
        barrier.wait();
        for number in 2..8 {
            publish(&host, number).expect("it is good");
            let swapped = scene.load(&host, &Artifact::of("reads").build(number));
            assert_eq!(swapped.departure, Some(Departure::Unmapped));
            assert_eq!(call::<[u64; 2]>(&host, "both", b""), [number, number]);
        }
        for plugin in ["reads", "echoes"] {
            let unloaded = host.unload(plugin).expect("it is unloaded");
            assert_eq!(unloaded.departure, Departure::Unmapped, "{plugin}");
        }
        assert_eq!(scene.mapped(), [""; 0]);
        ended.store(true, Ordering::Release);
    });
}

#[test]
fn a_plugin_is_told_of_changes_one_at_a_time_and_of_the_last() {
    let scene = scene();
    let host = reading(&scene);
    let events = host.follow();
    let hold = Hold::new();
    let left = |number: u64, word: &str| format!("{{\"number\": {number}, \"words\": [{word:?}]}}");
    let path = hold.path().display().to_string();
    put(&host, &left(2, &path)).expect("it is good");
    let inside = hold.wait();
    for number in 3..6 {
        put(&host, &left(number, "")).expect("it is good");
    }
    drop(inside);
    let applied = |revision: u64| {
        let what = format!("revision {revision} is applied");
        let event = event(
            &events,
            &what,
            |what| matches!(what, Happening::DataApplied { revision: at, .. } if *at == revision),
        );
        match event.what {
            Happening::DataApplied { failures, .. } => failures,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(applied(5), [""; 0]);
    assert_eq!(
        call::<Vec<String>>(&host, "told", b""),
        ["left 2", "left 5"]
    );
    put(&host, &left(6, "fail")).expect("it is good");
    assert_eq!(applied(6), ["plugin \"reads\": no use for it"]);
    put(&host, &left(7, "panic")).expect("it is good");
    let failures = applied(7);
    assert!(failures[0].contains("no use at all"), "{failures:?}");
    assert_eq!(
        call::<[u64; 2]>(&host, "both", b"")[0],
        7,
        "it is published"
    );
    let status = host.datasets();
    let applied = status[0].applied.as_ref().expect("it was told");
    assert_eq!((applied.revision, applied.failures.len()), (7, 1));
}

#[test]
fn an_on_change_that_hangs_delays_no_publish_no_other_plugin_and_no_unload() {
    let mut scene = scene();
    scene.config.plugins.each.drain_deadline = Duration::from_millis(200);
    let host = reading(&scene);
    let hold = Hold::new();
    let path = hold.path().display().to_string();
    put(&host, &format!("{{\"number\": 2, \"words\": [{path:?}]}}")).expect("it is good");
    let inside = hold.wait();
    let is_told = |number: u64| {
        until("the other one is told", || {
            let told = call::<Vec<u64>>(&host, "echoes.told", b"");
            (told.last() == Some(&number)).then_some(())
        });
    };
    is_told(2);
    put(&host, "{\"number\": 3}").expect("it is good");
    is_told(3);
    let error = host.unload("reads").expect_err("it is inside").to_string();
    assert!(error.contains("on_change"), "{error}");
    put(&host, "{\"number\": 4}").expect("it is good");
    is_told(4);
    scene.load(&host, &Artifact::of("reads").build(2));
    put(&host, "{\"number\": 5}").expect("it is good");
    until("its successor is told", || {
        let told = call::<Vec<String>>(&host, "told", b"");
        (told == ["left 5"]).then_some(())
    });
    drop(inside);
    until("it is unmapped", || {
        let plugin = host.plugin("reads")?;
        plugin.lingering.is_empty().then_some(())
    });
}

#[test]
fn who_reads_what_is_told_of_datasets_and_of_plugins() {
    let scene = scene();
    let host = reading(&scene);
    publish(&host, 2).expect("it is good");
    let datasets = host.datasets();
    let readers = |place: usize| {
        let readers = datasets[place].readers.iter();
        let readers = readers.map(|it| (it.plugin.as_str(), it.generation, it.revision));
        readers.collect::<Vec<_>>()
    };
    assert_eq!(readers(0), [("reads", 1, Some(2)), ("echoes", 2, Some(2))]);
    assert_eq!(readers(1), [("reads", 1, Some(2))]);
    let reads = host.plugin("reads").and_then(|plugin| plugin.serving);
    let reads = reads.expect("it serves").reads;
    let reads: Vec<_> = reads
        .iter()
        .map(|read| (read.dataset.as_str(), read.revision))
        .collect();
    assert_eq!(reads, [("left", Some(2)), ("right", Some(2))]);
    host.unload("reads").expect("it is unloaded");
    assert_eq!(host.datasets()[1].readers, []);
}

#[test]
fn what_is_not_json_is_given_parsed_and_bytes_as_they_are() {
    use host::data::Format;
    let mut scene = scene();
    for (name, format) in [("left", Format::Toml), ("right", Format::Yaml)] {
        let dataset = scene.config.data.get_mut(name).expect("it is declared");
        dataset.format = format;
    }
    let host = scene.start();
    let put = |name: &str, content: &str| {
        let content = content.as_bytes().to_vec();
        host.put_data(name, content, &operator()).map(drop)
    };
    put("left", "number = 4\nwords = [\"4\"]\n").expect("it is good");
    put("right", "4").expect("it is good");
    scene.load(&host, &Artifact::of("reads"));
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [4, 4]);
    let error = put("left", "nummer = 1").expect_err("it does not fit");
    let error = error.to_string();
    assert!(
        error.ends_with("missing field `number`"),
        "no position in it: {error}"
    );
    scene.config.data.get_mut("left").expect("declared").format = Format::Bytes;
    drop(host);
    let host = scene.start();
    let content = b"number = 5".to_vec();
    let error = host.put_data("left", content, &operator());
    let error = error.expect_err("it wants parsed data").to_string();
    assert!(
        error.contains("declare the format of data \"left\""),
        "{error}"
    );
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [4, 4]);
}

#[test]
fn a_host_that_starts_again_comes_back_with_data_and_plugins() {
    let scene = scene();
    let host = reading(&scene);
    publish(&host, 2).expect("it is good");
    drop(host);
    let host = scene.start();
    assert_eq!(call::<[u64; 2]>(&host, "both", b""), [2, 2]);
    assert_eq!(call::<u64>(&host, "echoes.left", b""), 2);
}

/// Publishes both all the time, by two writers in turn, and swaps the plugins meanwhile.
#[test]
fn over_millions_of_looks_nothing_is_mixed_and_nothing_steps_back() {
    const OFTEN: u64 = 2_000;
    const CALLS: u64 = 300;
    let scene = scene();
    let host = reading(&scene);
    let ended = AtomicBool::new(false);
    let last = parking_lot::Mutex::new(1);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !ended.load(Ordering::Acquire) {
                    let mut last = last.lock();
                    let next = if *last + 1 == 13 { 14 } else { *last + 1 };
                    publish(&host, next).expect("it is good");
                    *last = next;
                }
            });
        }
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut seen, mut looks) = (0, 0_u64);
                    for _ in 0..CALLS {
                        let now: u64 = call(&host, "check", OFTEN.to_string().as_bytes());
                        assert!(seen <= now, "{now} after {seen}");
                        seen = now;
                        looks += 2 * OFTEN;
                    }
                    looks
                })
            })
            .collect();
        for number in 2..12 {
            scene.load(&host, &Artifact::of("reads").build(number));
            scene.load(&host, &Artifact::of("echoes").build(number));
        }
        let looks: u64 = readers
            .into_iter()
            .map(|reader| reader.join().expect("nothing is wrong"))
            .sum();
        ended.store(true, Ordering::Release);
        assert!(looks >= 2_000_000, "{looks}");
    });
    for plugin in ["reads", "echoes"] {
        let unloaded = host.unload(plugin).expect("it is unloaded");
        assert_eq!(unloaded.departure, Departure::Unmapped, "{plugin}");
    }
    scene.wait_until_unmapped();
}
