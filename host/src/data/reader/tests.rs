//! What readers promise, with parsers that no library has.

use super::{
    super::{
        dataset::Stage,
        publisher::{Decision, Publisher},
        tests::{Ground, bring, held, put},
    },
    *,
};
use crate::data::{Cast, Wanted};
use crate::{
    data::{Messenger, open_frame},
    foreign::{instance::PluginFault, parsed::Parsed},
    gate::{Call, Gate, Tally, Tenant},
};
use abi_stable::sabi_trait::TD_Opaque;
use plugin_api::contract::{Address, Fault, FaultKind, Glance, ParsedObject, ParsedObject_TO};
use std::sync::{
    Barrier, OnceLock,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

mod asking;
mod looking;
mod telling;

/// A value that says when it is gone, and is nobody's then.
struct Number {
    value: Box<AtomicU64>,
    alive: Arc<AtomicUsize>,
}

impl ParsedObject for Number {
    fn address(&self) -> Address {
        Address::of(&*self.value)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.value.store(u64::MAX, Ordering::Relaxed);
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Parses numbers, and refuses odd ones where it is told to.
#[derive(Default)]
struct Numbers {
    alive: Arc<AtomicUsize>,
    parsed: AtomicUsize,
    no_odd: bool,
    /// What happens while a number is parsed.
    meanwhile: OnceLock<Box<dyn Fn(u64) + Send + Sync>>,
}

impl Parse for Numbers {
    fn parse(&self, _read: u32, _format: u32, content: &[u8]) -> Result<Parsed, PluginFault> {
        self.parsed.fetch_add(1, Ordering::SeqCst);
        let text = String::from_utf8_lossy(content);
        let number: u64 = text.trim().parse().expect("a test's content is a number");
        if let Some(meanwhile) = self.meanwhile.get() {
            meanwhile(number);
        }
        if self.no_odd && number % 2 == 1 {
            let message = format!("an odd {number}");
            return Err(PluginFault(Fault::new(FaultKind::DATA, message)));
        }
        self.alive.fetch_add(1, Ordering::SeqCst);
        let number = Number {
            value: Box::new(AtomicU64::new(number)),
            alive: Arc::clone(&self.alive),
        };
        Ok(Parsed::of_no_library(ParsedObject_TO::from_value(
            number, TD_Opaque,
        )))
    }
}

/// What stands behind a gate.
#[derive(Default)]
struct Plugin(Arc<Tally>);

impl Tenant for Plugin {
    type View = ();

    fn views(&self) -> [&(); 2] {
        [&(); 2]
    }

    fn number(&self) -> u64 {
        1
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.0
    }
}

const CALL: Call = Call::of(0, false);
const LIMIT: Duration = Duration::from_secs(20);

/// A plugin that reads.
struct Guest {
    gate: Gate<Plugin>,
    reader: Arc<Reader>,
    numbers: Arc<Numbers>,
}

impl Guest {
    fn new(publisher: &Publisher, generation: u64, no_odd: bool) -> Guest {
        Guest::named(
            &format!("plugin-{generation}"),
            publisher,
            generation,
            no_odd,
        )
    }

    fn named(plugin: &str, publisher: &Publisher, generation: u64, no_odd: bool) -> Guest {
        let gate = Gate::new();
        let tenant = Arc::new(Plugin::default());
        let before = gate.replace(Some(tenant));
        assert!(before.is_none());
        let numbers = Arc::new(Numbers {
            no_odd,
            ..Numbers::default()
        });
        let reads = (0..publisher.datasets().len()).map(|place| ReadOf {
            place,
            dataset: Arc::from(publisher.datasets()[place].name.as_str()),
        });
        let title = Title {
            plugin: Arc::from(plugin),
            version: Arc::from("1.0.0"),
            generation,
            is_told: true,
        };
        let reader = Reader::new(
            title,
            reads.collect(),
            Arc::clone(&numbers) as Arc<dyn Parse>,
            gate.gate_id(),
            Arc::clone(publisher.shown()),
            LIMIT,
        );
        Guest {
            gate,
            reader,
            numbers,
        }
    }

    fn serving(publisher: &Publisher, generation: u64, no_odd: bool) -> Guest {
        Guest::new(publisher, generation, no_odd).serve(publisher)
    }

    fn serve(self, publisher: &Publisher) -> Guest {
        publisher.enroll(&self.reader).expect("it is prepared");
        self.reader.serve().expect("it is fit");
        self
    }

    /// A look at the dataset with this number.
    fn look(&self, read: u32) -> Look {
        let lens = self.reader.lens(read).expect("it reads it");
        Look((lens.look)(lens.of))
    }

    fn call<R>(&self, work: impl FnOnce() -> R) -> R {
        let passed = self.gate.pass(LIMIT, CALL, |_| work());
        passed.expect("the gate is open")
    }

    /// Has this happen whenever a number is parsed.
    fn meanwhile(&self, happens: impl Fn(u64) + Send + Sync + 'static) {
        let set = self.numbers.meanwhile.set(Box::new(happens));
        assert!(set.is_ok(), "only one thing happens");
    }

    fn alive(&self) -> usize {
        self.numbers.alive.load(Ordering::SeqCst)
    }
}

/// A look as a plugin has it.
struct Look(Glance);

impl Look {
    #[expect(unsafe_code, reason = "looks as a plugin does")]
    fn number(&self) -> u64 {
        assert!(!self.0.value.is_null());
        // SAFETY: It is the address of an `AtomicU64` that is kept while this is counted: that is what is tested.
        let number = unsafe { &*self.0.value.cast::<AtomicU64>() };
        number.load(Ordering::Relaxed)
    }
}

impl Drop for Look {
    #[expect(unsafe_code, reason = "ends a look as a plugin does")]
    fn drop(&mut self) {
        // SAFETY: It is the address of a counter that is kept while this is counted: that is what is tested.
        if let Some(looks) = unsafe { self.0.looks.as_ref() } {
            looks.store(looks.load(Ordering::Relaxed) - 1, Ordering::Release);
        }
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = std::time::Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LIMIT, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_revision_is_parsed_once_and_shared_by_all_threads() {
    let ground = Ground::new(&["a", "b"]);
    let publisher = ground.open();
    put(&publisher, &[(0, "2"), (1, "2")]).expect("they are valid");
    let stage = Guest::serving(&publisher, 1, false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(stage.call(|| stage.look(1).number()), 2);
                }
            });
        }
    });
    assert_eq!(stage.numbers.parsed.load(Ordering::SeqCst), 2);
    put(&publisher, &[(0, "4")]).expect("it is valid");
    assert_eq!(
        stage.numbers.parsed.load(Ordering::SeqCst),
        3,
        "only what is new"
    );
    assert_eq!(stage.call(|| stage.look(0).number()), 4);
    assert_eq!(stage.call(|| stage.look(1).number()), 2);
}

