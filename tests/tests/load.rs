//! Load: a sound artifact serves as a new generation, and what is refused changes nothing.

use host::{
    CallError, Step,
    event::Happening,
    report::{Standing, Trigger},
};
use tests::{Artifact, LIMIT, Scene, number};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

#[test]
fn a_loaded_plugin_answers_calls() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let artifact = Artifact::of("steady");
    let report = scene.load(&host, &artifact);
    assert_eq!(
        (report.plugin.as_str(), report.version.as_str()),
        ("steady", "1.0.0")
    );
    assert_eq!((report.replaced, report.unchanged), (None, false));
    assert_eq!(report.digest, artifact.digest());
    let reply = host
        .call("steady", "increment", b"[1,1]")
        .expect("an answer");
    assert_eq!(reply.result, b"1");
    assert_eq!(
        (&*reply.version, reply.generation),
        ("1.0.0", report.generation)
    );
}

#[test]
fn the_status_tells_all_about_it() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let artifact = Artifact::of("steady");
    let report = scene.load(&host, &artifact);
    let status = host.status();
    assert_eq!(status.pid, std::process::id());
    assert_eq!(status.interposition, Ok(()), "tests need the interposition");
    assert_eq!(status.plugins.len(), 1);
    let plugin = host.plugin("steady").expect("it is known");
    assert_eq!(plugin, status.plugins[0]);
    assert_eq!(plugin.standing, Standing::Serving);
    let serving = plugin.serving.expect("it serves");
    assert_eq!(
        (serving.generation, serving.digest),
        (report.generation, artifact.digest())
    );
    assert_eq!(host.plugin("nobody"), None);
}

#[test]
fn unchanged_bytes_are_no_swap() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let first = scene.load(&host, &Artifact::of("steady"));
    let second = scene.load(&host, &Artifact::of("steady"));
    assert!(second.unchanged);
    assert_eq!(second.generation, first.generation);
}

#[test]
fn a_call_in_error_is_told_what_to_write() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    let fails = |plugin: &str, method: &str, arguments: &str| {
        host.call(plugin, method, arguments.as_bytes())
            .expect_err("an error")
    };
    assert!(matches!(
        fails("nobody", "total", ""),
        CallError::UnknownPlugin { .. }
    ));
    let unknown = fails("steady", "totl", "");
    assert!(unknown.to_string().contains("total"), "{unknown}");
    assert!(matches!(unknown, CallError::UnknownMethod { .. }));
    assert!(matches!(
        fails("steady", "increment", "[1]"),
        CallError::BadArguments(_)
    ));
    assert!(matches!(
        fails("steady", "increment", "{\"caller\":"),
        CallError::BadArguments(_)
    ));
    let refused = fails("steady", "increment", "[1,7]");
    assert_eq!(
        refused,
        CallError::Refused("caller 1 sent number 7 after 0".to_owned())
    );
    assert_eq!(number(&host, "steady", "total", ""), 0);
}

#[test]
fn arguments_may_be_named() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    assert_eq!(
        number(&host, "steady", "increment", r#"{"number":1,"caller":4}"#),
        1
    );
    assert_eq!(number(&host, "steady", "last", "4"), 1);
}

#[test]
fn a_queued_call_is_answered() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    let (give, take) = crossbeam_channel::bounded(1);
    let answer = move |result| give.send(result).expect("the test waits");
    let increment = host.method("steady", "increment").expect("it is there");
    increment
        .call_queued(b"[1,1]", answer)
        .expect("there is room");
    let reply = take
        .recv_timeout(LIMIT)
        .expect("an answer")
        .expect("a result");
    assert_eq!(reply.result, b"1");
}

#[test]
fn a_file_that_is_not_there_cannot_be_loaded() {
    let scene = Scene::new(EXAMINER);
    let error = scene
        .start()
        .load(&scene.elsewhere().join("libnothing.so"))
        .expect_err("no file");
    assert_eq!(error.step, Step::Watch, "{error}");
    assert!(error.to_string().contains("libnothing.so"), "{error}");
}

#[test]
fn every_step_is_an_event_and_the_swap_another() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let events = host.follow();
    let report = scene.load(&host, &Artifact::of("steady"));
    for step in [Step::Watch, Step::Vet, Step::Load] {
        tests::event(
            &events,
            step.word(),
            |what| matches!(what, Happening::StepDone { step: done, .. } if *done == step),
        );
    }
    tests::event(
        &events,
        "the swap",
        |what| matches!(what, Happening::Swapped { generation, trigger: Trigger::Load, .. } if *generation == report.generation),
    );
    let told = host.events();
    assert!(
        told.windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence)
    );
}

#[test]
fn two_hosts_live_in_one_process() {
    let (one, other) = (Scene::new(EXAMINER), Scene::new(EXAMINER));
    let (first, second) = (one.start(), other.start());
    one.load(&first, &Artifact::of("steady"));
    other.load(&second, &Artifact::of("steady"));
    assert_eq!(number(&first, "steady", "increment", "[1,1]"), 1);
    assert_eq!(number(&second, "steady", "total", ""), 0);
}

#[test]
fn a_plugin_calls_another_one() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    scene.load(&host, &Artifact::of("nested"));
    assert_eq!(
        number(&host, "nested", "relay", r#"["steady","increment",[3,1]]"#),
        1
    );
    assert_eq!(number(&host, "steady", "last", "3"), 1);
    let relayed = r#"["nested","relay",["steady","total",[]]]"#;
    assert_eq!(number(&host, "nested", "relay", relayed), 1);
    let error = host
        .call("nested", "relay", br#"["nobody","total",[]]"#)
        .expect_err("nobody is there");
    assert!(error.to_string().contains("nobody"), "{error}");
}

#[test]
fn a_host_that_is_shut_down_answers_no_more() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    let report = host.shutdown(LIMIT);
    assert_eq!(report.saved, ["steady"]);
    let error = host.call("steady", "total", b"").expect_err("it has ended");
    assert!(matches!(error, CallError::NotServing(_)), "{error:?}");
    scene.wait_until_unmapped();
}

#[test]
fn calls_in_a_circle_are_refused_before_they_overflow_a_stack() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("nested"));
    scene.load(&host, &Artifact::of("steady"));
    let relayed = |times: usize| {
        let innermost = r#"["steady","total",[]]"#.to_owned();
        (1..times).fold(innermost, |inner, _| {
            format!(r#"["nested","relay",{inner}]"#)
        })
    };
    assert_eq!(number(&host, "nested", "relay", &relayed(64)), 0);
    let error = host
        .call("nested", "relay", relayed(65).as_bytes())
        .expect_err("one more");
    assert!(error.to_string().contains("64 calls into"), "{error}");
    assert_eq!(number(&host, "nested", "relay", &relayed(64)), 0);
}
