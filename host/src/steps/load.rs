//! Load: maps the vetted copy and creates the candidate, while the incumbent serves.
//!
//! Takes a [`Vetted`] artifact. Gives a [`Loaded`] candidate. Fails when the copy cannot be mapped, its layout differs,
//! or its `new` fails or does not return. Callers notice nothing. Dropping the ticket retires the candidate.

use super::vet::Vetted;
use crate::{
    data::{Data, Snapshot, Title},
    desk::{Desk, Switchboard},
    foreign::tables::Tables,
    foreign::{
        instance::{Candidate, PluginFault, Remains},
        library::Library,
    },
    generation::{Generation, Life},
    hand::{CallsOut, Hand},
    interfaces::{Interfaces, Proposal},
    slot::Slot,
    sweeper::{Retired, Sweeper, way_back},
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// A candidate: created, and not yet serving.
pub(crate) struct Loaded {
    body: Option<(Life, Candidate)>,
    /// The thread that runs its code.
    pub(crate) hand: Hand,
    /// What an operator should know of it.
    pub(crate) remarks: Vec<String>,
    /// Its interfaces, as proposed to those who use them.
    proposed: Option<(Arc<Tables>, Proposal)>,
    sweeper: Arc<Sweeper>,
}

/// What a load needs beside the artifact.
pub(crate) struct Loading<'a> {
    /// The generation it becomes.
    pub(crate) number: u64,
    /// How long `new` may take.
    pub(crate) limit: Duration,
    /// Where it is to serve.
    pub(crate) slot: Arc<Slot>,
    /// Who serves it.
    pub(crate) host: Weak<dyn Switchboard>,
    /// Who takes it if it comes to nothing.
    pub(crate) sweeper: Arc<Sweeper>,
    /// The data it may read.
    pub(crate) data: &'a Data,
    /// What is proposed to be shown of it when the candidate serves, if that is not what is shown now.
    pub(crate) proposed: Option<&'a Arc<Snapshot>>,
}

/// Loads a vetted artifact.
pub(crate) fn load(vetted: Vetted, loading: Loading<'_>) -> Result<Loaded> {
    let Loading {
        number,
        limit,
        slot,
        host,
        sweeper,
        data,
        proposed,
    } = loading;
    let Vetted {
        mut staged,
        remarks,
    } = vetted;
    let plugin: Arc<str> = Arc::from(staged.manifest.name.as_str());
    // By its note, before any of its code runs.
    Interfaces::check(&slot, &staged.manifest.interfaces).map_err(|reason| anyhow!(reason))?;
    // A name no library has had, on an inode none has had: the dynamic linker would give an older one for either.
    staged
        .copy
        .rename(&format!("{plugin}-{number}-{}.so", staged.digest.short()))?;
    let library = Library::open(staged.copy.path())?;
    let version: Arc<str> = Arc::from(staged.manifest.version.as_str());
    let title = Title {
        plugin: Arc::clone(&plugin),
        version: Arc::clone(&version),
        generation: number,
        is_told: staged
            .manifest
            .methods
            .iter()
            .any(|m| m.name == "on_change"),
    };
    let gate_id = slot.gate.gate_id();
    let parser = Arc::new(library.parser());
    let reader = data.reader(&staged.manifest.reads, title, parser, gate_id, limit)?;
    let desk = Desk::new(host, Arc::clone(&plugin), number, gate_id, reader.clone());
    let life = Life {
        number,
        version,
        manifest: staged.manifest,
        plugin,
        digest: staged.digest,
        file: staged.file,
        desk,
        tally: Arc::default(),
        copy: staged.copy,
    };
    // Before its `new`, which may look at it.
    if let Some(reader) = &reader
        && let Err(reason) = data.enroll(reader, proposed)
    {
        sweeper.leave(Retired::remains(life, Remains::Library(library)));
        return Err(reason);
    }
    let hand = Hand::new(&life.plugin).context("starting a thread for the candidate")?;
    let services = life.desk.services();
    let ordered = Arc::clone(&life.desk);
    let (came_back, awaited) = way_back();
    let created = hand.run(
        limit,
        CallsOut::Allowed,
        move || {
            let created = Candidate::create(library, services);
            if created.is_err() {
                // The jobs that it ordered before it failed are made of the library: they go first.
                ordered.close();
            }
            created
        },
        move |late| match late {
            Ok(candidate) => came_back.candidate(candidate),
            Err((_fault, remains)) => came_back.remains(remains),
        },
    );
    match created {
        Ok(Ok(candidate)) => {
            let mut loaded = Loaded {
                body: Some((life, candidate)),
                hand,
                remarks,
                proposed: None,
                sweeper,
            };
            loaded.propose(&slot)?;
            Ok(loaded)
        }
        Ok(Err((fault, remains))) => {
            sweeper.leave(Retired::remains(life, remains));
            Err(anyhow!("creating it: {fault}"))
        }
        Err(_stuck) => {
            let cause = "its `new` has not returned".to_owned();
            sweeper.leave(Retired::stuck(life, cause, awaited));
            bail!(
                "creating it: `new` has not returned within {}",
                humantime::format_duration(limit)
            )
        }
    }
}

