//! What is promised of readers that are asked: side by side, on demand, and at their end.

use super::*;
use std::sync::mpsc;

#[test]
fn what_is_parsed_on_demand_is_whole_though_what_it_shares_goes_meanwhile() {
    for (first, then) in [(0, 1), (1, 0)] {
        let ground = Ground::new(&["a", "b"]);
        let publisher = Arc::new(ground.open());
        put(&publisher, &[(0, "10"), (1, "20")]).expect("they are valid");
        let outer = Guest::serving(&publisher, 1, false);
        outer.call(|| {
            assert_eq!(outer.look(0).number(), 10);
            open_frame(outer.gate.gate_id());
            put(&publisher, &[(first, "30")]).expect("it is valid");
            let successor = Guest::serving(&publisher, 2, false);
            let publishes = Arc::downgrade(&publisher);
            successor.meanwhile(move |number| {
                if number < 30
                    && let Some(publisher) = publishes.upgrade()
                {
                    put(&publisher, &[(then, "40")]).expect("it is valid");
                }
            });
            successor.call(|| {
                assert_eq!(successor.look(0).number(), 10);
                assert_eq!(successor.look(1).number(), 20);
            });
        });
    }
}

#[test]
fn what_others_have_prepared_of_what_one_refuses_goes_at_once() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "2");
    let _refuses = Guest::serving(&publisher, 1, true);
    let other = Guest::serving(&publisher, 2, false);
    assert!(matches!(bring(&publisher, "3"), Decision::Refused(_)));
    assert_eq!(other.numbers.parsed.load(Ordering::SeqCst), 2);
    until("it is gone", || other.alive() == 1);
}

#[test]
fn readers_are_asked_side_by_side() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "2");
    let guests = [1, 2, 3].map(|number| Guest::serving(&publisher, number, false));
    let all = Arc::new(Barrier::new(guests.len()));
    for guest in &guests {
        let all = Arc::clone(&all);
        guest.meanwhile(move |_| {
            all.wait();
        });
    }
    assert_eq!(bring(&publisher, "4"), Decision::Published(2));
    for guest in &guests {
        assert_eq!(guest.call(|| guest.look(0).number()), 4);
    }
}

#[test]
fn the_first_to_come_is_the_one_whose_refusal_is_reported_however_late_it_says_so() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "2");
    let candidate = Guest::new(&publisher, 1, true);
    publisher.enroll(&candidate.reader).expect("2 is even");
    let first = Guest::serving(&publisher, 2, true);
    let second = Guest::serving(&publisher, 3, true);
    let (says, said) = mpsc::channel();
    let said = Mutex::new(said);
    // The second one's answer is on its way before the first one begins.
    second.meanwhile(move |_| says.send(()).expect("the first waits"));
    first.meanwhile(move |_| said.lock().recv_timeout(LIMIT).expect("the second answers"));
    for number in ["3", "5"] {
        let Decision::Refused(refusal) = bring(&publisher, number) else {
            panic!("it is refused");
        };
        let reason = refusal.mistake.reason;
        assert!(reason.starts_with("plugin \"plugin-2\" "), "{reason}");
    }
    let serves = candidate.reader.serve();
    assert_eq!(serves, Ok(()), "what was refused is nothing to be fit for");
}

#[test]
fn a_reader_that_ends_while_it_is_asked_keeps_nothing() {
    let ground = Ground::new(&["a"]);
    let publisher = ground.open();
    bring(&publisher, "2");
    let guest = Guest::serving(&publisher, 1, false);
    let origin = crate::data::Origin::operator("a test");
    let wanted = Wanted::new(0, b"4".to_vec(), crate::data::Format::Json, origin);
    let proposed = publisher.propose(&mut [wanted]).expect("it is valid");
    let asked = guest.reader.ask(&proposed);
    drop(guest.reader.end());
    let objection = asked.answer().expect_err("it has ended");
    assert!(
        objection.mistake.reason.contains("on its way out"),
        "{objection:?}"
    );
    assert!(guest.reader.try_on(&proposed).is_err(), "it has ended");
    guest.reader.settle(&proposed);
    assert!(guest.reader.older.lock().is_empty());
    until("all is gone", || guest.alive() == 0);
}
