//! Vet: lets the examiner process do with the artifact what a load would do.
//!
//! Takes a [`Staged`] copy. Gives it [`Vetted`]. Fails when the verdict is anything but sound. Callers notice nothing.
//!
//! A verdict that depends on the artifact alone is kept by digest and host build; one that depends on the moment is not.
//! So an artifact that reads hot data is always examined, with what its datasets hold now.

use super::watch::Staged;
use crate::{
    child::Examined,
    data::Revision,
    examiner::{Order, Supply},
    report::Verdict,
    standby::Examiners,
    store::Store,
};
use anyhow::{Context, Result, anyhow};
use std::{sync::Arc, time::Duration};

/// How often a platform's failure to run the examiner is tried again.
const TRIES: u32 = 3;

/// An artifact that was found sound.
pub(crate) struct Vetted {
    /// The copy that was examined.
    pub(crate) staged: Staged,
    /// What its author should know.
    pub(crate) remarks: Vec<String>,
}

/// Where verdicts come from.
pub(crate) struct Examination<'a> {
    /// Who examines.
    pub(crate) examiners: &'a Examiners,
    /// How long it may take.
    pub(crate) limit: Duration,
    /// What verdicts depend on beside the artifact.
    pub(crate) host_build: &'a str,
    /// Where verdicts are kept; `None` examines afresh and keeps nothing.
    pub(crate) store: Option<&'a Store>,
    /// What the datasets hold that it reads, in the order of its manifest; `None` where no host is at hand.
    pub(crate) data: Option<&'a [Arc<Revision>]>,
}

/// Vets a staged copy.
pub(crate) fn vet(staged: Staged, examination: &Examination<'_>) -> Result<Vetted> {
    match verdict(&staged, examination)? {
        Verdict::Sound { remarks, .. } => Ok(Vetted { staged, remarks }),
        turned_away => Err(anyhow!(
            "{}: {}",
            turned_away.word(),
            turned_away.reason().unwrap_or("for no reason")
        )),
    }
}

/// The verdict on a staged copy: the kept one, or that of the examiner.
pub(crate) fn verdict(staged: &Staged, examination: &Examination<'_>) -> Result<Verdict> {
    let store = examination.store;
    let store = store.filter(|_| staged.manifest.reads.is_empty());
    if let Some(store) = store
        && let Some(kept) = store.verdict(staged.staged_digest, examination.host_build)?
    {
        return Ok(kept);
    }
    let Examined { verdict, lasting } = examine(staged, examination)?;
    if let Some(store) = store.filter(|_| lasting) {
        store
            .keep_verdict(staged.staged_digest, examination.host_build, &verdict)
            .context("keeping the verdict")?;
    }
    Ok(verdict)
}

fn examine(staged: &Staged, examination: &Examination<'_>) -> Result<Examined> {
    let reads = &staged.manifest.reads;
    let data = (!reads.is_empty()).then(|| Supply::new(reads, examination.data));
    let order = Order::new(staged.copy.path(), staged.manifest.clone());
    let mut tries = 1;
    loop {
        let examined = (examination.examiners).examine(&order, examination.limit, data.as_ref());
        match examined {
            Err(error) if tries < TRIES => {
                tracing::warn!(
                    tries,
                    "the examiner could not be run, trying again: {error:#}"
                );
                std::thread::sleep(Duration::from_millis(50) * tries);
                tries += 1;
            }
            examined => return examined,
        }
    }
}
