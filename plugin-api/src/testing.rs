//! A host for this crate's own tests: it notes what it is asked for.

use crate::{
    adapter::{Plugin, create},
    contract::{
        Answer, FORMAT_JSON, Fault, FaultKind, Glance, HostServices, HostServices_TO,
        HostServicesBox, JobControl, JobControl_TO, JobControlBox, JobObjectBox, Lens,
        PluginObjectBox, PortBox,
    },
};
use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RSlice, RStr, RVec},
};
use std::{
    cell::Cell,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
};

/// Log records go where one static says, so tests that make a plugin or look at records take turns.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

thread_local! {
    /// Whether this thread is inside a call, as the host says.
    pub(crate) static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// What the host was asked for, as text.
#[derive(Clone, Default)]
pub(crate) struct Host {
    seen: Arc<Mutex<Vec<String>>>,
}

impl Host {
    pub(crate) fn services(&self) -> HostServicesBox {
        HostServices_TO::from_value(self.clone(), TD_Opaque)
    }

    pub(crate) fn create<P: Plugin>(&self) -> Result<PluginObjectBox, Fault> {
        create::<P>(self.services()).into_result()
    }

    /// What was seen since it was last asked.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// How many hold on to the host's services, the test itself not counted.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.seen) - 1
    }

    fn see(&self, what: String) {
        self.seen.lock().unwrap().push(what);
    }
}

fn text(bytes: RSlice<'_, u8>) -> String {
    String::from_utf8(bytes.as_slice().to_vec()).unwrap()
}

#[expect(
    clippy::print_stderr,
    reason = "a failed assertion of a test is a panic outside the guard, and wants to be read"
)]
impl HostServices for Host {
    fn log_level(&self) -> u32 {
        5
    }

    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>) {
        if target == "plugin_api::panic" {
            eprintln!("{message}");
        }
        self.see(format!("{level} {target}: {message}"));
    }

    fn call(
        &self,
        plugin: RStr<'_>,
        method: RStr<'_>,
        format: u32,
        arguments: RSlice<'_, u8>,
    ) -> Answer<RVec<u8>> {
        assert_eq!(format, FORMAT_JSON);
        self.see(format!("call {plugin}.{method}({})", text(arguments)));
        if plugin == "nobody" {
            let fault = Fault::new(FaultKind::UNKNOWN_PLUGIN, "there is no plugin nobody");
            return RResult::RErr(fault);
        }
        RResult::ROk(b"42".to_vec().into())
    }

    fn spawn(&self, name: RStr<'_>, mut job: JobObjectBox) -> Answer<()> {
        let ended = job.run(control()).into_result();
        self.see(format!("spawn {name}: {ended:?}"));
        RResult::ROk(())
    }

    fn timer(
        &self,
        delay: u64,
        period: u64,
        method: RStr<'_>,
        _format: u32,
        arguments: RSlice<'_, u8>,
    ) -> Answer<u64> {
        self.see(format!(
            "timer {delay} {period} {method}({})",
            text(arguments)
        ));
        RResult::ROk(7)
    }

    fn stop_timer(&self, timer: u64) {
        self.see(format!("stop {timer}"));
    }

    fn now(&self) -> u64 {
        1_500_000_000
    }

    fn random(&self) -> u64 {
        4
    }

    fn is_inside(&self) -> bool {
        INSIDE.get()
    }

    fn timed_call_begins(&self) {}

    fn timed_call_ends(&self) {}

    /// A host without other plugins.
    fn port(
        &self,
        plugin: RStr<'_>,
        interface: RStr<'_>,
        _description: RStr<'_>,
    ) -> Answer<PortBox> {
        self.see(format!("port {plugin} {interface}"));
        let text = format!("there is no plugin {plugin}");
        RResult::RErr(Fault::new(FaultKind::UNKNOWN_PLUGIN, text))
    }

    /// A lens on what the test has put under this number, which counts on a counter of the test's.
    fn lens(&self, read: u32) -> Answer<Lens> {
        self.see(format!("lens {read}"));
        RResult::ROk(Lens {
            look,
            of: std::ptr::null(),
        })
    }
}

thread_local! {
    /// What a look gives on this thread.
    pub(crate) static SEEN: Cell<Glance> = const { Cell::new(Glance::NOTHING) };
}

extern "C" fn look(_of: *const ()) -> Glance {
    let glance = SEEN.get();
    // SAFETY: The test put the address of a counter of its own there, which lives longer, or none.
    if let Some(looks) = unsafe { glance.looks.as_ref() } {
        looks.fetch_add(1, Ordering::Relaxed);
    }
    glance
}

struct Cancelled;

impl JobControl for Cancelled {
    fn cancelled(&self) -> bool {
        true
    }

    fn sleep(&self, _: u64) -> bool {
        true
    }
}

fn control() -> JobControlBox {
    JobControl_TO::from_value(Cancelled, TD_Opaque)
}
