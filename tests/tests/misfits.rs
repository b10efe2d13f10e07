//! Misfits: what becomes of artifacts with one fault each, while a good one serves.

use host::{
    CallError, Host, Step,
    config::DatasetConfig,
    data::Origin,
    report::{SwapReport, Verdict},
};
use std::time::Duration;
use tests::{Artifact, Scene, examples, number};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

/// What vetting finds of a misfit.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// It is refused, with these words in the reason.
    Refused(&'static str),
    /// It ends the examiner.
    Crashed,
    /// The examiner does not come back.
    Silent,
    /// Nothing: its fault shows later, in a test of its own.
    Nothing,
}
use Found::{Crashed, Nothing, Refused, Silent};

/// Every misfit, with what vetting finds of it.
const MISFITS: &[(&str, Found)] = &[
    ("aborts_in_new", Crashed),
    ("aborts_on_load", Crashed),
    ("hangs_in_check", Nothing),
    ("hangs_in_method", Nothing),
    ("hangs_in_new", Silent),
    ("hangs_in_restore", Silent),
    ("hangs_in_snapshot", Silent),
    ("hangs_in_used_restore", Nothing),
    ("hangs_in_used_snapshot", Nothing),
    ("has_another_layout", Refused("another layout")),
    ("has_no_header", Refused("plugin_api_header")),
    ("is_no_plugin", Refused("not a plugin")),
    ("lacks_a_migration", Nothing),
    ("leaves_a_thread", Nothing),
    ("leaves_a_thread_for_a_while", Nothing),
    ("lies_about_its_schema", Nothing),
    ("loses_its_state", Nothing),
    ("panics_in_attach", Nothing),
    ("panics_in_check", Nothing),
    ("panics_in_drop", Nothing),
    ("panics_in_exclusive_method", Nothing),
    ("panics_in_new", Refused("no new one")),
    (
        "panics_in_parse",
        Refused("reading it panicked: no reading"),
    ),
    ("panics_in_restore", Refused("no restoring")),
    ("panics_in_shared_method", Nothing),
    ("panics_in_snapshot", Refused("no snapshot")),
    ("panics_in_used_new", Nothing),
    ("speaks_contract_0", Refused("contract level 0")),
    ("speaks_contract_99", Refused("contract level 99")),
    ("wants_other_data", Refused("missing field `wanted`")),
];

/// A host on which the steady counter serves, and has counted one call.
fn busy(scene: &Scene) -> Host {
    let host = scene.start();
    if scene.config.data.contains_key("left") {
        let put = host.put_data(
            "left",
            br#"{"number": 1}"#.to_vec(),
            &Origin::operator("test"),
        );
        put.expect("it is published");
    }
    scene.load(&host, &Artifact::of("steady"));
    assert_eq!(number(&host, "steady", "increment", "[1,1]"), 1);
    host
}

fn check(host: &Host, scene: &Scene, what: &str, artifact: &Artifact, found: Found) {
    let file = scene.put(artifact);
    let verdict = host.vet(&file);
    let fits = match found {
        Refused(words) => {
            matches!(verdict, Verdict::Refused { .. })
                && verdict
                    .reason()
                    .is_some_and(|reason| reason.contains(words))
        }
        Crashed => matches!(verdict, Verdict::Crashed { .. }),
        Silent => matches!(verdict, Verdict::Silent { .. }),
        Nothing => matches!(verdict, Verdict::Sound { .. }),
    };
    assert!(fits, "{what}: expected {found:?}, found {verdict:?}");
    if !matches!(found, Nothing) {
        let error = host
            .load(&file)
            .expect_err("what is not sound is not loaded");
        assert!(
            matches!(error.step, Step::Watch | Step::Vet),
            "{what}: {error}"
        );
    }
    assert_eq!(
        number(host, "steady", "total", ""),
        1,
        "{what}: the good one serves on"
    );
}

#[test]
fn the_table_of_misfits_is_the_folder_of_misfits() {
    let table: Vec<&str> = MISFITS.iter().map(|(name, _)| *name).collect();
    assert_eq!(table, examples("misfits"));
}

#[test]
fn every_misfit_opens_with_its_fault() {
    let folder = tests::repository().join("tests/misfits");
    for (misfit, _) in MISFITS {
        let text =
            std::fs::read_to_string(folder.join(format!("{misfit}.rs"))).expect("the source");
        assert!(text.starts_with("//! A misfit "), "{misfit}.rs");
    }
}

#[test]
fn every_misfit_is_found_out_and_nothing_changes() {
    let mut scene = Scene::new(EXAMINER);
    scene.config.plugins.each.vet_timeout = Duration::from_secs(60);
    scene
        .config
        .data
        .insert("left".to_owned(), DatasetConfig::default());
    let host = busy(&scene);
    for (misfit, found) in MISFITS {
        if !matches!(found, Silent) {
            check(&host, &scene, misfit, &Artifact::of(misfit), *found);
        }
    }
}

#[test]
fn a_misfit_that_never_returns_is_given_up() {
    let mut scene = Scene::new(EXAMINER);
    let host = busy(&scene);
    assert!(
        host.shutdown(tests::LIMIT)
            .saved
            .contains(&"steady".to_owned())
    );
    drop(host);
    scene.config.plugins.each.vet_timeout = Duration::from_millis(500);
    let host = scene.start();
    for (misfit, found) in MISFITS {
        if matches!(found, Silent) {
            check(&host, &scene, misfit, &Artifact::of(misfit), Silent);
        }
    }
}

