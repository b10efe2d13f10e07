//! The announcer: keeps the last events, passes them to followers, and writes them to the log.

use crate::event::{Event, Happening};
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

/// Events that are kept for those who ask later.
const KEPT: usize = 100;
/// Events a follower may fall behind before it is cut off.
const BEHIND: usize = 1024;

/// Milliseconds since 1970, by the wall clock.
pub(crate) fn now_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Keeps and spreads events.
#[derive(Default)]
pub(crate) struct Announcer(Mutex<Board>);

#[derive(Default)]
struct Board {
    last: u64,
    kept: VecDeque<Event>,
    followers: Vec<Sender<Event>>,
}

impl Announcer {
    /// Something happened.
    pub(crate) fn announce(&self, what: Happening) {
        log(&what);
        let mut board = self.0.lock();
        board.last += 1;
        let event = Event {
            sequence: board.last,
            time: now_millis(),
            what,
        };
        if board.kept.len() == KEPT {
            board.kept.pop_front();
        }
        board.kept.push_back(event.clone());
        board
            .followers
            .retain(|follower| follower.try_send(event.clone()).is_ok());
    }

    /// The last events, oldest first.
    pub(crate) fn last(&self) -> Vec<Event> {
        self.0.lock().kept.iter().cloned().collect()
    }

    /// The events from now on. A follower who falls too far behind is cut off.
    pub(crate) fn follow(&self) -> Receiver<Event> {
        let (sender, receiver) = bounded(BEHIND);
        self.0.lock().followers.push(sender);
        receiver
    }

    /// Cuts all followers off: nothing more will happen.
    pub(crate) fn end(&self) {
        self.0.lock().followers.clear();
    }
}

/// Writes an event as a log record: fields first, then a sentence.
fn log(what: &Happening) {
    match what {
        Happening::DataReceived { .. }
        | Happening::DataRefused { .. }
        | Happening::DataPublished { .. }
        | Happening::DataRolledBack { .. }
        | Happening::DataPinned { .. }
        | Happening::DataApplied { .. }
        | Happening::DataRestored { .. }
        | Happening::DataStale { .. }
        | Happening::SourceLost { .. }
        | Happening::SourceBack { .. } => log_data(what),
        Happening::Released {
            release,
            name,
            plugins,
            data,
            ..
        } => tracing::info!(release, name, ?plugins, ?data, "the release is applied"),
        Happening::ReleaseFailed {
            release,
            name,
            reason,
            left,
        } => {
            if left.is_empty() {
                tracing::warn!(release, name, "the release is not applied: {reason}");
            } else {
                tracing::error!(
                    release,
                    name,
                    ?left,
                    "the release is not put back: {reason}"
                );
            }
        }
        Happening::Started { directory } => {
            tracing::info!(directory = directory.as_deref(), "the host has started");
        }
        Happening::Ignored { file, reason } => tracing::info!(file, "file ignored: {reason}"),
        Happening::StepDone {
            plugin,
            generation,
            step,
            micros,
        } => tracing::debug!(plugin, generation, step = step.word(), micros, "step done"),
        Happening::Swapped {
            plugin,
            version,
            generation,
            replaced,
            ..
        } => tracing::info!(
            plugin,
            version,
            generation,
            replaced,
            "a new generation serves"
        ),
        Happening::SwapFailed {
            plugin,
            step,
            reason,
        } => tracing::warn!(plugin, step = step.word(), "swap stopped: {reason}"),
        Happening::Unloaded {
            plugin, generation, ..
        } => tracing::info!(plugin, generation, "the plugin was unloaded"),
        Happening::Departed {
            plugin,
            generation,
            departure,
        } => match departure {
            crate::report::Departure::Unmapped => {
                tracing::debug!(plugin, generation, "the retired generation is unmapped");
            }
            crate::report::Departure::Lingering { cause } => {
                tracing::warn!(
                    plugin,
                    generation,
                    "the retired generation lingers: {cause}"
                );
            }
        },
        Happening::Tainted {
            plugin,
            generation,
            method,
            reason,
        } => tracing::warn!(
            plugin,
            generation,
            method,
            "the state may be half changed, its method panicked: {reason}"
        ),
        Happening::Remark { plugin, text } => tracing::warn!(plugin = plugin.as_deref(), "{text}"),
        Happening::BuildStarted { packages } => tracing::debug!(?packages, "build started"),
        Happening::BuildDone {
            success, millis, ..
        } => tracing::debug!(success, millis, "build done"),
        Happening::ShuttingDown => tracing::info!("no more calls are taken; draining"),
        Happening::Stopped => tracing::info!("the host has stopped"),
    }
}

/// Writes what happened to a dataset as a log record.
fn log_data(what: &Happening) {
    match what {
        Happening::DataReceived {
            dataset,
            origin,
            length,
        } => tracing::debug!(dataset, %origin, length, "content came"),
        Happening::DataRefused { dataset, refusal } => tracing::warn!(
            dataset,
            origin = %refusal.origin,
            stage = refusal.stage.word(),
            "content refused: {}",
            refusal.mistake
        ),
        Happening::DataPublished {
            dataset,
            revision,
            origin,
            ..
        } => tracing::info!(dataset, revision, %origin, "a new revision is published"),
        Happening::DataRolledBack {
            dataset,
            revision,
            to,
            pinned,
        } => tracing::info!(dataset, revision, to, pinned, "an operator went back"),
        Happening::DataPinned { dataset, pinned } => {
            tracing::info!(dataset, pinned, "an operator changed the pin");
        }
        Happening::DataApplied {
            dataset,
            revision,
            failures,
        } if failures.is_empty() => tracing::debug!(dataset, revision, "its users were told"),
        Happening::DataApplied {
            dataset,
            revision,
            failures,
        } => tracing::warn!(
            dataset,
            revision,
            ?failures,
            "not all its users could use it"
        ),
        Happening::DataRestored { dataset, revision } => tracing::info!(
            dataset,
            revision,
            "the last good revision is served from disk"
        ),
        Happening::DataStale { dataset } => {
            tracing::warn!(
                dataset,
                "nothing has confirmed it for too long; it is stale"
            );
        }
        Happening::SourceLost { dataset, reason } => {
            tracing::warn!(dataset, "the source is lost: {reason}");
        }
        Happening::SourceBack { dataset } => tracing::info!(dataset, "the source is back"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hundred_events_are_kept_in_order() {
        let announcer = Announcer::default();
        for _ in 0..250 {
            announcer.announce(Happening::ShuttingDown);
        }
        let last = announcer.last();
        assert_eq!(last.len(), KEPT);
        assert_eq!(last.first().map(|event| event.sequence), Some(151));
        assert_eq!(last.last().map(|event| event.sequence), Some(250));
    }

    #[test]
    fn a_follower_who_falls_behind_is_cut_off_and_holds_nobody_up() {
        let announcer = Announcer::default();
        let follower = announcer.follow();
        for _ in 0..=BEHIND {
            announcer.announce(Happening::ShuttingDown);
        }
        assert_eq!(follower.iter().count(), BEHIND);
    }
}
