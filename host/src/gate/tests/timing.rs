//! Timing: which calls are timed, and what their times stand for.

use super::*;

/// Calls until the thread's calls are not timed any more.
fn passed_until_untimed(gate: &Gate<Numbered>) {
    while shown_to_this_thread(gate) != Some("plain") {
        passed(gate).expect("open");
    }
}

fn numbers(gate: &Gate<Numbered>) -> super::super::tally::Numbers {
    gate.tenant().expect("open").tally().numbers()
}

fn pass_for(gate: &Gate<Numbered>, time: Duration) {
    gate.pass(SOON, ADD, |_| {
        let until = Instant::now() + time;
        while Instant::now() < until {}
    })
    .expect("open");
}

#[test]
fn every_call_has_a_time_its_own_or_that_of_one_before_it() {
    for gate in gates_on(1) {
        for calls in 1..1_000 {
            passed(&gate).expect("open");
            assert_eq!(numbers(&gate).latency.count(), calls);
            if calls % 100 == 0 {
                gate.tick();
            }
        }
        let tally = Arc::clone(gate.tenant().expect("open").tally());
        drop(gate.replace(Some(numbered(2))));
        passed(&gate).expect("open");
        assert_eq!(tally.numbers().latency.count(), 999, "settled");
    }
}

#[test]
fn short_calls_are_timed_at_a_tick_and_not_in_between() {
    for gate in gates_on(1) {
        let mut seen = Vec::new();
        for _ in 0..20 {
            passed_until_untimed(&gate);
            assert_eq!(gate.tick(), 1, "one thread has called");
            assert_eq!(shown_to_this_thread(&gate), Some("timed"));
            assert_eq!(gate.tick(), 0, "nobody has called since");
            passed_until_untimed(&gate);
            for _ in 0..100 {
                seen.push(shown_to_this_thread(&gate));
                passed(&gate).expect("open");
            }
        }
        assert!(seen.iter().all(|view| *view == Some("plain")));
    }
}

#[test]
fn long_calls_are_all_timed() {
    for gate in gates_on(1) {
        passed_until_untimed(&gate);
        // Whatever the times were that led there, this one is longer, and is not taken.
        let long = numbers(&gate).latency.longest() + Duration::from_micros(100);
        pass_for(&gate, long);
        assert!(numbers(&gate).latency.longest() < long);
        gate.tick();
        for _ in 0..100 {
            pass_for(&gate, Duration::from_micros(20));
            assert_eq!(shown_to_this_thread(&gate), Some("timed"));
        }
        let latency = numbers(&gate).latency;
        assert!(latency.longest() >= Duration::from_micros(20));
        let long = latency.quantile(1.0 - 100.0 / latency.count() as f64 + 1e-9);
        assert!(long >= Some(Duration::from_micros(20)), "{long:?}");
    }
}

#[test]
fn a_call_that_is_found_through_the_timed_view_takes_the_time_itself() {
    for gate in gates_on(1) {
        let quickly = |expected: &str, takes: Duration| {
            Approach::to(Arc::clone(&gate)).pass_quickly(
                ADD,
                |here| Some(*here.view()),
                |_, view, ()| {
                    assert_eq!(view, expected);
                    if view == "timed" {
                        gate.id.call_begins();
                        assert!(gate.inside()[0].since.is_some(), "it is told since when");
                    }
                    let until = Instant::now() + takes;
                    while Instant::now() < until {}
                    gate.id.call_ends();
                },
                (),
            )
        };
        passed_until_untimed(&gate);
        let before = numbers(&gate);
        if gate.id.shown().is_none() {
            assert_eq!(quickly("", Duration::ZERO), Err(()), "it has no place");
            continue;
        }
        let long = Duration::from_millis(1);
        quickly("plain", long).expect("it passes");
        let longest = numbers(&gate).latency.longest();
        assert_eq!(longest, before.latency.longest(), "nobody was asked");
        gate.tick();
        let longer = longest + long;
        quickly("timed", longer).expect("it passes");
        let after = numbers(&gate);
        assert!(after.latency.longest() >= longer);
        assert_eq!(
            (after.calls, after.latency.count()),
            (before.calls + 2, before.calls + 2)
        );
        assert!(gate.inside().is_empty() && after.in_flight == 0);
    }
}

