//! The triggers: what a database has to be given once, so that it tells a source of every change.
//!
//! They are the affair of each kind of source; here stands the order, and who gives it.

use super::{
    face::DataError,
    source::{self, Source},
};
use crate::host::Host;
use serde::{Deserialize, Serialize};

/// What is to be done about triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TriggerOrder {
    /// Whether they are to be taken away; otherwise they are installed.
    pub(crate) uninstall: bool,
    /// Whether nothing is done but to say what would be.
    pub(crate) dry_run: bool,
    /// The last change that the source has brought. What is installed goes on from there.
    pub(crate) cursor: Option<String>,
}

/// What was done about triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerReport {
    /// The dataset.
    pub dataset: String,
    /// The statements for it.
    pub sql: String,
    /// Whether they were executed; otherwise it was a dry run.
    pub done: bool,
}

impl Host {
    /// Installs the triggers that tell a dataset's source of every change in its database, or takes them away. What is
    /// there already is installed anew. A dry run changes nothing.
    ///
    /// After an older state of the database was restored, installing them has the source take it as it is.
    ///
    /// # Errors
    /// There is no such dataset, its source has no triggers, or the database has refused: nothing has changed then.
    pub fn data_triggers(
        &self,
        dataset: &str,
        uninstall: bool,
        dry_run: bool,
    ) -> Result<TriggerReport, DataError> {
        let place = self.place_of(dataset)?;
        let declared = self.datasets_of().datasets().get(place);
        let declared = declared.ok_or_else(|| DataError::UnknownDataset(dataset.to_owned()))?;
        let failed = |reason: String| DataError::Triggers {
            dataset: dataset.to_owned(),
            reason,
        };
        let Some(config) = &declared.config.source else {
            return Err(failed("it has no source".to_owned()));
        };
        let brought = declared.facts.lock().memory.brought.clone();
        let order = TriggerOrder {
            uninstall,
            dry_run,
            cursor: brought.and_then(|brought| brought.cursor),
        };
        let made = source::make(declared, config);
        let done = made.and_then(|mut source| on_a_thread(source.as_mut(), &order));
        let sql = done.map_err(|error| failed(config.redacted(&format!("{error:#}"))))?;
        if !dry_run {
            declared.ring();
        }
        Ok(TriggerReport {
            dataset: dataset.to_owned(),
            sql,
            done: !dry_run,
        })
    }
}

/// On a thread of its own, since the caller may be one that must not wait in a runtime.
fn on_a_thread(source: &mut dyn Source, order: &TriggerOrder) -> anyhow::Result<String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("triggers".to_owned());
        let thread = thread.spawn_scoped(scope, || source.triggers(order))?;
        let panicked = |_| Err(anyhow::anyhow!("it panicked; the log has its words"));
        thread.join().unwrap_or_else(panicked)
    })
}
