//! What the store promises of its journal.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn generations_are_never_reused() {
    let folder = folder();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let store = open(&folder);
        for _ in 0..70 {
            let generation = store.next_generation().expect("a generation");
            assert!(
                seen.last().is_none_or(|last| *last < generation),
                "generations only rise"
            );
            seen.insert(generation);
        }
    }
    assert_eq!(seen.first(), Some(&1));
}

#[test]
fn an_intent_survives_the_end_of_the_process() {
    let folder = folder();
    let store = open(&folder);
    store
        .begin(record("other", 1, failed()))
        .expect("a failure");
    let sequence = store
        .begin(record("counter", 2, Outcome::Intent))
        .expect("an intent");
    drop(store);
    let store = open(&folder);
    let unfinished = store.unfinished().expect("the unfinished");
    assert_eq!(
        unfinished,
        vec![Record {
            sequence,
            ..record("counter", 2, Outcome::Intent)
        }]
    );
    let done = Record {
        outcome: failed(),
        ..unfinished[0].clone()
    };
    store.finish(&done).expect("the outcome");
    assert_eq!(store.unfinished().expect("the unfinished"), vec![]);
    assert_eq!(
        store.history("counter", 9).expect("the history"),
        vec![done]
    );
}

#[test]
fn an_outcome_needs_its_intent() {
    let folder = folder();
    let error = open(&folder)
        .finish(&record("counter", 1, swapped()))
        .expect_err("no intent");
    assert!(
        format!("{error:#}").contains("there is no record 0 of \"counter\""),
        "{error:#}"
    );
}

#[test]
fn a_history_is_newest_first_and_of_one_plugin() {
    let folder = folder();
    let store = open(&folder);
    for generation in 1..=6 {
        let plugin = if generation % 2 == 0 { "a" } else { "a-b" };
        store
            .begin(record(plugin, generation, failed()))
            .expect("a record");
    }
    let generations = |plugin, limit| -> Vec<u64> {
        let history = store.history(plugin, limit).expect("the history");
        history.iter().map(|record| record.generation).collect()
    };
    assert_eq!(generations("a", 10), [6, 4, 2]);
    assert_eq!(generations("a-b", 2), [5, 3]);
    assert_eq!(generations("nobody", 2), [0; 0]);
}

#[test]
fn a_long_journal_is_bounded_and_keeps_what_rollback_needs() {
    let folder = folder();
    let limits = Limits {
        records: 20,
        verdicts: 3,
    };
    let store = Store::open_within(&folder.path().join("state"), limits).expect("opening");
    serve(&store, "counter", 1);
    for generation in 2..=300 {
        store
            .begin(record("counter", generation, failed()))
            .expect("a record");
    }
    store
        .begin(record("other", 301, failed()))
        .expect("a record");
    let history = store.history("counter", 1_000).expect("the history");
    assert_eq!(history.len(), 20);
    assert_eq!(history[0].generation, 300);
    assert_eq!(history[18].generation, 282);
    assert_eq!(history[19].generation, 1, "a rollback needs it");
}