#[test]
fn who_is_sent_aside_takes_a_lease_once_and_nothing_is_counted_twice() {
    for gate in gates_on(1) {
        let mut calls = 0;
        for _ in 0..50 {
            for _ in 0..10 {
                assert_eq!(passed(&gate), Ok(1));
                calls += 1;
            }
            assert_eq!(gate.send_aside(), 1);
            let aside =
                Approach::to(Arc::clone(&gate)).pass_quickly(ADD, |_| Some(()), |_, (), ()| (), ());
            assert_eq!(aside, Err(()));
            assert_eq!(numbers(&gate).calls, calls);
        }
        assert_eq!(passed(&gate), Ok(1));
        let aside =
            Approach::to(Arc::clone(&gate)).pass_quickly(ADD, |_| Some(()), |_, (), ()| (), ());
        assert_eq!(aside.is_ok(), gate.id.has_place());
    }
}

/// Threads that call while others tick, read the numbers, and have the tenant replaced.
#[test]
fn ticks_and_readers_beside_callers_lose_no_call_and_count_no_time_twice() {
    const CALLS: u64 = 20_000;
    for gate in gates_on(1) {
        let first = Arc::clone(gate.tenant().expect("open").tally());
        let second = numbered(2);
        let tallies = [first, Arc::clone(second.tally())];
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| {
                let mut before = [0; 2];
                while !stop.load(Ordering::Relaxed) {
                    gate.tick();
                    gate.send_aside();
                    for (before, tally) in before.iter_mut().zip(&tallies) {
                        let numbers = tally.numbers();
                        let timed = numbers.latency.count();
                        assert!(timed >= *before, "a histogram never falls");
                        *before = timed;
                    }
                }
            });
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..CALLS {
                            gate.pass(LONG, ADD, |_| ()).expect("open");
                        }
                    })
                })
                .collect();
            drop(gate.replace(Some(second)));
            for caller in callers {
                caller.join().expect("no panic");
            }
            stop.store(true, Ordering::Relaxed);
            beside.join().expect("no panic");
        });
        let numbers = tallies.map(|tally| tally.numbers());
        assert_eq!(numbers.iter().map(|n| n.calls).sum::<u64>(), 2 * CALLS);
        for numbers in numbers {
            assert_eq!(numbers.latency.count(), numbers.calls);
        }
    }
}

#[test]
fn calls_by_the_door_are_timed_as_those_that_pass() {
    for gate in gates_on(1) {
        passed_until_untimed(&gate);
        let _by_the_door = ByTheDoor::begin(&gate);
        let untimed = numbers(&gate);
        let long = untimed.latency.longest() + Duration::from_millis(1);
        pass_for(&gate, long);
        let after = numbers(&gate);
        assert_eq!(after.latency.longest(), untimed.latency.longest());
        gate.tick();
        pass_for(&gate, long);
        assert!(numbers(&gate).latency.longest() >= long);
        let calls = untimed.calls + 2;
        let counted = numbers(&gate);
        assert_eq!((counted.calls, counted.latency.count()), (calls, calls));
    }
}

#[test]
fn who_has_to_wait_outside_is_timed() {
    const WAIT: Duration = Duration::from_millis(20);
    for gate in gates_on(1) {
        // The other thread may come late, and wait for less.
        let waited = (0..100).any(|_| {
            let (closes, is_closed) = mpsc::channel();
            let (comes, has_come) = mpsc::channel();
            std::thread::scope(|scope| {
                let gate = &gate;
                scope.spawn(move || {
                    passed_until_untimed(gate);
                    comes.send(()).expect("it is waited for");
                    is_closed.recv().expect("it closes");
                    comes.send(()).expect("it is waited for");
                    gate.pass(LONG, ADD, Numbered::number).expect("it opens");
                });
                has_come.recv().expect("it comes");
                let closed = closed(gate);
                closes.send(()).expect("it waits for that");
                has_come.recv().expect("it comes");
                let until = Instant::now() + WAIT;
                while Instant::now() < until {
                    std::thread::yield_now();
                }
                drop(closed);
            });
            numbers(&gate).latency.longest() >= WAIT / 2
        });
        assert!(waited);
    }
}
