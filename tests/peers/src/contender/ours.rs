//! Ours: the host, embedded, as a service calls it. This is the one place that knows how.

use super::{Caller, Contender, Who};
use crate::builds::Libraries;
use anyhow::{Context, Result, anyhow};
use host::{Handle, Host};
use interfaces::{Adds, Tallies};
use std::{path::Path, sync::Arc};
use tempfile::TempDir;

/// How it calls, as the tables say it.
pub(crate) const WAY: &str = "a typed handle, with panic barrier, count and histogram";

/// A running host with the plugins `calc` and `tally`.
pub(crate) struct Ours {
    adds: Handle<dyn Adds>,
    tallies: Handle<dyn Tallies>,
    host: Host,
    _state: TempDir,
}

impl Ours {
    /// Starts a host, and loads the plugins.
    pub(crate) fn start(libraries: &Libraries) -> Result<Self> {
        let state = tempfile::tempdir()?;
        let host = Host::builder().state_dir(state.path()).start()?;
        load(&host, &libraries.calc)?;
        load(&host, &libraries.tally)?;
        Ok(Ours {
            adds: host.handle("calc")?,
            tallies: host.handle("tally")?,
            host,
            _state: state,
        })
    }

    /// Swaps a plugin for this file, and waits for the outcome.
    pub(crate) fn load(&self, file: &Path) -> Result<host::report::SwapReport> {
        load(&self.host, file)
    }

    /// `Adds.add`, a `&self` method.
    pub(crate) fn add(&self) -> Result<impl FnMut(u64, u64) -> u64 + '_> {
        // Each thread has a clone, as a service's would.
        let adds = self.adds.clone();
        Ok(
            #[inline(always)]
            move |a, b| adds.add(a, b).expect("calls do not fail"),
        )
    }

    /// `Tallies.add_uncounted`, a `&self` method of a plugin that has a `&mut self` method too.
    pub(crate) fn add_beside(&self) -> Result<impl FnMut(u64, u64) -> u64 + '_> {
        let tallies = self.tallies.clone();
        Ok(
            #[inline(always)]
            move |a, b| tallies.add_uncounted(a, b).expect("calls do not fail"),
        )
    }

    /// `Tallies.add`, a `&mut self` method.
    pub(crate) fn add_exclusively(&self) -> Result<impl FnMut(u64, u64) -> u64 + '_> {
        let tallies = self.tallies.clone();
        Ok(
            #[inline(always)]
            move |a, b| tallies.add(a, b).expect("calls do not fail"),
        )
    }

    /// `Adds.busy`: a call that takes so many microseconds.
    pub(crate) fn busy(&self) -> Result<impl FnMut(u64) + '_> {
        Ok(|micros| {
            self.adds
                .busy(micros)
                .expect("calls do not fail, swap or not");
        })
    }
}

fn load(host: &Host, file: &Path) -> Result<host::report::SwapReport> {
    let loaded = host.load(file);
    loaded
        .map_err(|error| anyhow!("{error}"))
        .context("loading a plugin of the host")
}

/// The contender: a `&self` method.
pub(crate) struct Shared(pub(crate) Arc<Ours>);

/// The contender: a `&self` method of a plugin that has a `&mut self` method too, which nobody calls meanwhile.
pub(crate) struct Beside(pub(crate) Arc<Ours>);

/// The contender: a `&mut self` method.
pub(crate) struct Exclusive(pub(crate) Arc<Ours>);

impl Contender for Shared {
    fn who(&self) -> Who {
        Who::Ours
    }

    fn what(&self) -> String {
        format!("**ours**: {WAY}")
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(self.0.add()?))
    }
}

impl Contender for Beside {
    fn who(&self) -> Who {
        Who::OursBeside
    }

    fn what(&self) -> String {
        "**ours**: the same, of a plugin that has a `&mut self` method too".to_owned()
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(self.0.add_beside()?))
    }
}

impl Contender for Exclusive {
    fn who(&self) -> Who {
        Who::OursExclusive
    }

    fn what(&self) -> String {
        "**ours**: the same, a `&mut self` method".to_owned()
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(self.0.add_exclusively()?))
    }
}
