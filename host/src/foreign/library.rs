//! A library: a plugin's file mapped into this process, its layout checked, and its way out of memory again.
//!
//! The file mapped is always a staged copy of the host's own, under a name and an inode that no other library has had:
//! the dynamic linker would give back an older library for either. What is mapped is compared with the copy that was
//! asked for.

use super::{
    interpose::{Hold, Range},
    mapping,
    parsed::{Parser, Uses},
};
use abi_stable::{
    StableAbi,
    abi_stability::abi_checking::{CheckingGlobals, check_layout_compatibility_with_globals},
    library::AbiHeaderRef,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use plugin_api::contract::{EXPORTED_HEADER, PluginModuleRef};
use std::{
    ffi::{CStr, OsStr, c_int, c_void},
    mem::ManuallyDrop,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A mapped library. Dropping it leaves it mapped; [`Library::close`] takes it out of memory.
pub(crate) struct Library {
    handle: ManuallyDrop<Handle>,
    module: PluginModuleRef,
    range: Arc<Range>,
    staged: PathBuf,
    /// What is made of it beside its object.
    uses: Uses,
}

/// What became of an attempt to close a library.
pub(crate) enum Closing {
    /// It is out of memory.
    Unmapped,
    /// Something holds it; it can be tried again.
    Held(Library, Hold),
    /// It parses data, or data that it has parsed is there; it can be tried again.
    Used(Library),
    /// It was closed, and its code is mapped all the same: something outside of the host's sight pins it.
    Pinned(Pinned),
}

/// A library that was closed and whose code is mapped all the same.
pub(crate) struct Pinned {
    range: Arc<Range>,
    staged: PathBuf,
}

impl Library {
    /// Maps the staged copy and checks that its contract has the host's layout.
    ///
    /// # Errors
    /// The dynamic linker's words; another file was mapped than asked for; no or another contract.
    pub(crate) fn open(staged: &Path) -> Result<Library> {
        // SAFETY: Constructors of the file run here. It is an artifact that an examiner process has loaded before, or
        // this is that process; beyond that, native plugins are trusted, as the README says.
        let handle = unsafe { Handle::open(Some(staged), RTLD_NOW | RTLD_LOCAL) }
            .with_context(|| format!("mapping {}", staged.display()))?;
        let (start, end) = extent(staged)
            .with_context(|| format!("finding {} in memory after mapping it", staged.display()))?;
        let range = Range::register(start, end);
        match check(&handle, staged) {
            Ok(module) => Ok(Library {
                handle: ManuallyDrop::new(handle),
                module,
                range,
                staged: staged.to_owned(),
                uses: Uses::none(),
            }),
            Err(error) => {
                // Nothing of it was called but constructors. If they left something, it stays mapped, unused: dropping the
                // handle would close it.
                let handle = ManuallyDrop::new(handle);
                if range.settle().is_ok() && ManuallyDrop::into_inner(handle).close().is_ok() {
                    range.release();
                }
                Err(error)
            }
        }
    }

    /// The module it offers. It must not be used after [`Library::close`], which takes the library by value.
    pub(super) fn module(&self) -> PluginModuleRef {
        self.module
    }

    /// What parses data with it.
    pub(crate) fn parser(&self) -> Parser {
        Parser::new(self.module, self.uses.another())
    }

    /// Says that nothing of it runs any more but destructors of thread-locals.
    pub(crate) fn vacate(&self) {
        self.range.vacate();
    }

    /// What still holds it but for data that it has parsed; with nothing, no code of its will look at that any more.
    pub(crate) fn held_by(&self) -> Option<Hold> {
        self.range.settle().err()
    }

    /// The threads it started that are alive.
    pub(crate) fn living_threads(&self) -> usize {
        self.range.living_threads()
    }

    /// Takes it out of memory, if nothing holds it, and looks whether it is gone.
    ///
    /// # Safety
    /// Nothing made by the library's code is left but what the C library holds, and none of its code runs: its object is
    /// retired and dropped, its jobs have ended, and no call is inside. Parsed data is looked for here.
    pub(crate) unsafe fn close(mut self) -> Result<Closing> {
        if !self.uses.are_over() {
            return Ok(Closing::Used(self));
        }
        if let Err(hold) = self.range.settle() {
            return Ok(Closing::Held(self, hold));
        }
        let Library {
            handle,
            range,
            staged,
            ..
        } = self;
        ManuallyDrop::into_inner(handle)
            .close()
            .with_context(|| format!("closing {}", staged.display()))?;
        let pinned = Pinned { range, staged };
        Ok(match pinned.look_again() {
            None => Closing::Unmapped,
            Some(pinned) => Closing::Pinned(pinned),
        })
    }
}

impl Pinned {
    /// Looks whether it has gone since: the dynamic linker collects whenever any library is closed. Where that cannot be
    /// seen now, it counts as mapped.
    pub(crate) fn look_again(self) -> Option<Pinned> {
        if mapping::of(&self.staged).map_or(true, |mapped| mapped.executable) {
            return Some(self);
        }
        self.range.release();
        None
    }
}

/// Checks what was mapped: that it is the copy asked for, and that its module has the layout of the host's contract.
fn check(handle: &Handle, staged: &Path) -> Result<PluginModuleRef> {
    let inode = std::fs::metadata(staged)
        .with_context(|| format!("looking at {}", staged.display()))?
        .ino();
    ensure!(
        mapping::of(staged)?.inode == Some(inode),
        "the dynamic linker mapped another file than {}",
        staged.display()
    );
    // SAFETY: The symbol is only read as an address: `AbiHeaderRef` is one word. What it points to is checked next.
    let header = unsafe { handle.get::<AbiHeaderRef>(EXPORTED_HEADER.as_bytes()) }
        .map_err(|_| {
            anyhow!(
                "it exports no `{EXPORTED_HEADER}`: write #[plugin_api::plugin] on an impl block, and build it as a \
                 cdylib"
            )
        })?;
    let header = header
        .upgrade()
        .map_err(|error| anyhow!("its header is of another abi_stable: {error}"))?;
    let theirs = header
        .layout()
        .context("it was built without a description of its layout")?;
    // The check keeps references into the library in its globals, so these must not outlive it.
    let globals = CheckingGlobals::new();
    let ours = <PluginModuleRef as StableAbi>::LAYOUT;
    if let Err(error) = check_layout_compatibility_with_globals(ours, theirs, &globals) {
        bail!(
            "it was built against another plugin-api than this host, whose contract has another layout at the same level: \
             rebuild it against this one ({})",
            differences(&error.to_string())
        );
    }
    drop(globals);
    // SAFETY: The layout was just found compatible with that of `PluginModuleRef`.
    unsafe { header.init_root_module_with_unchecked_layout::<PluginModuleRef>() }
        .map_err(|error| anyhow!("its module could not be reached: {error}"))
}

/// What differs, out of a report that shows all of both layouts.
fn differences(report: &str) -> String {
    const NAMED: usize = 3;
    let differences: Vec<String> = report
        .split("Error:")
        .skip(1)
        .take(NAMED)
        .map(|difference| {
            let lines = difference.lines().map(str::trim);
            let lines: Vec<&str> = lines
                .take_while(|line| !line.is_empty() && !line.contains("error(s)"))
                .collect();
            lines.join(" ")
        })
        .collect();
    differences.join("; ")
}

/// The first address of the library mapped from `staged`, and the one past its last.
fn extent(staged: &Path) -> Result<(usize, usize)> {
    let mut search = Search {
        name: staged.as_os_str(),
        found: None,
    };
    // SAFETY: `visit` is called during this call only, with the pointer to `search`, which lives as long.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found.context("the dynamic linker does not list it")
}

struct Search<'a> {
    name: &'a OsStr,
    found: Option<(usize, usize)>,
}

/// Looks at one loaded object; a result other than 0 ends the search.
///
/// # Safety
/// Called by `dl_iterate_phdr` with a valid description and the `Search` it was given.
unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    search: *mut c_void,
) -> c_int {
    // SAFETY: `dl_iterate_phdr` passes a description that is valid during this call.
    let info = unsafe { &*info };
    // SAFETY: It is the pointer that `extent` passed in, to a `Search` that nothing else uses meanwhile.
    let search = unsafe { &mut *search.cast::<Search<'_>>() };
    if info.dlpi_name.is_null() {
        return 0;
    }
    // SAFETY: The name is a C string that is valid during this call.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) };
    if name.to_bytes() != search.name.as_bytes() {
        return 0;
    }
    // SAFETY: The description holds that many program headers, valid during this call.
    let headers =
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let loads = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD);
    let base = info.dlpi_addr as usize;
    let start = loads.clone().map(|load| base + load.p_vaddr as usize).min();
    let end = loads
        .map(|load| base + load.p_vaddr as usize + load.p_memsz as usize)
        .max();
    search.found = start.zip(end);
    1
}
