//! What is promised of looks where there are many: of one thread, of plugins in turns, and within one another.

use super::*;

#[test]
#[expect(unsafe_code, reason = "does as if looks were forgotten for a minute")]
fn looks_that_are_forgotten_by_the_billion_free_nothing_that_is_looked_at() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let stage = Guest::serving(&publisher, 1, false);
    let kept = stage.call(|| {
        let first = stage.look(0);
        // SAFETY: It is the address of a counter that is kept while this look is counted.
        let looks = unsafe { &*first.0.looks };
        looks.store(u32::MAX / 2 - 1, Ordering::Relaxed);
        let looks = [(); 4].map(|()| stage.look(0));
        assert!(looks.iter().all(|look| look.number() == 1));
        assert_ne!(
            looks[3].0.looks, first.0.looks,
            "it has as many as it takes"
        );
        std::mem::forget(first);
        looks
    });
    bring(&publisher, "2");
    bring(&publisher, "3");
    assert!(kept.iter().all(|look| look.number() == 1));
    assert_eq!(stage.call(|| stage.look(0).number()), 3);
    drop(kept);
    drop(stage.reader.end());
    until("all is gone", || stage.alive() == 0);
}

#[test]
fn plugins_that_look_in_turns_see_one_snapshot_also_where_they_share_a_place() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    // More than a frame has places.
    let stages: Vec<Guest> = (1..=20)
        .map(|number| Guest::serving(&publisher, number, false))
        .collect();
    let see_all = |number: u64| {
        for stage in &stages[1..] {
            open_frame(stages[0].gate.gate_id());
            stage.call(|| assert_eq!(stage.look(0).number(), number));
            assert_eq!(stages[0].look(0).number(), number);
        }
    };
    stages[0].call(|| {
        for next in 2..5 {
            see_all(1);
            let _session = crate::data::Scope::present(publisher.shown()).begin();
            stages[5].call(|| assert_eq!(stages[5].look(0).number(), next - 1));
            bring(&publisher, &next.to_string());
            for stage in &stages {
                stage.call(|| assert_eq!(stage.look(0).number(), next - 1));
            }
        }
        see_all(1);
    });
    stages[0].call(|| see_all(4));
    for stage in &stages {
        drop(stage.reader.end());
        until("all is gone", || stage.alive() == 0);
    }
}

#[test]
fn what_a_parser_looks_at_is_of_the_snapshot_that_it_parses_for() {
    let ground = Ground::new(&["a", "b"]);
    let publisher = Arc::new(ground.open());
    put(&publisher, &[(0, "1"), (1, "10")]).expect("they are valid");
    let stage = Guest::serving(&publisher, 1, false);
    let other = Guest::serving(&publisher, 2, false);
    let lens = other.reader.lens(0).expect("it reads it");
    let seen = Arc::new(AtomicU64::new(0));
    let publishes = Arc::downgrade(&publisher);
    let sees = Arc::clone(&seen);
    // Nobody asks it, so it parses when it is looked at.
    stage.reader.leave();
    stage.meanwhile(move |number| {
        if number == 20
            && let Some(publisher) = publishes.upgrade()
        {
            bring(&publisher, "2");
            let lens = lens;
            let look = Look((lens.look)(lens.of));
            sees.store(look.number(), Ordering::Relaxed);
        }
    });
    put(&publisher, &[(1, "20")]).expect("it is valid");
    stage.call(|| {
        assert_eq!(stage.look(1).number(), 20);
        assert_eq!(stage.look(0).number(), 1);
    });
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[test]
fn a_call_that_hands_on_what_it_sees_before_it_looks_sees_that_and_holds_it_no_longer() {
    use crate::data::Scope;
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let stage = Guest::serving(&publisher, 1, false);
    let held = |looks: bool| {
        let snapshot = Arc::downgrade(&publisher.snapshot());
        stage.call(|| {
            let number = publisher.snapshot().number;
            open_frame(stage.gate.gate_id());
            drop(Scope::current(publisher.shown()));
            bring(&publisher, &format!("{}", number + 1));
            drop(Scope::current(publisher.shown()));
            assert!(snapshot.strong_count() > 0, "the call goes on");
            if looks {
                assert_eq!(stage.look(0).number(), number);
            }
        });
        snapshot
    };
    for looks in [true, false, true, false, false] {
        let snapshot = held(looks);
        let next = publisher.snapshot().number + 1;
        bring(&publisher, &next.to_string());
        until("nobody holds it", || snapshot.strong_count() == 0);
    }
}

#[test]
fn the_frame_of_a_call_is_left_when_it_is_over_and_a_thread_comes_by_and_not_before() {
    use crate::data::{frame::keeps_a_brief, leave_what_is_over};
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "1");
    let stage = Guest::serving(&publisher, 1, false);
    stage.call(|| {
        assert_eq!(stage.look(0).number(), 1);
        bring(&publisher, "2");
        leave_what_is_over();
        assert_eq!(stage.look(0).number(), 1, "the call goes on");
    });
    assert!(keeps_a_brief(), "nobody has come by");
    leave_what_is_over();
    assert!(!keeps_a_brief());
    stage.call(|| assert_eq!(stage.look(0).number(), 2));
}