#[test]
fn a_record_that_cannot_be_read_hides_no_other() {
    let folder = folder();
    let store = open(&folder);
    store
        .begin(record("counter", 1, failed()))
        .expect("a record");
    let strange = store
        .begin(record("counter", 2, failed()))
        .expect("a record");
    store
        .write("damaging a record", |write| {
            let mut records = write.open_table(rows::RECORDS)?;
            records.insert(("counter", strange), b"{}".as_slice())?;
            Ok(())
        })
        .expect("damaging");
    let history = store.history("counter", 5).expect("the history");
    assert_eq!(
        history
            .iter()
            .map(|record| record.generation)
            .collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn memories_survive() {
    let folder = folder();
    let store = open(&folder);
    assert_eq!(
        store.memory("counter").expect("a memory"),
        Memory::default()
    );
    let memory = Memory {
        last_good: Some(LastGood {
            digest: digest(1),
            staged_digest: Some(digest(1)),
            version: "1.0.0".to_owned(),
            generation: 1,
            file: Some("/plugins/libcounter.so".into()),
        }),
        unloaded: true,
        superseded: Some(digest(2)),
    };
    let mut done = record("counter", 1, Outcome::Intent);
    done.sequence = store.begin(done.clone()).expect("an intent");
    done.outcome = swapped();
    store
        .finish_and_remember(&done, &memory)
        .expect("the outcome");
    store
        .remember("another", &Memory::default())
        .expect("a memory");
    drop(store);
    let store = open(&folder);
    assert_eq!(store.memory("counter").expect("a memory"), memory);
    let plugins = store.plugins().expect("the plugins");
    assert_eq!(
        plugins,
        [
            ("another".to_owned(), Memory::default()),
            ("counter".to_owned(), memory)
        ]
    );
    assert_eq!(store.history("counter", 1).expect("the history"), [done]);
}

#[test]
fn an_outcome_that_is_refused_changes_no_memory() {
    let folder = folder();
    let store = open(&folder);
    let memory = Memory {
        unloaded: true,
        ..Memory::default()
    };
    store
        .finish_and_remember(&record("counter", 1, swapped()), &memory)
        .expect_err("no intent");
    assert_eq!(
        store.memory("counter").expect("a memory"),
        Memory::default()
    );
}

#[test]
fn verdicts_are_kept_by_digest_and_build() {
    let folder = folder();
    let store = open(&folder);
    store
        .keep_verdict(digest(1), "build 1", &refused("once"))
        .expect("keeping");
    store
        .keep_verdict(digest(1), "build 1", &refused("again"))
        .expect("keeping");
    drop(store);
    let store = open(&folder);
    assert_eq!(
        store.verdict(digest(1), "build 1").expect("reading"),
        Some(refused("again"))
    );
    assert_eq!(store.verdict(digest(1), "build 2").expect("reading"), None);
    assert_eq!(store.verdict(digest(2), "build 1").expect("reading"), None);
}

#[test]
fn a_verdict_of_the_moment_is_not_kept() {
    let folder = folder();
    let store = open(&folder);
    for verdict in [
        Verdict::Silent {
            reason: "too slow".to_owned(),
        },
        Verdict::Crashed {
            reason: "signal 6".to_owned(),
        },
    ] {
        store
            .keep_verdict(digest(1), "build", &verdict)
            .expect_err("not kept");
    }
    assert_eq!(store.verdict(digest(1), "build").expect("reading"), None);
}

#[test]
fn the_oldest_verdicts_go_first() {
    let folder = folder();
    let limits = Limits {
        records: 20,
        verdicts: 3,
    };
    let store = Store::open_within(&folder.path().join("state"), limits).expect("opening");
    for number in [1, 2, 3, 1, 4] {
        store
            .keep_verdict(digest(number), "build", &refused("no"))
            .expect("keeping");
    }
    let known = |number| {
        store
            .verdict(digest(number), "build")
            .expect("reading")
            .is_some()
    };
    assert_eq!(
        [known(1), known(2), known(3), known(4)],
        [true, false, true, true]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_reopened_journal_is_as_it_was_left(
        steps in prop::collection::vec((0..3u8, 0..4u8, any::<prop::sample::Index>()), 1..40),
    ) {
        let folder = folder();
        let mut store = open(&folder);
        let mut model: Vec<Record> = Vec::new();
        for (generation, (plugin, what, which)) in (1..).zip(steps) {
            let plugin = ["a", "a-b", "b"][plugin as usize];
            if what < 2 || model.is_empty() {
                let outcome = if what == 0 { Outcome::Intent } else { failed() };
                let mut record = record(plugin, generation, outcome);
                record.sequence = store.begin(record.clone()).expect("a record");
                model.push(record);
            } else if what == 2 {
                let which = which.index(model.len());
                model[which].outcome = swapped();
                store.finish(&model[which]).expect("the outcome");
            } else {
                drop(store);
                store = open(&folder);
            }
            let intents: Vec<Record> =
                model.iter().filter(|record| record.outcome == Outcome::Intent).cloned().collect();
            prop_assert_eq!(store.unfinished().expect("the unfinished"), intents);
            let history: Vec<Record> =
                model.iter().rev().filter(|record| record.plugin == plugin).cloned().collect();
            prop_assert_eq!(store.history(plugin, 100).expect("the history"), history);
        }
    }
}
