//! What publisher and ledger promise, whatever comes in whatever order.

use super::{ledger::Ledger, publisher::Decision, *};
use proptest::prelude::*;
use std::collections::BTreeSet;
use tempfile::TempDir;

const KEEP: usize = 4;

pub(super) struct Ground {
    folder: TempDir,
    declared: BTreeMap<String, DatasetConfig>,
    pub(super) announcer: Arc<Announcer>,
}

impl Ground {
    pub(super) fn new(datasets: &[&str]) -> Self {
        let config = DatasetConfig {
            keep: KEEP,
            max_bytes: 1_000,
            ..DatasetConfig::default()
        };
        let declared = datasets
            .iter()
            .map(|name| ((*name).to_owned(), config.clone()));
        Ground {
            folder: TempDir::new().expect("a folder"),
            declared: declared.collect(),
            announcer: Arc::default(),
        }
    }

    pub(super) fn open(&self) -> Publisher {
        let ledger = Ledger::open(&self.folder.path().join("data.redb")).expect("it opens");
        let announcer = Arc::clone(&self.announcer);
        Publisher::open(&self.declared, ledger, announcer).expect("it opens")
    }
}

fn from_source(cursor: Option<&str>) -> Origin {
    Origin::Source {
        kind: "test".to_owned(),
        place: "here".to_owned(),
        cursor: cursor.map(str::to_owned),
    }
}

pub(super) fn bring(publisher: &Publisher, content: &str) -> Decision {
    let content = content.as_bytes().to_vec();
    let brought = publisher.bring(0, content, Format::Json, from_source(None));
    brought.expect("the ledger works")
}

pub(super) fn put(publisher: &Publisher, contents: &[(usize, &str)]) -> Result<Vec<u64>, String> {
    let contents = contents
        .iter()
        .map(|(place, content)| {
            let content = content.as_bytes().to_vec();
            Wanted::new(*place, content, Format::Json, Origin::operator("a test"))
        })
        .collect();
    let put = publisher
        .change(contents, &Cast::default())
        .expect("the ledger works");
    put.map_err(|(place, refusal)| format!("{place}: {}", refusal.mistake))
}

fn back(publisher: &Publisher, to: u64, pinned: bool) -> u64 {
    let kept = publisher
        .ledger()
        .revision("a", to)
        .expect("the ledger works");
    let kept = kept.expect("it is kept");
    let wanted = vec![Wanted::back(0, kept, "a test", pinned)];
    let back = publisher.change(wanted, &Cast::default());
    back.expect("the ledger works").expect("it is valid")[0]
}

pub(super) fn held(publisher: &Publisher, place: usize) -> String {
    let held = publisher.held(place);
    held.map_or_else(String::new, |held| {
        String::from_utf8_lossy(&held.content).into_owned()
    })
}

#[test]
fn what_is_refused_leaves_what_is_held_and_stands_beside_it() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    assert_eq!(bring(&publisher, "1"), Decision::Published(1));
    let Decision::Refused(refusal) = bring(&publisher, "{\n?") else {
        panic!("it is refused");
    };
    assert_eq!(refusal.stage, Stage::Parsed);
    assert_eq!(
        refusal.mistake.position,
        Some(Position::Line { line: 2, column: 1 })
    );
    let status = publisher.status(0).expect("it is declared");
    assert_eq!(status.held.map(|held| held.number), Some(1));
    assert_eq!(status.refusal, Some(refusal));
    assert_eq!(bring(&publisher, "1"), Decision::Unchanged);
    let status = publisher.status(0).expect("it is declared");
    assert_eq!(status.refusal, None, "the truth is good again");
}

#[test]
fn what_is_too_large_is_refused_before_it_is_parsed() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    let Decision::Refused(refusal) = bring(&publisher, &"?".repeat(1_001)) else {
        panic!("it is refused");
    };
    assert_eq!(refusal.stage, Stage::Received);
}

#[test]
fn the_same_refusal_again_is_no_news() {
    let stage = Ground::new(&["a"]);
    let publisher = stage.open();
    for _ in 0..3 {
        bring(&publisher, "?");
    }
    let told = stage.announcer.last();
    let refused = |event: &&crate::event::Event| {
        matches!(event.what, crate::event::Happening::DataRefused { .. })
    };
    assert_eq!(told.iter().filter(refused).count(), 1);
}

