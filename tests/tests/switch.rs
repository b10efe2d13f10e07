//! Switch: what serves, served, and is to serve is a matter of record, and operators' decisions hold.

use host::{
    RollbackTarget,
    journal::Outcome,
    report::{Standing, Trigger},
};
use tests::{Artifact, LIMIT, Scene, number};

const EXAMINER: &str = env!("CARGO_BIN_EXE_examiner");

#[test]
fn generations_only_rise_even_across_restarts() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let first = scene.load(&host, &Artifact::of("steady")).generation;
    let second = scene
        .load(&host, &Artifact::of("steady").build(1))
        .generation;
    assert!(second > first);
    host.shutdown(LIMIT);
    drop(host);
    let third = scene
        .start()
        .call("steady", "total", b"")
        .expect("it serves again")
        .generation;
    assert!(third > second);
}

#[test]
fn a_rollback_is_a_new_generation_of_the_older_artifact() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let old = Artifact::of("steady").version("1.0.1");
    let first = scene.load(&host, &old);
    let second = scene.load(&host, &Artifact::of("steady").version("1.0.2"));
    let back = host.rollback("steady", None).expect("the rollback");
    assert_eq!(
        (back.version.as_str(), back.digest),
        ("1.0.1", old.digest())
    );
    assert!(back.generation > second.generation && second.generation > first.generation);
}

#[test]
fn a_rollback_goes_where_it_is_sent() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let mut generations = Vec::new();
    for version in ["1.0.1", "1.0.2", "1.0.3"] {
        generations.push(
            scene
                .load(&host, &Artifact::of("steady").version(version))
                .generation,
        );
    }
    let to = Some(RollbackTarget::Version("1.0.1".to_owned()));
    assert_eq!(
        host.rollback("steady", to.as_ref())
            .expect("the rollback")
            .version,
        "1.0.1"
    );
    let to = Some(RollbackTarget::Generation(generations[1]));
    assert_eq!(
        host.rollback("steady", to.as_ref())
            .expect("the rollback")
            .version,
        "1.0.2"
    );
    let to = Some(RollbackTarget::Version("9.9.9".to_owned()));
    let error = host
        .rollback("steady", to.as_ref())
        .expect_err("it never served");
    assert!(error.to_string().contains("9.9.9"), "{error}");
    assert_eq!(
        &*host
            .call("steady", "total", b"")
            .expect("it serves")
            .version,
        "1.0.2"
    );
}

#[test]
fn there_is_nothing_to_roll_back_to_at_first() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady"));
    host.rollback("steady", None)
        .expect_err("there was nothing before");
    host.rollback("nobody", None)
        .expect_err("there is no such plugin");
    assert_eq!(number(&host, "steady", "total", ""), 0);
}

#[test]
fn the_history_tells_every_journey_newest_first() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady").version("1.0.1"));
    scene.load(&host, &Artifact::of("steady").version("1.0.2"));
    host.load(&scene.put(&Artifact::of("lies_about_its_schema")))
        .expect_err("turned away");
    host.rollback("steady", None).expect("the rollback");
    host.unload("steady").expect("the unload");
    let history = host.history("steady", 10).expect("the history");
    let told: Vec<(Trigger, &str, &str)> = history
        .iter()
        .map(|record| {
            let outcome = match &record.outcome {
                Outcome::Intent => "intent",
                Outcome::Swapped { .. } => "swapped",
                Outcome::Failed { .. } => "failed",
                Outcome::Unloaded { .. } => "unloaded",
            };
            (record.trigger, record.version.as_str(), outcome)
        })
        .collect();
    assert_eq!(
        told,
        [
            (Trigger::Unload, "1.0.1", "unloaded"),
            (Trigger::Rollback, "1.0.1", "swapped"),
            (Trigger::Load, "6.0.0", "failed"),
            (Trigger::Load, "1.0.2", "swapped"),
            (Trigger::Load, "1.0.1", "swapped"),
        ]
    );
    assert_eq!(host.history("steady", 2).expect("the history").len(), 2);
}

