//! How a source stands: what a host that follows it tells of it, where its content is rows with a number.

use crate::{scene::Scene, waiting::LIMIT};
use crossbeam_channel::Receiver;
use host::{
    Host,
    config::{DatasetConfig, SourceSetting},
    data::{DatasetStatus, Revision, SourceState},
    event::Event,
};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A host that follows `rates` as this dataset declares it, and its events; `examiner` as for [`Scene::new`].
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn follow(dataset: DatasetConfig, examiner: &str) -> (Scene, Host, Receiver<Event>) {
    let mut scene = Scene::new(examiner);
    scene.config.data.insert("rates".to_owned(), dataset);
    let host = scene.start();
    let events = host.follow();
    (scene, host, events)
}

/// Why a host does not start that is to follow this dataset.
///
/// # Panics
/// When it starts.
#[must_use]
pub fn not_followed(dataset: DatasetConfig, examiner: &str) -> String {
    let mut scene = Scene::new(examiner);
    scene.config.data.insert("rates".to_owned(), dataset);
    let builder = Host::builder().config(scene.config.clone());
    let started = builder
        .state_dir(scene.state_dir())
        .examiner(examiner)
        .start();
    format!("{:#}", started.err().expect("it does not start"))
}

/// A text as a setting.
#[must_use]
pub fn text(text: &str) -> SourceSetting {
    SourceSetting::Text(text.to_owned())
}

/// All about the dataset.
#[must_use]
pub fn status(host: &Host) -> DatasetStatus {
    host.datasets().swap_remove(0)
}

/// The content that is held.
#[must_use]
pub fn content(host: &Host) -> Value {
    let held = host.data("rates");
    held.and_then(|held| held.parsed.clone())
        .unwrap_or_default()
}

/// The number in the first row of a content.
#[must_use]
pub fn number(revision: &Revision) -> Option<u64> {
    revision.parsed.as_ref()?.get(0)?.get("number")?.as_u64()
}

/// The number that is held.
#[must_use]
pub fn held(host: &Host) -> Option<u64> {
    number(&*host.data("rates")?)
}

/// Waits until this number is held.
///
/// # Panics
/// When it does not come.
pub fn holds(host: &Host, expected: u64) {
    wait(host, &format!("the host holds {expected}"), || {
        (held(host) == Some(expected)).then_some(())
    });
}

/// Waits until this content is held.
///
/// # Panics
/// When it does not come.
pub fn contains(host: &Host, expected: &Value) {
    wait(host, &format!("the host holds {expected}"), || {
        (content(host) == *expected).then_some(())
    });
}

/// Waits until the truth is refused for a reason with this in it.
///
/// # Panics
/// When it is not.
pub fn refused(host: &Host, part: &str) -> String {
    wait(host, &format!("it is refused: {part}"), || {
        let reason = status(host).refusal?.mistake.reason;
        reason.contains(part).then_some(reason)
    })
}

/// Waits until the source is lost for a reason with this in it.
///
/// # Panics
/// When it is not.
pub fn lost(host: &Host, part: &str) -> String {
    wait(
        host,
        &format!("the source is lost: {part}"),
        || match status(host).source?.state {
            SourceState::Lost { reason } if reason.contains(part) => Some(reason),
            _ => None,
        },
    )
}

/// Waits until nothing is refused and the source is followed.
///
/// # Panics
/// When it does not come to that.
pub fn is_well(host: &Host) {
    wait(host, "nothing is refused", || {
        let status = status(host);
        let is_healthy = status.source?.state == SourceState::Healthy;
        (status.refusal.is_none() && is_healthy).then_some(())
    });
}

/// What the source has to say that is no failure.
#[must_use]
pub fn remark(host: &Host) -> Option<String> {
    status(host).source?.remark
}

/// As [`until`](crate::until), but a failure tells how the dataset stands.
fn wait<T>(host: &Host, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            begin.elapsed() < LIMIT,
            "waited in vain until {what}: {:#?} {:#?}",
            host.datasets(),
            host.events()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}
