//! hot-lib-reloader: the functions that its macro generates, one module for each way it is set up here.
//!
//! A module watches its folder from its first call on, until the program ends.

use super::{Caller, Contender, Who};
use anyhow::{Context, Result};
use std::{fs, path::Path, sync::OnceLock};
use tempfile::TempDir;

/// A folder with `libadder.so`, as one module watches it.
pub(crate) struct Folder(OnceLock<TempDir>);

/// For calls.
pub(crate) static CALLS: Folder = Folder(OnceLock::new());
/// For swaps, with the documented default: a debounce of 500 ms.
pub(crate) static DEFAULT: Folder = Folder(OnceLock::new());
/// For swaps, with a debounce of 1 ms.
pub(crate) static SHORTEST: Folder = Folder(OnceLock::new());

impl Folder {
    /// Makes it, with this library, or leaves it as it is.
    pub(crate) fn with(&self, library: &Path) -> Result<&Path> {
        if self.0.get().is_none() {
            let folder = tempfile::tempdir().context("making a folder for hot-lib-reloader")?;
            fs::copy(library, folder.path().join("libadder.so"))?;
            let _made_meanwhile = self.0.set(folder);
        }
        Ok(self.path())
    }

    fn path(&self) -> &Path {
        self.0
            .get()
            .expect("it is made before the module is used")
            .path()
    }
}

/// For calls.
#[expect(unsafe_code, reason = "the macro writes it")]
#[hot_lib_reloader::hot_module(dylib = "adder", lib_dir = super::CALLS.path())]
mod for_calls {
    #[hot_functions]
    extern "Rust" {
        pub fn add(a: u64, b: u64) -> u64;
    }
}

/// For swaps, as it comes.
#[expect(unsafe_code, reason = "the macro writes it")]
#[hot_lib_reloader::hot_module(dylib = "adder", lib_dir = super::DEFAULT.path())]
pub(crate) mod by_default {
    #[hot_functions]
    extern "Rust" {
        pub fn build() -> u64;
    }
}

/// For swaps, as fast as it goes.
#[expect(unsafe_code, reason = "the macro writes it")]
#[hot_lib_reloader::hot_module(dylib = "adder", lib_dir = super::SHORTEST.path(), file_watch_debounce = 1)]
pub(crate) mod at_its_shortest {
    #[hot_functions]
    extern "Rust" {
        pub fn build() -> u64;
    }
}

/// The contender.
pub(crate) struct HotLibReloader;

impl HotLibReloader {
    pub(crate) fn new(library: &Path) -> Result<Self> {
        CALLS.with(library)?;
        Ok(HotLibReloader)
    }
}

impl Contender for HotLibReloader {
    fn who(&self) -> Who {
        Who::HotLibReloader
    }

    fn what(&self) -> String {
        format!(
            "hot-lib-reloader {}, generated function",
            crate::machine::version_of("hot-lib-reloader")
        )
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        Ok(Box::new(for_calls::add))
    }
}
