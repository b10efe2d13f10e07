//! Inert services: what a plugin is given for a host while it is examined. They do nothing, and run nothing.

use super::unavailable;
use crate::exhibit::Exhibits;
use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RSlice, RStr, RVec},
};
use plugin_api::contract::{
    Answer, HostServices, HostServices_TO, HostServicesBox, JobObjectBox, Lens, PortBox,
};
use std::sync::Arc;

/// Services that do nothing, for a plugin that is only examined.
pub(crate) fn inert(exhibits: Arc<Exhibits>) -> HostServicesBox {
    HostServices_TO::from_value(Inert(exhibits), TD_Opaque)
}

/// They hold what it has parsed of the data it reads, where that is at hand.
struct Inert(Arc<Exhibits>);

impl HostServices for Inert {
    fn log(&self, _level: u32, _target: RStr<'_>, _message: RStr<'_>) {}

    fn log_level(&self) -> u32 {
        0
    }

    fn call(
        &self,
        _plugin: RStr<'_>,
        _method: RStr<'_>,
        _format: u32,
        _arguments: RSlice<'_, u8>,
    ) -> Answer<RVec<u8>> {
        unavailable("no plugin can be called while this one is examined")
    }

    fn spawn(&self, _name: RStr<'_>, _job: JobObjectBox) -> Answer<()> {
        RResult::ROk(())
    }

    fn timer(
        &self,
        _delay: u64,
        _period: u64,
        _method: RStr<'_>,
        _format: u32,
        _arguments: RSlice<'_, u8>,
    ) -> Answer<u64> {
        RResult::ROk(0)
    }

    fn stop_timer(&self, _timer: u64) {}

    fn now(&self) -> u64 {
        0
    }

    fn random(&self) -> u64 {
        4
    }

    fn is_inside(&self) -> bool {
        false
    }

    fn timed_call_begins(&self) {}

    fn timed_call_ends(&self) {}

    fn port(
        &self,
        _plugin: RStr<'_>,
        _interface: RStr<'_>,
        _description: RStr<'_>,
    ) -> Answer<PortBox> {
        unavailable("no plugin can be called while this one is examined")
    }

    fn lens(&self, read: u32) -> Answer<Lens> {
        // Where that is not at hand, whoever looks finds nothing.
        RResult::ROk(self.0.lens(read))
    }
}
