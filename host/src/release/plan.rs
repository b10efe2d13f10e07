//! The plan: plugins and data that are to change in one go; and the stage, where all of them are proven and nothing has
//! changed yet.

use super::{ReleaseError, ReleaseReport};
use crate::{
    core::Core,
    data::{Cast, Snapshot, Wanted},
    journey::{self, Begun, HalfWay},
    report::{SwapReport, Trigger},
    slot::Slot,
    steps::watch::Staged,
};
use anyhow::anyhow;
use std::sync::Arc;

/// What is to change.
#[derive(Default)]
pub(super) struct Plan {
    /// The plugins.
    pub(super) parts: Vec<Part>,
    /// The data.
    pub(super) contents: Vec<Content>,
}

/// A plugin, with what is to become of it.
pub(super) struct Part {
    /// Where it is.
    pub(super) slot: Arc<Slot>,
    /// What is to become of it.
    pub(super) change: Change,
}

/// What is to become of a plugin.
pub(super) enum Change {
    /// This artifact takes over.
    To(Box<Staged>, Trigger),
    /// It goes out of service.
    Gone,
}

/// A dataset, with what it is to hold.
pub(super) struct Content {
    /// Its name.
    pub(super) dataset: String,
    /// What it is to hold.
    pub(super) wanted: Wanted,
}

/// Where everything is proven that can fail by itself. Dropping it leaves everything as it is.
pub(super) struct Stage<'a> {
    plugins: Vec<Proven<'a>>,
    wanted: Vec<Wanted>,
    cast: Cast,
}

/// A plugin whose journey can only fail for its callers, its state or its platform now.
enum Proven<'a> {
    Unchanged(Box<SwapReport>),
    Candidate(Box<HalfWay<'a>>),
    Leaving(&'a Arc<Slot>),
}

impl Plan {
    /// The slots of its plugins, which the stage stands on.
    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        let slots = self.parts.iter().map(|part| Arc::clone(&part.slot));
        slots.collect()
    }

    /// Proves all of it: contents are parsed, and every plugin is taken as far as its candidate, which has to fit the data
    /// as it will be.
    pub(super) fn prove<'a>(
        self,
        core: &'a Arc<Core>,
        slots: &'a [Arc<Slot>],
    ) -> Result<Stage<'a>, ReleaseError> {
        let mut wanted: Vec<Wanted> = self.contents.into_iter().map(|it| it.wanted).collect();
        let proposed = if wanted.is_empty() {
            None
        } else {
            let proposed = core.data.publisher().propose(&mut wanted);
            Some(proposed.map_err(|refused| ReleaseError::of_data(core, refused))?)
        };
        let mut stage = Stage {
            plugins: Vec::new(),
            wanted,
            cast: Cast::default(),
        };
        for (slot, part) in slots.iter().zip(self.parts) {
            stage.take(core, slot, part.change, proposed.as_ref())?;
        }
        Ok(stage)
    }
}

impl<'a> Stage<'a> {
    fn take(
        &mut self,
        core: &'a Arc<Core>,
        slot: &'a Arc<Slot>,
        change: Change,
        proposed: Option<&Arc<Snapshot>>,
    ) -> Result<(), ReleaseError> {
        self.plugins.push(match change {
            Change::Gone => {
                let serving = slot.gate.tenant();
                let serving = serving.map(|serving| serving.life.number);
                self.cast.leaving.extend(serving);
                Proven::Leaving(slot)
            }
            Change::To(staged, trigger) => {
                match journey::begin(core, slot, *staged, trigger, proposed)? {
                    Begun::Unchanged(report) => Proven::Unchanged(report),
                    Begun::Candidate(half_way) => {
                        self.cast.leaving.extend(half_way.incumbent());
                        if proposed.is_some() {
                            self.cast.joining.extend(half_way.reader().cloned());
                        }
                        Proven::Candidate(half_way)
                    }
                }
            }
        });
        Ok(())
    }

    /// Publishes all contents in one step. Gives the number that each dataset holds then.
    pub(super) fn publish(&mut self, core: &Core) -> Result<Vec<u64>, ReleaseError> {
        if self.wanted.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = std::mem::take(&mut self.wanted);
        core.data
            .publisher()
            .change(wanted, &self.cast)
            .map_err(|cause| ReleaseError::new("its data", cause))?
            .map_err(|refused| ReleaseError::of_data(core, refused))
    }

    /// Swaps the plugins, one after the other, and reports each.
    pub(super) fn swap(
        self,
        core: &Arc<Core>,
        report: &mut ReleaseReport,
    ) -> Result<(), ReleaseError> {
        for plugin in self.plugins {
            match plugin {
                Proven::Unchanged(swap) => report.swaps.push(*swap),
                Proven::Candidate(half_way) => report.swaps.push(half_way.complete()?),
                Proven::Leaving(slot) => {
                    let deadline = core.config.for_plugin(&slot.name).drain_deadline;
                    let unload = journey::retire(core, slot, Trigger::Release, deadline)?;
                    report.unloads.push(unload);
                }
            }
        }
        Ok(())
    }
}

impl ReleaseError {
    /// A dataset's content was refused.
    fn of_data(core: &Core, (place, refusal): crate::data::Refused) -> ReleaseError {
        let dataset = core.data.publisher().datasets().get(place);
        let name = dataset.map_or("", |dataset| &dataset.name);
        ReleaseError::new(format!("data \"{name}\""), anyhow!("{}", refusal.mistake))
    }
}