#[test]
fn an_objection_refuses_before_anything_is_published_and_numbers_are_not_used_again() {
    let ground = Ground::new(&["a", "b"]);
    let publisher = ground.open();
    put(&publisher, &[(0, "2"), (1, "2")]).expect("they are valid");
    let stage = Guest::serving(&publisher, 1, true);
    let other = Guest::serving(&publisher, 2, false);
    let Decision::Refused(refusal) = bring(&publisher, "3") else {
        panic!("it is refused");
    };
    assert_eq!(refusal.stage, Stage::Checked);
    assert_eq!(
        refusal.mistake.reason,
        "plugin \"plugin-1\" 1.0.0 cannot use it: an odd 3"
    );
    assert_eq!(bring(&publisher, "4"), Decision::Published(3));
    assert!(put(&publisher, &[(0, "6"), (1, "1")]).is_err_and(|it| it.starts_with("1: ")));
    assert_eq!(
        (held(&publisher, 0), held(&publisher, 1)),
        ("4".into(), "2".into())
    );
    for stage in [&stage, &other] {
        assert_eq!(stage.call(|| stage.look(0).number()), 4);
    }
    drop(bring(&publisher, "8"));
    until("what was prepared in vain is gone", || other.alive() <= 4);
}

#[test]
fn a_candidate_that_cannot_use_what_is_published_is_unfit_and_refuses_nothing() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "2");
    let candidate = Guest::new(&publisher, 2, true);
    publisher.enroll(&candidate.reader).expect("2 is even");
    assert_eq!(bring(&publisher, "3"), Decision::Published(2));
    let reason = candidate.reader.serve().expect_err("it is unfit");
    assert!(
        reason.contains("data \"a\": ") && reason.contains("an odd 3"),
        "{reason}"
    );
    let late = Guest::new(&publisher, 3, true);
    let objection = publisher.enroll(&late.reader);
    assert_eq!(objection.expect_err("3 is odd").place, 0);
}