#[test]
fn what_is_no_whole_plugin_for_this_machine_is_refused() {
    let scene = Scene::new(EXAMINER);
    let host = busy(&scene);
    let good = Artifact::of("steady").build(1);
    for (what, artifact, words) in [
        ("half of a file", good.clone().half(), "incomplete"),
        (
            "another machine",
            good.clone().for_another_machine(),
            "another machine",
        ),
        ("panics abort", good.that_aborts(), "abort"),
        (
            "a text",
            Artifact::made_of(b"a text", "libtext.so"),
            "not a plugin",
        ),
        (
            "nothing",
            Artifact::made_of(b"", "libnothing.so"),
            "incomplete",
        ),
    ] {
        check(&host, &scene, what, &artifact, Refused(words));
    }
}

#[test]
fn a_panic_in_a_shared_method_is_the_callers_error_and_no_more() {
    let scene = Scene::new(EXAMINER);
    let host = busy(&scene);
    scene.load(&host, &Artifact::of("panics_in_shared_method"));
    for _ in 0..3 {
        let error = host
            .call("panics-in-shared-method", "fail", b"")
            .expect_err("it panics");
        assert!(
            matches!(&error, CallError::Panicked(text) if text.contains("no shared one")),
            "{error:?}"
        );
    }
    assert_eq!(number(&host, "panics-in-shared-method", "touch", ""), 1);
    let status = host.plugin("panics-in-shared-method").expect("it is known");
    assert!(!status.serving.expect("it serves").tainted);
    assert_eq!(number(&host, "steady", "total", ""), 1);
}

#[test]
fn a_panic_in_an_exclusive_method_taints_the_state_and_says_so() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let events = host.follow();
    scene.load(&host, &Artifact::of("panics_in_exclusive_method"));
    let name = "panics-in-exclusive-method";
    let error = host.call(name, "fail", b"").expect_err("it panics");
    assert!(
        matches!(&error, CallError::Panicked(text) if text.contains("no exclusive one")),
        "{error:?}"
    );
    tests::event(
        &events,
        "the taint",
        |what| matches!(what, host::event::Happening::Tainted { plugin, method, .. } if plugin == name && method == "fail"),
    );
    let status = host.plugin(name).expect("it is known");
    assert!(status.serving.expect("it serves").tainted);
    assert_eq!(
        number(&host, name, "add", ""),
        2,
        "the half-made change is there"
    );
}

#[test]
fn a_taint_stays_with_the_state() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let artifact = Artifact::of("panics_in_exclusive_method");
    scene.load(&host, &artifact);
    let name = "panics-in-exclusive-method";
    host.call(name, "fail", b"").expect_err("it panics");
    let tainted = |host: &Host| {
        let serving = host.plugin(name).and_then(|plugin| plugin.serving);
        serving.expect("it serves").tainted
    };
    let says_so = |report: &SwapReport| {
        assert!(
            report.remarks.iter().any(|text| text.contains("tainted")),
            "{report:?}"
        );
    };
    for build in 1..=2 {
        says_so(&scene.load(&host, &artifact.clone().build(build)));
        assert!(tainted(&host), "swap {build}");
    }
    host.unload(name).expect("the unload");
    says_so(&scene.load(&host, &artifact));
    assert!(tainted(&host), "after an unload");
    host.shutdown(tests::LIMIT);
    drop(host);
    let host = scene.start();
    assert!(tainted(&host), "after a restart");
}

#[test]
fn a_panic_in_attach_leaves_nothing_behind() {
    let scene = Scene::new(EXAMINER);
    let host = busy(&scene);
    let error = host
        .load(&scene.put(&Artifact::of("panics_in_attach")))
        .expect_err("it panics");
    assert_eq!(error.step, Step::HandOver, "{error}");
    assert!(error.to_string().contains("no attaching"), "{error}");
    let call = host
        .call("panics-in-attach", "touch", b"")
        .expect_err("it does not serve");
    assert!(
        matches!(
            call,
            CallError::NotServing(_) | CallError::UnknownPlugin { .. }
        ),
        "{call:?}"
    );
}

#[test]
fn a_job_that_was_ordered_before_a_panic_in_new_is_gone_before_the_library() {
    let scene = Scene::new(EXAMINER);
    let host = busy(&scene);
    let error = host
        .load(&scene.put(&Artifact::of("panics_in_used_new")))
        .expect_err("it panics");
    assert_eq!(error.step, Step::Load, "{error}");
    assert!(error.to_string().contains("no used one"), "{error}");
    host.unload("steady").expect("it can be unloaded");
    scene.wait_until_unmapped();
}

#[test]
fn a_panic_in_drop_stops_no_unload() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let file = scene.put(&Artifact::of("panics_in_drop"));
    let Verdict::Sound { remarks, .. } = host.vet(&file) else {
        panic!("its fault is no harm");
    };
    assert!(
        remarks.iter().any(|remark| remark.contains("no dropping")),
        "{remarks:?}"
    );
    host.load(&file).expect("it is sound");
    host.unload("panics-in-drop").expect("it can be unloaded");
    scene.wait_until_unmapped();
}