#[test]
fn a_host_comes_back_on_the_last_good_artifact() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    scene.load(&host, &Artifact::of("steady").version("1.0.1"));
    let good = scene.load(&host, &Artifact::of("steady").version("1.0.2"));
    host.load(&scene.put(&Artifact::of("lies_about_its_schema").build(1)))
        .expect_err("turned away");
    host.shutdown(LIMIT);
    drop(host);
    std::fs::remove_dir_all(scene.elsewhere()).expect("the author's files are gone");
    let host = scene.start();
    let serving = host
        .plugin("steady")
        .and_then(|plugin| plugin.serving)
        .expect("it serves");
    assert_eq!(
        (serving.version.as_str(), serving.digest),
        ("1.0.2", good.digest)
    );
}

#[test]
fn a_kept_artifact_that_is_damaged_is_named_and_not_loaded() {
    let scene = Scene::new(EXAMINER);
    let host = scene.start();
    let old = Artifact::of("steady").version("1.0.1");
    scene.load(&host, &old);
    scene.load(&host, &Artifact::of("steady").version("1.0.2"));
    let kept = scene
        .state_dir()
        .join(format!("artifacts/{}.so", old.digest()));
    let mut bytes = std::fs::read(&kept).expect("it is kept");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    // Another file: what is there may be mapped.
    std::fs::remove_file(&kept).expect("removed");
    std::fs::write(&kept, bytes).expect("damaged");
    let error = host.rollback("steady", None).expect_err("it is damaged");
    assert!(error.to_string().contains("damaged"), "{error}");
    let version = host
        .call("steady", "total", b"")
        .expect("it serves")
        .version;
    assert_eq!(&*version, "1.0.2");
    std::fs::remove_file(&kept).expect("removed");
    scene.load(&host, &old);
    host.rollback("steady", None).expect("the rollback");
    host.rollback("steady", None).expect("it is kept again");
}

#[test]
fn what_was_unloaded_stays_unloaded() {
    let scene = Scene::new(EXAMINER);
    Artifact::of("steady").place(&scene.plugins());
    let host = scene.start_watching();
    host.unload("steady").expect("the unload");
    host.rescan();
    let standing = |host: &host::Host| host.plugin("steady").expect("it is known").standing;
    assert_eq!(standing(&host), Standing::Unloaded);
    host.shutdown(LIMIT);
    drop(host);
    let host = scene.start_watching();
    assert_eq!(standing(&host), Standing::Unloaded);
    let events = host.follow();
    Artifact::of("steady").build(1).place(&scene.plugins());
    tests::event(&events, "the changed file", |what| {
        matches!(what, host::event::Happening::Swapped { .. })
    });
    assert_eq!(standing(&host), Standing::Serving);
}

#[test]
fn what_was_rolled_back_stays_back_until_the_file_changes() {
    let scene = Scene::new(EXAMINER);
    Artifact::of("steady")
        .version("1.0.1")
        .place(&scene.plugins());
    let host = scene.start_watching();
    let events = host.follow();
    Artifact::of("steady")
        .version("1.0.2")
        .place(&scene.plugins());
    tests::event(&events, "the swap", |what| {
        matches!(what, host::event::Happening::Swapped { .. })
    });
    host.rollback("steady", None).expect("the rollback");
    host.rescan();
    host.shutdown(LIMIT);
    drop(host);
    let host = scene.start_watching();
    let version = |host: &host::Host| {
        host.call("steady", "total", b"")
            .expect("it serves")
            .version
    };
    assert_eq!(&*version(&host), "1.0.1");
    let events = host.follow();
    Artifact::of("steady")
        .version("1.0.3")
        .place(&scene.plugins());
    tests::event(&events, "the swap", |what| {
        matches!(what, host::event::Happening::Swapped { .. })
    });
    assert_eq!(&*version(&host), "1.0.3");
}
