//! The latency of a source: how long a change takes from its server to a bare client, and to what a host publishes.
//!
//! Both follow the same changes in the same run, one change at a time. The clock starts just before the change is sent to
//! the server; it stops for the bare client when its own library hands it the notice, and for the host when its event tells
//! that the revision is published.

use super::Truth;
use crate::{
    measure::Spread,
    scene::Scene,
    waiting::{LIMIT, event},
};
use anyhow::{Context, Result};
use crossbeam_channel::Receiver;
use host::event::{Event, Happening};
use std::time::Instant;

/// How often the server is killed for the recovery.
const KILLS: u64 = 5;

/// How long changes took.
#[derive(Debug)]
pub struct Latencies {
    /// To the bare client's notice.
    pub bare: Spread,
    /// To the revision that the host published.
    pub host: Spread,
    /// From the return of a killed server to the revision with what was changed then.
    pub recovery: Spread,
}

/// Measures a kind of source with so many changes, and tells of each that is done. Each kind has one such function.
pub type Measure = fn(u64, &mut dyn FnMut()) -> Result<Latencies>;

/// Measures with this truth. `bare` subscribes a client without a host, and gives the moment of each of its notices; it is
/// not used after the server was killed.
///
/// # Errors
/// A change does not come through.
pub fn measure<T: Truth>(
    mut truth: T,
    bare: impl FnOnce(&T) -> Receiver<Instant>,
    count: u64,
    done: &mut dyn FnMut(),
) -> Result<Latencies> {
    let mut scene = Scene::new("/proc/self/exe");
    let mut dataset = truth.dataset();
    let port = truth.server().port();
    dataset.source = Some(truth.source(port));
    scene.config.data.insert("rates".to_owned(), dataset);
    let host = scene.start();
    let events = host.follow();
    truth.put(1);
    published(&events);
    let notices = bare(&truth);
    let mut latencies = Latencies {
        bare: Spread::new()?,
        host: Spread::new()?,
        recovery: Spread::new()?,
    };
    for number in 2..count + 2 {
        // A notice of the change before that came twice.
        while notices.try_recv().is_ok() {}
        let begin = Instant::now();
        truth.put(number);
        published(&events);
        latencies.host.add(begin.elapsed())?;
        let noticed = notices.recv_timeout(LIMIT).context("no notice came")?;
        latencies.bare.add(noticed.duration_since(begin))?;
        done();
    }
    drop(notices);
    for number in count + 2..count + 2 + KILLS {
        truth.server().kill();
        event(&events, "the loss", |what| {
            matches!(what, Happening::SourceLost { .. })
        });
        truth.server().start_again();
        let begin = Instant::now();
        truth.put(number);
        published(&events);
        latencies.recovery.add(begin.elapsed())?;
    }
    Ok(latencies)
}

fn published(events: &Receiver<Event>) {
    event(events, "a revision", |what| {
        matches!(what, Happening::DataPublished { .. })
    });
}
