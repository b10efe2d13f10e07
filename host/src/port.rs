//! A port: the way of one plugin into another by an interface, as the contract has it.

use crate::{
    data,
    gate::GateId,
    hand,
    handle::{Passage, Way},
    pace,
};
use abi_stable::{sabi_trait::TD_Opaque, std_types::RResult};
use plugin_api::{
    CallError as Fault, FaultKind,
    contract::{self, Answer, Entry, PortBox, PortObject, PortObject_TO, Visit},
};
use std::sync::Arc;

/// A way into a plugin, for the one behind this gate.
struct Port(Way, GateId);

/// The port as a plugin has it.
pub(crate) fn object(passage: Arc<Passage>, of: GateId) -> PortBox {
    PortObject_TO::from_value(Port(Way::through(passage), of), TD_Opaque)
}

impl PortObject for Port {
    fn with(&self, method: u32, exclusive: bool, visit: Visit) -> Answer<()> {
        pace::note_call_out();
        if !hand::may_call_out() {
            return RResult::RErr(contract::Fault::new(
                FaultKind::UNAVAILABLE,
                "plugins cannot be called during a handover",
            ));
        }
        if !self.is(method, exclusive) {
            return RResult::RErr(contract::Fault::new(
                FaultKind::UNKNOWN_METHOD,
                format!("the interface has no method {method} of this kind"),
            ));
        }
        data::open_frame(self.1);
        let entered = self.0.enter(
            method,
            exclusive,
            |object, table| match (visit.run)(object, contract::Table::at(table), visit.errand) {
                Entry::PANICKED => Err(Box::new(Fault {
                    kind: FaultKind::PANICKED,
                    message: "it panicked while another plugin called it".to_owned(),
                })),
                entry => Ok(entry),
            },
            |entry| *entry == Entry::REFUSED,
        );
        match entered {
            Ok(_) => RResult::ROk(()),
            Err(error) => RResult::RErr(error.to_fault()),
        }
    }
}

impl Port {
    /// Whether the interface has this method, under this kind of receiver: the locks depend on it.
    fn is(&self, method: u32, exclusive: bool) -> bool {
        let method = self.0.passage().line.wanted.methods.get(method as usize);
        method.is_some_and(|method| method.exclusive == exclusive)
    }
}