#[test]
fn what_is_published_with_its_plugins_is_asked_of_those_that_come_and_not_of_those_that_go() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "2");
    let stage = Guest::serving(&publisher, 1, true);
    let origin = super::super::revision::Origin::operator("a test");
    let wanted = |content: &str| {
        let content = content.as_bytes().to_vec();
        vec![Wanted::new(
            0,
            content,
            crate::data::Format::Json,
            origin.clone(),
        )]
    };
    let proposed = publisher.propose(&mut wanted("3")).expect("it is valid");
    assert_eq!(held(&publisher, 0), "2", "it is only proposed");
    let [odd, even] =
        [(2, false), (3, true)].map(|(number, even)| Guest::new(&publisher, number, even));
    assert!(even.reader.try_on(&proposed).is_err());
    odd.reader.try_on(&proposed).expect("any number will do");
    let cast = |joining: &Guest| Cast {
        joining: vec![Arc::clone(&joining.reader)],
        leaving: vec![1],
    };
    let refused = publisher.change(wanted("3"), &cast(&even));
    assert!(refused.expect("the ledger works").is_err());
    assert_eq!(held(&publisher, 0), "2");
    let changed = publisher.change(wanted("3"), &cast(&odd));
    assert!(changed.expect("the ledger works").is_ok());
    assert_eq!(odd.reader.serve(), Ok(()));
    assert_eq!(
        stage.call(|| stage.look(0).number()),
        2,
        "its calls go on with the nearest"
    );
    assert_eq!(stage.call(|| stage.look(0).number()), 2);
    assert_eq!(odd.call(|| odd.look(0).number()), 3);
}

#[test]
fn a_call_keeps_its_snapshot_through_publishes_and_what_nobody_sees_goes() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let stage = Guest::serving(&publisher, 1, false);
    stage.call(|| {
        assert_eq!(stage.look(0).number(), 1);
        for number in 2..10 {
            bring(&publisher, &number.to_string());
            assert_eq!(stage.look(0).number(), 1);
            let other = std::thread::scope(|scope| {
                let other = scope.spawn(|| stage.call(|| stage.look(0).number()));
                other.join().expect("it looks")
            });
            assert_eq!(other, number);
        }
    });
    assert_eq!(stage.call(|| stage.look(0).number()), 9);
    bring(&publisher, "10");
    bring(&publisher, "11");
    until("only what is looked at is there", || stage.alive() <= 3);
    drop(stage.reader.end());
    until("all is gone", || stage.alive() == 0);
}