#[test]
fn a_change_set_is_all_or_nothing() {
    let ground = Ground::new(&["a", "b"]);
    let publisher = ground.open();
    assert_eq!(put(&publisher, &[(0, "1"), (1, "1")]), Ok(vec![1, 1]));
    let before = publisher.snapshot();
    let refused = put(&publisher, &[(0, "2"), (1, "?")]);
    assert!(refused.is_err_and(|reason| reason.starts_with("1: line 1")));
    assert_eq!(
        (held(&publisher, 0), held(&publisher, 1)),
        ("1".into(), "1".into())
    );
    assert_eq!(publisher.snapshot().number, before.number);
    assert_eq!(put(&publisher, &[(0, "2"), (1, "2")]), Ok(vec![2, 2]));
    assert_eq!(publisher.snapshot().number, before.number + 1, "one step");
}

#[test]
fn what_is_to_replace_one_revision_replaces_no_newer_one() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    bring(&publisher, "2");
    let back = || {
        let kept = publisher.ledger().revision("a", 1);
        let kept = kept.expect("the ledger works").expect("it is kept");
        let wanted = Wanted::back(0, kept, "a test", false).instead_of(2);
        let back = publisher.change(vec![wanted], &Cast::default());
        back.expect("the ledger works").expect("it is valid")
    };
    bring(&publisher, "3");
    assert_eq!(back(), [3], "what is held then");
    assert_eq!(held(&publisher, 0), "3");
    assert_eq!(bring(&publisher, "4"), Decision::Published(4));
}

#[test]
fn a_rollback_holds_until_the_source_brings_something_newer() {
    let stage = Ground::new(&["a"]);
    let publisher = stage.open();
    bring(&publisher, "1");
    bring(&publisher, "2");
    assert_eq!(back(&publisher, 1, false), 3);
    assert_eq!(
        bring(&publisher, "2"),
        Decision::Unchanged,
        "it is what was there"
    );
    drop(publisher);
    let publisher = stage.open();
    assert_eq!(held(&publisher, 0), "1");
    assert_eq!(
        bring(&publisher, "2"),
        Decision::Unchanged,
        "after a restart too"
    );
    let status = publisher.status(0).expect("it is declared");
    assert_eq!(status.rolled_back_to, Some(1));
    assert_eq!(bring(&publisher, "3"), Decision::Published(4));
    let status = publisher.status(0).expect("it is declared");
    assert_eq!(status.rolled_back_to, None);
}

#[test]
fn the_same_content_from_a_later_place_of_the_source_is_newer() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    let bring = |content: &str, cursor| {
        let brought = publisher.bring(0, content.into(), Format::Json, from_source(Some(cursor)));
        brought.expect("the ledger works")
    };
    bring("1", "1");
    bring("2", "2");
    back(&publisher, 1, false);
    assert_eq!(bring("2", "2"), Decision::Unchanged);
    assert_eq!(bring("2", "3"), Decision::Published(4));
}

#[test]
fn what_the_source_has_stays_refused_whatever_an_operator_puts_in_its_place() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    let is_refused = || {
        publisher
            .status(0)
            .is_some_and(|status| status.refusal.is_some())
    };
    bring(&publisher, "1");
    bring(&publisher, "?");
    put(&publisher, &[(0, "2")]).expect("it is valid");
    assert!(is_refused());
    bring(&publisher, "3");
    assert!(!is_refused());
    assert!(put(&publisher, &[(0, "?")]).is_err());
    assert!(is_refused());
    put(&publisher, &[(0, "4")]).expect("it is valid");
    assert!(!is_refused());
}

#[test]
fn a_pin_holds_against_the_source_until_it_is_lifted() {
    let stage = Ground::new(&["a"]);
    let publisher = stage.open();
    bring(&publisher, "1");
    bring(&publisher, "2");
    assert_eq!(back(&publisher, 1, true), 3);
    assert_eq!(bring(&publisher, "3"), Decision::Pinned);
    drop(publisher);
    let publisher = stage.open();
    assert_eq!(
        bring(&publisher, "3"),
        Decision::Pinned,
        "after a restart too"
    );
    let rung = publisher.datasets()[0].rung.clone();
    assert!(rung.is_empty());
    assert_eq!(back(&publisher, 3, false), 3, "nothing else changes");
    assert_eq!(rung.try_recv(), Ok(()), "the source is asked for its truth");
    assert_eq!(bring(&publisher, "3"), Decision::Published(4));
}

