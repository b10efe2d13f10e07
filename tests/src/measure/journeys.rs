//! A follower of journeys: waits for one after another, and notes what each step took.

use crate::waiting::LIMIT;
use anyhow::{Result, bail};
use crossbeam_channel::Receiver;
use host::{
    Host, Step,
    event::{Event, Happening},
    report::Departure,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Follows the events of a host.
#[derive(Debug)]
pub struct Journeys {
    events: Receiver<Event>,
    /// Retired generations that lingered for a while, or still do, with the cause.
    pub lingered: BTreeMap<u64, String>,
}

/// A journey to its end.
#[derive(Debug, Clone)]
pub struct Journey {
    /// The generation that serves now.
    pub generation: u64,
    /// When the staged copy was ready, as far as this thread noticed.
    pub staged: Instant,
    /// What each step took.
    pub steps: BTreeMap<Step, Duration>,
}

impl Journey {
    /// What a step took; nothing, where there was none.
    #[must_use]
    pub fn took(&self, step: Step) -> Duration {
        self.steps.get(&step).copied().unwrap_or_default()
    }
}

impl Journeys {
    /// Follows this host from now on.
    #[must_use]
    pub fn follow(host: &Host) -> Self {
        Journeys {
            events: host.follow(),
            lingered: BTreeMap::new(),
        }
    }

    /// Waits until the next journey of a serving plugin is over, the retired generation's departure included.
    ///
    /// # Errors
    /// The journey failed, or did not end within the limit.
    pub fn wait_for(&mut self, plugin: &str) -> Result<Journey> {
        let end = Instant::now() + LIMIT;
        let mut journey = Journey {
            generation: 0,
            staged: end,
            steps: BTreeMap::new(),
        };
        loop {
            let Ok(event) = self.events.recv_deadline(end) else {
                bail!("waited in vain for the next generation of {plugin}");
            };
            match event.what {
                Happening::StepDone {
                    plugin: of,
                    step,
                    micros,
                    ..
                } if of == plugin => {
                    if step == Step::Watch {
                        journey.staged = Instant::now();
                    }
                    journey.steps.insert(step, Duration::from_micros(micros));
                    if step == Step::Unload {
                        return Ok(journey);
                    }
                }
                Happening::Swapped {
                    plugin: of,
                    generation,
                    ..
                } if of == plugin => journey.generation = generation,
                Happening::SwapFailed {
                    plugin: of,
                    step,
                    reason,
                } if of == plugin => bail!("swap of {plugin} stopped at {step}: {reason}"),
                Happening::Departed {
                    generation,
                    departure: Departure::Lingering { cause },
                    ..
                } => drop(self.lingered.insert(generation, cause)),
                _ => {}
            }
        }
    }
}
