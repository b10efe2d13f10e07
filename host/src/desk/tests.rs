//! What a desk promises.

use super::*;
use crate::core::Core;
use plugin_api::contract::{JobControlBox, JobObject, JobObject_TO};
use std::sync::mpsc;

fn desk(host: Weak<dyn Switchboard>) -> Arc<Desk> {
    let gate_id = crate::slot::Slot::new("test").gate.gate_id();
    Desk::new(host, Arc::from("test"), 1, gate_id, None)
}

struct Rings(mpsc::Sender<()>);

impl JobObject for Rings {
    fn run(&mut self, _control: JobControlBox) -> Answer<()> {
        let _heard = self.0.send(());
        RResult::ROk(())
    }
}

#[test]
fn a_job_may_have_any_name() {
    let desk = desk(Weak::<Core>::new());
    desk.open();
    let (sender, rung) = mpsc::channel();
    let job = JobObject_TO::from_value(Rings(sender), TD_Opaque);
    let answer = desk.services().spawn(RStr::from_str("a\0b"), job);
    assert!(answer.is_ok());
    rung.recv().expect("the job runs");
}

#[test]
fn a_candidate_may_order_as_many_jobs_as_may_run() {
    let desk = desk(Weak::<Core>::new());
    let (sender, rung) = mpsc::channel();
    let spawn = || {
        let job = JobObject_TO::from_value(Rings(sender.clone()), TD_Opaque);
        desk.services().spawn(RStr::from_str("ring"), job)
    };
    for _ in 0..MOST_JOBS {
        assert!(spawn().is_ok());
    }
    assert!(spawn().is_err());
    desk.open();
    for _ in 0..MOST_JOBS {
        rung.recv().expect("each job runs");
    }
    desk.close();
    assert!(spawn().is_err());
}

/// A host that keeps the turns of `slow`, and ends all others at once.
struct Keeps {
    clock: Clock,
    turns: Mutex<Vec<Turn>>,
    called: mpsc::Sender<Arc<str>>,
}

impl Switchboard for Keeps {
    fn call(&self, _: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, CallError> {
        Ok(Vec::new())
    }

    fn passage(&self, plugin: &str, _: &str, _: Arc<str>) -> Result<Passage, HandleError> {
        let plugin = plugin.to_owned();
        Err(HandleError::UnknownPlugin { plugin })
    }

    fn call_later(
        self: Arc<Self>,
        _plugin: Arc<str>,
        method: Arc<str>,
        _arguments: Arc<[u8]>,
        turn: Turn,
    ) {
        if &*method == "slow" {
            self.turns.lock().push(turn);
        }
        let _the_test_has_seen_enough = self.called.send(method);
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn call_async(
        self: Arc<Self>,
        _plugin: String,
        _method: String,
        _arguments: Vec<u8>,
        _within: Within,
        _: Scope,
    ) -> Calling {
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_timer_that_is_slower_than_its_period_has_one_call_at_a_time() {
    let (clock, thread) = Clock::start().expect("threads can be started");
    let (called, calls) = mpsc::channel();
    let host = Arc::new(Keeps {
        clock,
        turns: Mutex::new(Vec::new()),
        called,
    });
    let switchboard: Arc<dyn Switchboard> = Arc::clone(&host) as Arc<dyn Switchboard>;
    let desk = desk(Arc::downgrade(&switchboard));
    desk.open();
    for method in ["slow", "quick"] {
        let answer = desk.services().timer(
            0,
            1_000_000,
            RStr::from_str(method),
            FORMAT_JSON,
            RSlice::EMPTY,
        );
        assert!(answer.is_ok());
    }
    let until_called = |wanted: &str| {
        let found = calls.iter().any(|method| &*method == wanted);
        assert!(found, "{wanted}");
    };
    until_called("slow");
    for _ in 0..5 {
        until_called("quick");
    }
    assert_eq!(host.turns.lock().len(), 1);
    host.turns.lock().clear();
    until_called("slow");
    assert_eq!(host.turns.lock().len(), 1, "the next turn has come");
    desk.close();
    host.clock.end();
    thread.join().expect("the clock ends");
}
