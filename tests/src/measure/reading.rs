//! A reading: what this process and the host's store look like at one moment.

use crate::process;
use anyhow::{Context, Result};
use serde::Serialize;
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// What is counted at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Reading {
    /// Swaps so far.
    pub swaps: u64,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Lines of `/proc/self/maps`.
    pub mappings: usize,
    /// Threads.
    pub threads: usize,
    /// Open file descriptors.
    pub files: usize,
    /// What the state directory takes on disk, in bytes.
    pub store: u64,
}

impl Reading {
    /// Reads this process, and the state directory of its host.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn take(swaps: u64, state_dir: &Path) -> Result<Self> {
        Ok(Reading {
            swaps,
            resident: process::resident(),
            mappings: process::mappings(),
            threads: process::threads(),
            files: process::open_files(),
            store: size(state_dir).with_context(|| format!("measuring {}", state_dir.display()))?,
        })
    }
}

/// What is in and below `path` takes on disk.
fn size(path: &Path) -> std::io::Result<u64> {
    let metadata = match fs::symlink_metadata(path) {
        // Files go while they are counted.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        metadata => metadata?,
    };
    let mut bytes = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            bytes += size(&entry?.path())?;
        }
    }
    Ok(bytes)
}
