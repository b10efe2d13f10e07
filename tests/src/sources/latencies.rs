//! Latencies: how long it takes from a change at a source until the host has published it, beside what the bare client needs
//! for the same change; and how long until a server that was killed is followed again.

use super::trial::{Trial, Truth};
use crate::waiting::LIMIT;
use crossbeam_channel::{Receiver, unbounded};
use host::event::Happening;
use std::{
    thread,
    time::{Duration, Instant},
};

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// From the change until the bare client was told, for each change.
    pub bare: Vec<Duration>,
    /// From the change until the host said that it is published, for each change.
    pub host: Vec<Duration>,
}

impl Latencies {
    /// The part `of_all` (0.5 is the median) of durations.
    #[must_use]
    pub fn quantile(durations: &[Duration], of_all: f64) -> Duration {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "there are few"
        )]
        let place = (sorted.len() as f64 * of_all) as usize;
        let place = place.min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    }
}

/// Changes the truth `changes` times, each when the one before has been published. `heard` tells when the bare client was told
/// of a change; the truth must be heard there already.
///
/// # Panics
/// When a change is not seen.
pub fn measure<T: Truth>(
    trial: &mut Trial<T>,
    heard: &Receiver<Instant>,
    changes: u64,
) -> Latencies {
    let (published, is_published) = unbounded();
    let events = trial.host.follow();
    thread::spawn(move || {
        for event in events {
            let is_news = matches!(event.what, Happening::DataPublished { .. });
            if is_news && published.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    let mut latencies = Latencies::default();
    let first = trial.held().unwrap_or_default() + 1;
    for number in first..first + changes {
        let begin = Instant::now();
        trial.truth.put(number);
        for (told, durations) in [
            (heard, &mut latencies.bare),
            (&is_published, &mut latencies.host),
        ] {
            let told = told.recv_timeout(LIMIT).expect("the change is told");
            durations.push(told - begin);
        }
    }
    latencies
}

/// How long it takes from the moment that a killed server is back until the host holds what changed then.
///
/// # Panics
/// When it is not followed again.
pub fn recovery<T: Truth>(trial: &mut Trial<T>) -> Duration {
    let next = trial.held().unwrap_or_default() + 1;
    trial.truth.server().kill();
    trial.event("the loss", |what| {
        matches!(what, Happening::SourceLost { .. })
    });
    trial.truth.server().start_again();
    let begin = Instant::now();
    trial.truth.put(next);
    trial.holds(next);
    begin.elapsed()
}
