//! A release: versions of plugins and revisions of datasets that belong together, applied as one.
//!
//! All that can fail by itself comes first: files are read, contents parsed and checked, artifacts examined and their
//! candidates made, against the data as it will be. Then the release is written down, the data is published in one step,
//! and the plugins are swapped, one after the other. Whatever fails puts everything back that was done by then; and a
//! release that the end of a process has cut off is put back at the next start.
//!
//! # Invariants
//! 1. One release at a time.
//! 2. Nothing is changed before the release's intent is on disk, with what was there before.
//! 3. An intent without an outcome means that what was there before counts.

mod apply;
mod back;
mod face;
mod file;
mod plan;
mod record;

pub use face::{ReleaseError, ReleaseReport};
pub use record::{DatasetMove, PluginMove, ReleaseOutcome, ReleaseRecord};

use crate::host::RollbackTarget;
pub(crate) use back::put_back_unfinished;
use std::{collections::BTreeMap, path::PathBuf};

/// What belongs together, as it is asked for.
///
/// ```
/// use host::release::{ContentOf, ArtifactOf, Release};
///
/// let mut release = Release::named("summer prices");
/// let library = ArtifactOf::File("target/release/libpricing.so".into());
/// release.plugins.insert("pricing".to_owned(), library);
/// release.data.insert("rates".to_owned(), ContentOf::File("rates.json".into()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// What people call it.
    pub name: Option<String>,
    /// Plugins, by name.
    pub plugins: BTreeMap<String, ArtifactOf>,
    /// Datasets, by name.
    pub data: BTreeMap<String, ContentOf>,
}

/// Where a plugin's artifact is to come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactOf {
    /// A file.
    File(PathBuf),
    /// What has served before.
    Served(RollbackTarget),
    /// Nowhere: the plugin is taken out of service, with its state saved.
    None,
}

/// Where a dataset's content is to come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentOf {
    /// A file.
    File(PathBuf),
    /// A kept revision.
    Revision(u64),
    /// Here it is.
    Bytes(Vec<u8>),
}

impl Release {
    /// An empty release of this name.
    pub fn named(name: impl Into<String>) -> Self {
        Release {
            name: Some(name.into()),
            ..Release::default()
        }
    }
}
