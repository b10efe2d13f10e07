//! Ours: the host, embedded, as a service calls it. This is the one place that knows how.
//!
//! Typed handles are to come here. Until then calls go by name, with JSON there and back, and are told as such.

use super::{Caller, Contender, Who};
use crate::builds::Libraries;
use anyhow::{Context, Result, anyhow};
use host::Host;
use std::{io::Write, path::Path, sync::Arc};
use tempfile::TempDir;

/// How it calls, as the tables say it.
pub(crate) const WAY: &str = "`host.call` by name, JSON (a stand-in for the typed handle)";
/// Whether this is what ratios to the typed call are meant for.
pub(crate) const IS_STAND_IN: bool = true;

/// A running host with the plugins `calc` and `tally`.
pub(crate) struct Ours {
    host: Host,
    _state: TempDir,
}

impl Ours {
    /// Starts a host, and loads the plugins.
    pub(crate) fn start(libraries: &Libraries) -> Result<Self> {
        let state = tempfile::tempdir()?;
        let host = Host::builder().state_dir(state.path()).start()?;
        let ours = Ours {
            host,
            _state: state,
        };
        ours.load(&libraries.calc)?;
        ours.load(&libraries.tally)?;
        Ok(ours)
    }

    /// Swaps a plugin for this file, and waits for the outcome.
    pub(crate) fn load(&self, file: &Path) -> Result<host::report::SwapReport> {
        let loaded = self.host.load(file);
        loaded
            .map_err(|error| anyhow!("{error}"))
            .context("loading a plugin of the host")
    }

    /// `calc.add`, a `&self` method.
    pub(crate) fn add(&self) -> Result<impl FnMut(u64, u64) -> u64 + '_> {
        Ok(self.by_name("calc"))
    }

    /// `tally.add`, a `&mut self` method.
    pub(crate) fn add_exclusively(&self) -> Result<impl FnMut(u64, u64) -> u64 + '_> {
        Ok(self.by_name("tally"))
    }

    /// `calc.busy`: a call that takes so many microseconds.
    pub(crate) fn busy(&self) -> Result<impl FnMut(u64) + '_> {
        let mut arguments = Vec::with_capacity(32);
        Ok(move |micros| {
            arguments.clear();
            write!(arguments, "[{micros}]").expect("memory takes it");
            let answered = self.host.call("calc", "busy", &arguments);
            answered.expect("calls do not fail, swap or not");
        })
    }

    fn by_name(&self, plugin: &'static str) -> impl FnMut(u64, u64) -> u64 + '_ {
        let mut arguments = Vec::with_capacity(64);
        move |a, b| {
            arguments.clear();
            write!(arguments, "[{a},{b}]").expect("memory takes it");
            let reply = self.host.call(plugin, "add", &arguments);
            let result = reply.expect("calls do not fail").result;
            let sum = std::str::from_utf8(&result)
                .ok()
                .and_then(|sum| sum.parse().ok());
            sum.expect("a sum is a number")
        }
    }
}

/// The contender: a `&self` method.
pub(crate) struct Shared(pub(crate) Arc<Ours>);

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