#[test]
fn a_damaged_content_on_disk_is_passed_over_for_the_one_before() {
    let stage = Ground::new(&["a"]);
    let publisher = stage.open();
    bring(&publisher, "1");
    bring(&publisher, "\"content to be damaged\"");
    drop(publisher);
    let file = stage.folder.path().join("data.redb");
    let mut bytes = std::fs::read(&file).expect("it is read");
    let damaged = b"\"content to be damaged\"";
    let places: Vec<usize> = (0..bytes.len() - damaged.len())
        .filter(|at| bytes[*at..].starts_with(damaged))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 1] = b'C';
    }
    std::fs::write(&file, bytes).expect("it is written");
    assert_eq!(held(&stage.open(), 0), "1");
}

#[test]
fn what_has_no_source_needs_no_confirmation_after_a_restart() {
    let mut ground = Ground::new(&["a", "b"]);
    let sourced = ground.declared.get_mut("b").expect("it is declared");
    sourced.source = Some(crate::config::SourceConfig::file("nowhere"));
    put(&ground.open(), &[(0, "1"), (1, "1")]).expect("it is valid");
    let publisher = ground.open();
    let from_disk = [0, 1].map(|place| publisher.status(place).map(|status| status.from_disk));
    assert_eq!(from_disk, [Some(false), Some(true)]);
}

/// A source that does what its test says, turn by turn.
struct Scripted(crossbeam_channel::Receiver<Result<&'static str, &'static str>>);

impl source::Source for Scripted {
    fn follow(&mut self, inbox: &source::Inbox) -> Result<()> {
        while let Ok(turn) = self.0.recv() {
            let content = turn.map_err(anyhow::Error::msg)?;
            inbox.deliver(source::Delivery {
                content: content.into(),
                format: None,
                cursor: Some("7".to_owned()),
            })?;
            inbox.healthy();
            assert_ne!(content, "0", "on purpose");
        }
        Ok(())
    }
}

#[test]
fn a_source_that_fails_is_followed_again_and_its_secrets_are_hidden() {
    use crate::{
        config::{Secret, SourceConfig, SourceSetting},
        event::Happening,
    };
    let ground = Ground::new(&["a"]);
    let events = ground.announcer.follow();
    let publisher = Arc::new(ground.open());
    let url = SourceSetting::Secret(Secret::new("redis://ada:hidden@host"));
    let config = SourceConfig {
        kind: "redis".to_owned(),
        settings: BTreeMap::from([("url".to_owned(), url)]),
    };
    let inbox = source::Inbox::new(&publisher, 0, &publisher.datasets()[0], &config);
    let (script, turns) = crossbeam_channel::unbounded();
    let next = |fits: fn(&Happening) -> bool| {
        let limit = Duration::from_secs(60);
        let mut events = std::iter::from_fn(|| events.recv_timeout(limit).ok());
        let found = events.find(|event| fits(&event.what));
        found.expect("it happens in time").what
    };
    let is_lost = |what: &Happening| matches!(what, Happening::SourceLost { .. });
    let is_back = |what: &Happening| matches!(what, Happening::SourceBack { .. });
    std::thread::scope(|scope| {
        scope.spawn(|| source::follow(&mut Scripted(turns), &inbox));
        for turn in [Ok("1"), Err("no way to redis://ada:hidden@host (hidden)")] {
            script.send(turn).expect("it is followed");
        }
        let Happening::SourceLost { reason, .. } = next(is_lost) else {
            panic!("it is lost");
        };
        assert_eq!(reason, "no way to *** (***)");
        script.send(Ok("0")).expect("it is followed");
        next(is_back);
        let Happening::SourceLost { reason, .. } = next(is_lost) else {
            panic!("it is lost");
        };
        assert!(reason.contains("panicked"), "{reason}");
        script.send(Ok("2")).expect("it is followed");
        next(is_back);
        publisher.datasets()[0].end();
        drop(script);
    });
    assert_eq!(held(&publisher, 0), "2");
    let brought = publisher.ledger().memory("a").expect("it is read").brought;
    assert_eq!(brought.and_then(|it| it.cursor).as_deref(), Some("7"));
}

#[test]
fn another_format_is_another_content() {
    let mut ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "[1]");
    drop(publisher);
    if let Some(config) = ground.declared.get_mut("a") {
        config.format = Format::Yaml;
    }
    let publisher = ground.open();
    let origin = from_source(None);
    let brought = publisher.bring(0, "[1]".into(), Format::Yaml, origin);
    assert_eq!(brought.expect("the ledger works"), Decision::Published(2));
}

/// What may happen to dataset `a`.
#[derive(Debug, Clone)]
enum Act {
    Bring(u8),
    BringGarbage,
    Put(u8),
    PutBothGarbage(u8),
    Back { which: u8, pinned: bool },
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0_u8..6).prop_map(Act::Bring),
        1 => Just(Act::BringGarbage),
        2 => (0_u8..6).prop_map(Act::Put),
        1 => (0_u8..6).prop_map(Act::PutBothGarbage),
        2 => (0_u8..4, any::<bool>()).prop_map(|(which, pinned)| Act::Back { which, pinned }),
        1 => Just(Act::Restart),
    ]
}

