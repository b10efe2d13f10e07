//! Many gates, many threads, and calls that go across gates and come back.

use super::*;

/// Goes through the gates in turn until so deep, and gives the numbers of the tenants on the way.
fn descend(gates: &[Arc<Gate<Numbered>>], depth: usize, numbers: &mut Vec<u64>) {
    if depth == 0 {
        return;
    }
    let gate = &gates[depth % gates.len()];
    gate.pass(LONG, ADD, |tenant| {
        numbers.push(tenant.number());
        descend(gates, depth - 1, numbers);
        assert!(!tenant.1.load(Ordering::SeqCst), "it is gone");
    })
    .expect("let in");
}

#[test]
fn calls_forty_deep_across_two_plugins_go_on_during_swaps() {
    const DEPTH: usize = 40;
    const SWAPS: u64 = 200;
    for kind in 0..gates_on(1).len() {
        let gates: Vec<_> = (0..2).map(|_| gates_on(1).remove(kind)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (called, has_called) = mpsc::channel();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (gates, stop, called) = (gates.clone(), stop.clone(), called.clone());
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let mut numbers = Vec::new();
                        descend(&gates, DEPTH, &mut numbers);
                        assert_eq!(numbers.len(), DEPTH);
                        // After the first nobody listens.
                        let _ = called.send(());
                    }
                })
            })
            .collect();
        for _ in &callers {
            has_called.recv().expect("they call");
        }
        drop(has_called);
        for number in 2..SWAPS + 2 {
            for gate in &gates {
                let leaving = closed(gate).open_on(Some(numbered(number)));
                let before = leaving.and_then(|leaving| leaving.into_tenant().ok());
                assert_eq!(before.map(|tenant| tenant.0), Some(number - 1));
            }
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.join().expect("no panic");
        }
    }
}

#[test]
fn a_gate_for_insiders_lets_in_whoever_is_inside_of_another_and_nobody_else() {
    for gate in gates_on(1) {
        let other = gates_on(1).remove(0);
        assert_eq!(passed(&gate), Ok(1));
        gate.admit_only_insiders();
        let from_inside = other.pass(SOON, ADD, |_| passed(&gate));
        for refused in [passed(&gate), gate.enter(SOON).map(|_| 1)] {
            assert_eq!(refused, Err(Refusal::ForInsiders));
        }
        assert_eq!(from_inside, Ok(Ok(1)));
        // A swap does not open it to others again.
        drop(closed(&gate).open_on(Some(numbered(2))));
        assert_eq!(passed(&gate), Err(Refusal::ForInsiders));
        assert_eq!(other.pass(SOON, ADD, |_| passed(&gate)), Ok(Ok(2)));
    }
}

#[test]
fn there_is_no_limit_to_gates_or_threads() {
    const GATES: u64 = 500;
    const THREADS: usize = 64;
    let gates: Arc<Vec<_>> = Arc::new((1..=GATES).map(|n| gates_on(n).remove(0)).collect());
    let (arrived, all_arrived) = mpsc::channel();
    let (go, wait) = crossbeam_channel::bounded::<()>(0);
    let callers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (gates, arrived, wait) = (gates.clone(), arrived.clone(), wait.clone());
            std::thread::spawn(move || {
                let numbers: u64 = gates.iter().map(|gate| passed(gate).expect("open")).sum();
                arrived.send(numbers).expect("the test waits");
                let _ = wait.recv();
            })
        })
        .collect();
    for _ in 0..THREADS {
        assert_eq!(all_arrived.recv(), Ok((1..=GATES).sum()));
    }
    for gate in gates.iter() {
        assert_eq!(gate.pins.all().len(), THREADS);
        drop(closed(gate).open_on(None));
    }
    drop(go);
    for caller in callers {
        caller.join().expect("no panic");
    }
    assert!(gates.iter().all(|gate| gate.pins.all().is_empty()));
}
