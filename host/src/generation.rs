//! A generation: one loaded life of a plugin.

use crate::{
    artifact::Digest,
    desk::Desk,
    foreign::{
        instance::{Candidate, Instance, Locking},
        tables::{Tables, TypedMethod, View},
    },
    gate::{Openness, Tally, Tenant},
    pace::Pace,
    pending::PendingCalls,
    steps::watch::StagedCopy,
};
use plugin_api::manifest::Manifest;
use smol_str::SmolStr;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// What there is to say of a loaded life, whatever has become of its object.
pub(crate) struct Life {
    /// The host's number for it, never used again.
    pub(crate) number: u64,
    /// What its artifact says of itself.
    pub(crate) manifest: Manifest,
    /// The plugin's name.
    pub(crate) plugin: Arc<str>,
    /// The author's version.
    pub(crate) version: Arc<str>,
    /// The digest of the author's file.
    pub(crate) digest: Digest,
    /// The author's file.
    pub(crate) file: Option<PathBuf>,
    /// Where it is served by the host.
    pub(crate) desk: Arc<Desk>,
    /// Where the calls into it are counted.
    pub(crate) tally: Arc<Tally>,
    /// The copy that is mapped; removed with this.
    pub(crate) copy: StagedCopy,
}

/// A life that serves, or served.
pub(crate) struct Generation {
    /// What there is to say of it.
    pub(crate) life: Life,
    /// Its object.
    pub(crate) instance: Instance,
    /// When it began to serve: milliseconds since 1970.
    pub(crate) since: AtomicU64,
    /// The author's version, to be told to callers.
    pub(crate) version: SmolStr,
    /// The calls that are pending in it.
    pub(crate) pending: PendingCalls,
    methods: HashMap<String, u32>,
    /// What is known of each method's pace.
    paces: Box<[Pace]>,
    tainted: AtomicBool,
    snapshot_is_stuck: AtomicBool,
}

impl Tenant for Generation {
    type View = View;

    fn views(&self) -> [&View; 2] {
        self.instance.open_to_callers().views()
    }

    fn number(&self) -> u64 {
        self.life.number
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.life.tally
    }

    fn openness(&self) -> Option<&Openness> {
        self.instance.openness()
    }
}

impl Generation {
    /// Makes a candidate ready for callers.
    pub(crate) fn new(life: Life, candidate: Candidate, tables: Arc<Tables>) -> Generation {
        let methods = &life.manifest.methods;
        let by_name = methods.iter().map(|method| method.exclusive);
        let typed = tables
            .offered()
            .flat_map(|interface| &interface.methods)
            .map(|method| method.exclusive);
        let lock = if by_name.chain(typed).any(|exclusive| exclusive) {
            Locking::ForExclusive
        } else {
            Locking::None
        };
        Generation {
            instance: candidate.into_instance(lock, tables),
            since: AtomicU64::new(0),
            version: SmolStr::new(&life.version),
            paces: methods.iter().map(|_| Pace::default()).collect(),
            pending: PendingCalls::default(),
            methods: methods
                .iter()
                .zip(0..)
                .map(|(method, number)| (method.name.clone(), number))
                .collect(),
            tainted: AtomicBool::new(false),
            snapshot_is_stuck: AtomicBool::new(false),
            life,
        }
    }

    /// The number of the method with this name, and whether it is called alone.
    pub(crate) fn method(&self, name: &str) -> Option<(u32, bool)> {
        let number = *self.methods.get(name)?;
        let method = self.life.manifest.methods.get(number as usize)?;
        Some((number, method.exclusive))
    }

    /// What is known of the pace of the method with this number.
    pub(crate) fn pace(&self, number: u32) -> Option<&Pace> {
        self.paces.get(number as usize)
    }

    /// Whether the method with this number is `async`.
    pub(crate) fn is_async(&self, number: u32) -> bool {
        let method = self.life.manifest.methods.get(number as usize);
        method.is_some_and(|method| method.r#async)
    }

    /// The name of the method with this number: `add`, or `Arithmetic.add` for one of an interface.
    pub(crate) fn method_name(&self, number: u32) -> String {
        let name = match TypedMethod::of(number) {
            Some(typed) => self.instance.tables().name(typed),
            None => {
                let method = self.life.manifest.methods.get(number as usize);
                method.map(|method| method.name.clone())
            }
        };
        name.unwrap_or_else(|| "?".to_owned())
    }

    /// Notes that a `&mut self` method panicked half-way, in this life or in one that its state comes from. Says whether that is news.
    pub(crate) fn taint(&self) -> bool {
        !self.tainted.swap(true, Ordering::Relaxed)
    }

    /// Whether a `&mut self` method panicked half-way, in this life or in one that its state comes from.
    pub(crate) fn is_tainted(&self) -> bool {
        self.tainted.load(Ordering::Relaxed)
    }

    /// Notes whether a snapshot is inside that has not returned: `&mut self` methods would wait for it for ever.
    pub(crate) fn set_snapshot_is_stuck(&self, is_stuck: bool) {
        self.snapshot_is_stuck.store(is_stuck, Ordering::Release);
    }

    /// Whether a snapshot is inside that has not returned.
    pub(crate) fn snapshot_is_stuck(&self) -> bool {
        self.snapshot_is_stuck.load(Ordering::Acquire)
    }
}
