//! What a context asks of its host.

use super::*;
use crate::testing::Host;
use std::collections::BTreeMap;

#[test]
fn arguments_are_written_as_a_request_would_have_them() {
    let host = Host::default();
    let ctx = Context::of(host.services(), &[]);
    assert_eq!(ctx.call::<u64>("counter", "add", (5,)), Ok(42));
    assert_eq!(ctx.call::<u64>("counter", "add", 5), Ok(42));
    assert_eq!(ctx.call::<u64>("counter", "total", ()), Ok(42));
    assert_eq!(
        ctx.call::<u64>("counter", "add", BTreeMap::from([("by", 5)])),
        Ok(42)
    );
    assert_eq!(ctx.call::<u64>("lines", "all", (["a", "b"],)), Ok(42));
    assert_eq!(
        host.seen(),
        [
            "call counter.add([5])",
            "call counter.add(5)",
            "call counter.total()",
            r#"call counter.add({"by":5})"#,
            r#"call lines.all([["a","b"]])"#,
        ]
    );
}

#[test]
fn a_call_that_fails_says_whose_fault_it_was() {
    let ctx = Context::of(Host::default().services(), &[]);
    let error = ctx.call::<u64>("nobody", "home", ()).unwrap_err();
    assert_eq!(error.kind, FaultKind::UNKNOWN_PLUGIN);
    assert_eq!(error.to_string(), "there is no plugin nobody");
    let error = ctx.call::<String>("counter", "total", ()).unwrap_err();
    assert_eq!(error.kind, FaultKind::BAD_RESULT);
    let error = ctx
        .call::<u64>("counter", "add", BTreeMap::from([([1], 1)]))
        .unwrap_err();
    assert_eq!(error.kind, FaultKind::BAD_ARGUMENTS);
}

#[test]
fn timers_clock_and_randomness_are_the_hosts() {
    let host = Host::default();
    let ctx = Context::of(host.services(), &[]);
    let timer = ctx.every(Duration::from_secs(1), "tick", ()).unwrap();
    ctx.after(Duration::from_millis(1), "tick", (1,)).unwrap();
    ctx.every(Duration::ZERO, "tick", ()).unwrap();
    timer.stop();
    assert_eq!(
        host.seen(),
        [
            "timer 1000000000 1000000000 tick()",
            "timer 1000000 0 tick([1])",
            "timer 1 1 tick()",
            "stop 7"
        ]
    );
    assert_eq!(ctx.now(), UNIX_EPOCH + Duration::from_millis(1500));
    assert_eq!(ctx.random(), 4);
}

#[test]
fn a_job_runs_with_its_control_and_a_panic_in_it_is_caught() {
    let host = Host::default();
    let ctx = Context::of(host.services(), &[]);
    ctx.spawn("poll", |job| {
        assert!(job.cancelled() && job.sleep(Duration::MAX))
    })
    .unwrap();
    ctx.spawn("break", |_| panic!("broken")).unwrap();
    let seen = host.seen();
    assert_eq!(seen[0], "spawn poll: Ok(())");
    assert!(
        seen[1].contains("panicked") && seen[1].contains("broken"),
        "{}",
        seen[1]
    );
}

#[test]
fn a_closed_context_lets_go_of_the_host() {
    let host = Host::default();
    let ctx = Context::of(host.services(), &[]);
    let copy = ctx.clone();
    ctx.close();
    assert_eq!(host.holders(), 0);
    assert_eq!(
        copy.call::<u64>("counter", "total", ()).unwrap_err().kind,
        FaultKind::UNAVAILABLE
    );
    assert!(copy.spawn("poll", |_| ()).is_err());
    assert!(copy.now() > UNIX_EPOCH);
}
