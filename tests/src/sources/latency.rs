//! The latency of a source: how long a change takes from its server to a bare client, to what a host publishes, and to the
//! first call of a plugin that was made with it.
//!
//! All follow the same changes in the same run, one change at a time. The clock starts just before the change is sent to
//! the server, so that its commit is part of it. It stops for the bare client when its own library hands it the notice, for
//! the host when its event tells that the revision is published, and for the plugin when the call that is made then has
//! answered with what was changed.

use super::Truth;
use crate::{
    artifact::Artifact,
    measure::Spread,
    scene::Scene,
    waiting::{LIMIT, event},
};
use anyhow::{Context, Result, ensure};
use crossbeam_channel::Receiver;
use host::{
    Host,
    event::{Event, Happening},
};
use std::time::{Duration, Instant};

/// How often the server is killed for the recovery.
const KILLS: u64 = 5;

/// How long changes took.
#[derive(Debug)]
pub struct Latencies {
    /// To the bare client's notice.
    pub bare: Spread,
    /// To the revision that the host published.
    pub published: Spread,
    /// To the answer of the first call of a plugin with it.
    pub called: Spread,
    /// From the return of a killed server to the revision with what was changed then.
    pub recovery: Spread,
}

/// Measures a kind of source with so many changes, and tells of each that is done. Each kind has one such function.
pub type Measure = fn(u64, &mut dyn FnMut()) -> Result<Latencies>;

/// Measures with this truth: some changes, and then the recovery of its server. `bare` subscribes a client without a host, and
/// gives the moment of each of its notices; it is not used after the server was killed.
///
/// # Errors
/// A change does not come through.
pub fn measure<T: Truth>(
    truth: T,
    bare: impl FnOnce(&T) -> Receiver<Instant>,
    count: u64,
    done: &mut dyn FnMut(),
) -> Result<Latencies> {
    let mut course = Course::of(truth);
    let mut latencies = course.changes(bare, count, done)?;
    latencies.recovery = course.recoveries()?;
    Ok(latencies)
}

/// A host that follows a truth without a proxy, and the changes that it is measured with.
pub struct Course<T> {
    truth: T,
    /// The number that was the truth last.
    number: u64,
    events: Receiver<Event>,
    /// In this order: the host ends before its folders are removed.
    host: Host,
    scene: Scene,
}

impl<T: Truth> Course<T> {
    /// A host that follows this truth, and holds it.
    #[must_use]
    pub fn of(mut truth: T) -> Self {
        let mut scene = Scene::new("/proc/self/exe");
        let mut dataset = truth.dataset();
        let port = truth.port();
        dataset.source = Some(truth.source(port));
        scene.config.data.insert("rates".to_owned(), dataset);
        let host = scene.start();
        let mut course = Course {
            truth,
            number: 0,
            events: host.follow(),
            host,
            scene,
        };
        course.change();
        let reader = Artifact::of("rates");
        course.scene.load(&course.host, &reader);
        course
    }

    /// Makes another number the truth, and waits until the host has published it.
    fn change(&mut self) -> Duration {
        self.number += 1;
        let begin = Instant::now();
        self.truth.put(self.number);
        event(&self.events, "a revision", |what| {
            matches!(what, Happening::DataPublished { .. })
        });
        begin.elapsed()
    }

    /// How long changes take, without a recovery.
    ///
    /// # Errors
    /// A notice does not come, or a call after it was not made with what was changed.
    pub fn changes(
        &mut self,
        bare: impl FnOnce(&T) -> Receiver<Instant>,
        count: u64,
        done: &mut dyn FnMut(),
    ) -> Result<Latencies> {
        let mut latencies = Latencies {
            bare: Spread::new()?,
            published: Spread::new()?,
            called: Spread::new()?,
            recovery: Spread::new()?,
        };
        let notices = bare(&self.truth);
        for _ in 0..count {
            // A notice of the change before that came twice.
            while notices.try_recv().is_ok() {}
            let begin = Instant::now();
            latencies.published.add(self.change())?;
            self.call()?;
            latencies.called.add(begin.elapsed())?;
            let noticed = notices.recv_timeout(LIMIT).context("no notice came")?;
            latencies.bare.add(noticed.duration_since(begin))?;
            done();
        }
        Ok(latencies)
    }

    /// Calls the plugin.
    ///
    /// # Errors
    /// It does not answer with the number that is the truth.
    fn call(&self) -> Result<()> {
        let reply = self.host.call("rates", "number", b"")?;
        let (seen, number) = (String::from_utf8_lossy(&reply.result), self.number);
        ensure!(
            seen == number.to_string(),
            "{seen} after {number} was published"
        );
        Ok(())
    }

    /// How long it takes from the return of the killed server to the revision with what was changed then.
    ///
    /// # Errors
    /// Never: the number of digits is one that the library of spreads takes.
    pub fn recoveries(&mut self) -> Result<Spread> {
        let mut spread = Spread::new()?;
        for _ in 0..KILLS {
            self.truth.server().kill();
            event(&self.events, "the loss", |what| {
                matches!(what, Happening::SourceLost { .. })
            });
            self.truth.server().start_again();
            spread.add(self.change())?;
        }
        Ok(spread)
    }
}