/// A generation that only has to be let callers in.
pub(crate) struct Ready {
    /// It.
    pub(crate) generation: Arc<Generation>,
    /// What an operator should know of it.
    pub(crate) remarks: Vec<String>,
    /// To be dropped once it serves.
    pub(crate) proposal: Proposal,
}

/// What a hand was asked for, and why it is not there.
pub(crate) enum Unhanded {
    /// The plugin's fault.
    Fault(PluginFault),
    /// It has not returned.
    Stuck,
}

impl Loaded {
    /// What there is to say of the candidate.
    ///
    /// # Errors
    /// It is lost: code of its that was asked for something has not returned.
    pub(crate) fn life(&self) -> Result<&Life> {
        let body = self.body.as_ref().context("the candidate is lost")?;
        Ok(&body.0)
    }

    /// Compares the candidate's interfaces with its note, and proposes them to those who use the slot's.
    fn propose(&mut self, slot: &Arc<Slot>) -> Result<()> {
        let (life, candidate) = self.body.as_ref().context("the candidate is lost")?;
        let tables = Arc::new(candidate.tables()?);
        ensure!(
            tables.offered().eq(&life.manifest.interfaces),
            "the interfaces in its library are not those in its note"
        );
        let proposal = Interfaces::propose(slot, &tables).map_err(|reason| anyhow!(reason))?;
        self.proposed = Some((tables, proposal));
        Ok(())
    }

    /// Lets the hand do something with the candidate, for at most `limit`. A candidate that does not come back in time
    /// is left to the sweeper, with `cause`.
    pub(crate) fn ask<T: Send + 'static>(
        &mut self,
        limit: Duration,
        cause: &str,
        work: impl FnOnce(&mut Candidate) -> Result<T, PluginFault> + Send + 'static,
    ) -> Result<T, Unhanded> {
        let Some((life, mut candidate)) = self.body.take() else {
            return Err(Unhanded::Stuck);
        };
        let (came_back, awaited) = way_back();
        let done = self.hand.run(
            limit,
            CallsOut::Refused,
            move || {
                let outcome = work(&mut candidate);
                (candidate, outcome)
            },
            move |(candidate, _too_late)| came_back.candidate(candidate),
        );
        match done {
            Ok((candidate, outcome)) => {
                self.body = Some((life, candidate));
                outcome.map_err(Unhanded::Fault)
            }
            Err(_stuck) => {
                let retired = Retired::stuck(life, cause.to_owned(), awaited);
                self.sweeper.leave(retired);
                Err(Unhanded::Stuck)
            }
        }
    }

    /// Makes it a generation, whose interfaces stay proposed until it serves.
    ///
    /// # Errors
    /// The candidate is lost, or cannot use data that was published since it was loaded.
    pub(crate) fn into_generation(mut self) -> Result<Ready> {
        if let Some(reader) = self.life()?.desk.reader() {
            reader.serve().map_err(|reason| anyhow!(reason))?;
        }
        let (tables, proposal) = self.proposed.take().context("the candidate is lost")?;
        let (life, candidate) = self.body.take().context("the candidate is lost")?;
        Ok(Ready {
            generation: Arc::new(Generation::new(life, candidate, tables)),
            remarks: std::mem::take(&mut self.remarks),
            proposal,
        })
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if let Some((life, candidate)) = self.body.take() {
            self.sweeper.leave(Retired::candidate(life, candidate));
        }
    }
}
