//! What is promised of closing: who is waited for, who waits, and for how long.

use super::*;

#[test]
fn closing_waits_for_those_inside_and_names_them_when_the_deadline_passes() {
    for gate in gates_on(1) {
        let (leave, thread) = visitor(&gate);
        let Err(inside) = gate.close(Instant::now() + SOON, SOON) else {
            panic!("somebody is inside");
        };
        assert_eq!(inside.len(), 1);
        assert_eq!(
            (&*inside[0].thread, inside[0].method, inside[0].tenant),
            ("visitor", Some(3), 1)
        );
        assert!(inside[0].since.is_some());
        assert_eq!(gate.enter(SOON).expect("open again").tenant().number(), 1);
        drop(leave);
        thread.join().expect("the visitor leaves");
        assert!(gate.close(Instant::now() + LONG, SOON).is_ok());
    }
}

#[test]
fn callers_are_served_while_a_swap_waits_for_a_long_call() {
    for gate in gates_on(1) {
        let (leave, thread) = visitor(&gate);
        let swap = {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || gate.close(Instant::now() + LONG, SOON).is_ok())
        };
        // With one long call inside, the others go by the door meanwhile, each in its time.
        for _ in 0..10_000 {
            drop(gate.enter(LONG).expect("served"));
        }
        drop(leave);
        thread.join().expect("the visitor leaves");
        assert!(swap.join().expect("no panic"));
    }
}

#[test]
fn dropping_a_closed_gate_opens_it_on_the_tenant_of_before() {
    for gate in gates_on(1) {
        drop(gate.close(Instant::now() + LONG, SOON).ok());
        assert_eq!(gate.enter(SOON).expect("open").tenant().number(), 1);
    }
}

#[test]
fn callers_of_a_closed_gate_enter_what_stands_behind_it_afterwards() {
    for gate in gates_on(1) {
        let closed = closed(&gate);
        let waiting = {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || gate.enter(LONG).map(|lease| lease.tenant().number()))
        };
        assert_eq!(gate.enter(SOON).err(), Some(Refusal::OutOfTime));
        let before = closed.open_on(Some(numbered(2))).expect("there was one");
        assert_eq!(before.into_tenant().ok().map(|tenant| tenant.0), Some(1));
        assert_eq!(waiting.join().expect("no panic"), Ok(2));
    }
}

#[test]
fn a_caller_who_gave_up_at_a_closed_gate_holds_nobody_up() {
    for gate in gates_on(1) {
        let (at_the_door, go) = (Arc::clone(&gate), mpsc::channel::<()>());
        let (tried, has_tried) = mpsc::channel();
        let closed = closed(&gate);
        let caller = std::thread::spawn(move || {
            let refused = at_the_door.enter(Duration::ZERO).err();
            tried.send(refused).expect("the test waits");
            // Alive, with its pin, and never calling again.
            let _ = go.1.recv();
        });
        assert_eq!(has_tried.recv(), Ok(Some(Refusal::OutOfTime)));
        drop(closed);
        assert!(gate.close(Instant::now() + LONG, SOON).is_ok());
        drop(go.0);
        caller.join().expect("no panic");
    }
}

#[test]
fn a_call_without_a_lease_waits_at_a_closed_gate_and_is_refused_in_time() {
    for gate in gates_on(1) {
        assert_eq!(passed(&gate), Ok(1));
        let closed = closed(&gate);
        assert_eq!(passed(&gate), Err(Refusal::OutOfTime));
        drop(closed.open_on(None));
        assert_eq!(passed(&gate), Err(Refusal::Vacant));
        gate.replace(Some(numbered(2)));
        assert_eq!(passed(&gate), Ok(2));
    }
}

#[test]
fn a_closed_gate_tells_since_when_it_holds_new_callers_outside() {
    for gate in gates_on(1) {
        let before = Instant::now();
        let gate = closed(&gate);
        assert!((before..=Instant::now()).contains(&gate.since()));
    }
}

#[test]
fn who_has_gone_by_the_door_untimed_and_blocks_is_named_with_an_age() {
    for gate in gates_on(1) {
        let (goes, is_going) = mpsc::channel();
        let (leaves, is_left) = mpsc::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        std::thread::scope(|scope| {
            let going = &gate;
            scope.spawn(move || {
                // Its calls are not timed any more.
                while shown_to_this_thread(going) != Some("plain") {
                    passed(going).expect("open");
                }
                ready.send(()).expect("it is waited for");
                is_going.recv().expect("it goes");
                let blocks = |_: &Numbered| {
                    ready.send(()).expect("it is waited for");
                    let _end = is_left.recv();
                };
                going.pass(LONG, ADD, blocks).expect("open");
            });
            is_ready.recv().expect("it comes");
            let (leave, visitor) = visitor(&gate);
            let closing = scope.spawn(|| {
                let closed = gate.close(Instant::now() + Duration::from_millis(400), SOON);
                closed.map(drop).expect_err("somebody is inside")
            });
            showing::until("no pin shows anything", || showing::shows_nothing(&gate));
            goes.send(()).expect("it waits for that");
            is_ready.recv().expect("it is inside");
            drop(leave);
            visitor.join().expect("no panic");
            let inside = closing.join().expect("no panic");
            assert_eq!((inside.len(), inside[0].method), (1, Some(3)));
            assert!(inside[0].since.is_some(), "{inside:?}");
            drop(leaves);
        });
    }
}