#[test]
fn a_nested_call_sees_what_the_outermost_sees_whoever_looks_first() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let outer = Guest::serving(&publisher, 1, false);
    let inner = Guest::serving(&publisher, 2, false);
    for (number, looks_first) in [(1, true), (2, false)] {
        outer.call(|| {
            if looks_first {
                assert_eq!(outer.look(0).number(), number);
            }
            open_frame(outer.gate.gate_id());
            assert_eq!(inner.call(|| inner.look(0).number()), number);
            bring(&publisher, &(number + 1).to_string());
            let successor = Guest::serving(&publisher, 3, false);
            open_frame(outer.gate.gate_id());
            assert_eq!(successor.call(|| successor.look(0).number()), number);
            drop(successor.reader.end());
            assert_eq!(inner.call(|| inner.look(0).number()), number);
            assert_eq!(outer.look(0).number(), number);
        });
        assert_eq!(inner.call(|| inner.look(0).number()), number + 1);
    }
}

#[test]
fn looks_from_outside_see_what_is_shown_and_are_kept_as_long_as_they_last() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let stage = Guest::serving(&publisher, 1, false);
    let first = stage.look(0);
    bring(&publisher, "2");
    let second = stage.look(0);
    bring(&publisher, "3");
    assert_eq!(stage.call(|| stage.look(0).number()), 3);
    assert_eq!((first.number(), second.number()), (1, 2));
    drop(first);
    bring(&publisher, "4");
    bring(&publisher, "5");
    assert_eq!(second.number(), 2);
    until("the first is gone", || stage.alive() <= 4);
    drop(second);
    drop(stage.reader.end());
    until("all is gone", || stage.alive() == 0);
}

#[test]
fn what_a_thread_looked_at_before_it_ended_goes() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let stage = Guest::serving(&publisher, 1, false);
    for number in 2..6 {
        std::thread::scope(|scope| {
            scope.spawn(|| stage.call(|| stage.look(0).number()));
            scope.spawn(|| stage.look(0).number());
        });
        bring(&publisher, &number.to_string());
    }
    assert!(stage.reader.entries.lock().is_empty());
}

#[test]
fn a_scope_is_seen_on_every_thread_that_works_for_its_call() {
    use crate::data::Scope;
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let stage = Guest::serving(&publisher, 1, false);
    let scope = Scope::present(publisher.shown());
    bring(&publisher, "2");
    stage.call(|| {
        assert_eq!(stage.look(0).number(), 2);
        let session = scope.begin();
        assert_eq!(stage.look(0).number(), 1);
        bring(&publisher, "3");
        assert_eq!(stage.look(0).number(), 1);
        let inner = Scope::current(publisher.shown());
        drop(session);
        assert_eq!(stage.look(0).number(), 2);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let _session = inner.begin();
                assert_eq!(stage.look(0).number(), 1);
            });
        });
    });
    assert_eq!(stage.call(|| stage.look(0).number()), 3);
    drop((scope, publisher));
    drop(stage.reader.end());
    until("all is gone", || stage.alive() == 0);
}

#[test]
fn looks_are_never_mixed_stale_or_dangling_while_data_changes() {
    let ground = Ground::new(&["a", "b"]);
    let publisher = ground.open();
    put(&publisher, &[(0, "1"), (1, "1")]).expect("they are valid");
    let stage = Guest::serving(&publisher, 1, false);
    let ended = AtomicBool::new(false);
    let barrier = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                barrier.wait();
                let mut last = 0;
                while !ended.load(Ordering::Relaxed) {
                    let seen = stage.call(|| {
                        let (a, b) = (stage.look(0), stage.look(1));
                        assert_eq!(a.number(), b.number());
                        a.number()
                    });
                    assert!(last <= seen, "{seen} after {last}");
                    let kept = stage.look(0);
                    assert!(kept.number() >= seen && kept.number() != u64::MAX);
                    last = seen;
                }
            });
        }
        barrier.wait();
        for number in 2..80_u64 {
            let number = number.to_string();
            put(&publisher, &[(0, &number), (1, &number)]).expect("they are valid");
        }
        ended.store(true, Ordering::Relaxed);
    });
    drop(stage.reader.end());
    until("all is gone", || stage.alive() == 0);
}