/// What should be true of dataset `a`.
#[derive(Default)]
struct Model {
    kept: Vec<(u64, u8)>,
    numbers: BTreeSet<u64>,
    brought: Option<u8>,
    /// Whether an operator's word stands, and whether it is pinned.
    by_hand: Option<bool>,
}

impl Model {
    fn held(&self) -> Option<u8> {
        self.kept.last().map(|(_, content)| *content)
    }

    fn publish(&mut self, number: u64, content: u8) -> Result<(), TestCaseError> {
        let last = self.numbers.last().copied().unwrap_or_default();
        prop_assert!(number > last, "{number} after {last}");
        self.numbers.insert(number);
        self.kept.push((number, content));
        if self.kept.len() > KEEP {
            self.kept.remove(0);
        }
        Ok(())
    }

    fn bring(&mut self, content: u8, decision: &Decision) -> Result<(), TestCaseError> {
        if self.held() == Some(content) {
            prop_assert_eq!(decision, &Decision::Unchanged);
            self.brought = Some(content);
            self.by_hand = self.by_hand.filter(|pinned| *pinned);
        } else if self.by_hand == Some(true) {
            prop_assert_eq!(decision, &Decision::Pinned);
        } else if self.by_hand == Some(false) && self.brought == Some(content) {
            prop_assert_eq!(decision, &Decision::Unchanged);
        } else {
            let Decision::Published(number) = decision else {
                return Err(TestCaseError::fail(format!("{content}: {decision:?}")));
            };
            self.publish(*number, content)?;
            self.brought = Some(content);
            self.by_hand = None;
        }
        Ok(())
    }

    fn by_hand(&mut self, number: u64, content: u8, pinned: bool) -> Result<(), TestCaseError> {
        if self.held() == Some(content) {
            prop_assert_eq!(Some(number), self.numbers.last().copied());
            if self.by_hand.is_some() || pinned {
                self.by_hand = Some(pinned);
            }
            return Ok(());
        }
        self.publish(number, content)?;
        self.by_hand = Some(pinned);
        Ok(())
    }

    fn compare(&self, publisher: &Publisher) -> Result<(), TestCaseError> {
        let expected = self
            .held()
            .map_or_else(String::new, |content| content.to_string());
        prop_assert_eq!(held(publisher, 0), expected);
        let history = publisher.ledger().history("a", 100).expect("it is read");
        let numbers: Vec<u64> = history.iter().rev().map(|record| record.number).collect();
        let kept: Vec<u64> = self.kept.iter().map(|(number, _)| *number).collect();
        prop_assert_eq!(numbers, kept);
        let status = publisher.status(0).expect("it is declared");
        prop_assert_eq!(status.pinned, self.by_hand == Some(true));
        Ok(())
    }
}

fn play(acts: Vec<Act>) -> Result<(), TestCaseError> {
    let stage = Ground::new(&["a", "b"]);
    let mut publisher = stage.open();
    let mut model = Model::default();
    for act in acts {
        match act {
            Act::Bring(content) => {
                let decision = bring(&publisher, &content.to_string());
                model.bring(content, &decision)?;
            }
            Act::BringGarbage => {
                let decision = bring(&publisher, "?");
                let is_pinned = model.by_hand == Some(true);
                prop_assert_eq!(decision == Decision::Pinned, is_pinned);
                prop_assert!(is_pinned || matches!(decision, Decision::Refused(_)));
            }
            Act::Put(content) => {
                let numbers = put(&publisher, &[(0, &content.to_string())]);
                let numbers = numbers.expect("it is valid");
                model.by_hand(numbers[0], content, false)?;
            }
            Act::PutBothGarbage(content) => {
                let refused = put(&publisher, &[(0, &content.to_string()), (1, "?")]);
                prop_assert!(refused.is_err());
            }
            Act::Back { which, pinned } => {
                let Some((to, content)) = model.kept.get(usize::from(which)).copied() else {
                    continue;
                };
                let number = back(&publisher, to, pinned);
                model.by_hand(number, content, pinned)?;
            }
            Act::Restart => {
                drop(publisher);
                publisher = stage.open();
            }
        }
        model.compare(&publisher)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn publisher_and_ledger_do_as_the_model_says(acts in proptest::collection::vec(act(), 1..30)) {
        play(acts)?;
    }
}
