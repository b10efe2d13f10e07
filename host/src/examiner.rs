//! The examiner: a child process that does with an artifact what a load would do, so that only the child can come to harm.
//!
//! It maps the staged copy, checks the contract's layout, creates the plugin with inert services, snapshots, restores and
//! snapshots it again, and drops it; never does it call an author's method. It tells its parent each stage before it
//! begins it, over the socket that is its standard input, and last the verdict: so a crash or a silence has a place.
//!
//! Which artifact it is to examine comes over the same socket the other way, as its [`Order`]: now, or once there is one (see
//! `standby`). It examines that one and ends; before its first stage it has touched nothing of it. A plugin that reads hot
//! data is given what its datasets hold now, after the order: it parses and checks each, and its `new` can look at it.

use crate::{
    data::{self, Format, Revision},
    desk,
    exhibit::{Exhibit, Exhibits},
    foreign::{instance::Candidate, library::Library, parsed::Parse},
    likeness,
    report::Verdict,
};
use anyhow::{Context, Result, ensure};
use plugin_api::manifest::{Encoding, Manifest};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    sync::Arc,
};

/// The first argument of an examiner process.
pub(crate) const MARK: &str = "--examine-artifact-for-host";

/// What the examiner tells its parent, one JSON object a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "tells", rename_all = "snake_case")]
pub(crate) enum Tells {
    /// What it is about to do.
    Stage {
        /// In words, as in "creating it".
        stage: String,
    },
    /// What it has found.
    Found {
        /// The verdict.
        verdict: Verdict,
        /// Whether it depends on nothing but the artifact, so that it holds next time too.
        lasting: bool,
    },
}

/// What an examiner is asked for, one JSON object in one line. What the artifact reads of data follows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The staged copy, by a path that need not be text.
    artifact: OsString,
    /// What it says of itself.
    manifest: Manifest,
}

impl Order {
    /// To examine this staged copy, which has this manifest.
    pub(crate) fn new(staged: &Path, manifest: Manifest) -> Order {
        Order {
            artifact: staged.into(),
            manifest,
        }
    }

    /// To examine a file of this name.
    #[cfg(test)]
    pub(crate) fn any(name: &str) -> Order {
        let manifest = serde_json::json!({
            "contract": 2, "abi_stable": "", "name": "any", "version": "1.0.0", "panic": "unwind", "mode": "barrier",
            "methods": [], "interfaces": [],
        });
        Order::new(
            Path::new(name),
            serde_json::from_value(manifest).expect("a manifest"),
        )
    }

    /// Writes it for the examiner.
    pub(crate) fn write(&self, to: impl Write) -> Result<()> {
        write_line(to, self)
    }

    /// Waits for it. One that never comes is an error.
    fn read(mut from: impl BufRead) -> Result<Order> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// Writes one JSON object in one line.
fn write_line(mut to: impl Write, what: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    Ok(to.write_all(&line)?)
}

/// Examines an artifact and ends the process, if this is an examiner process; does nothing otherwise.
///
/// It must be the first thing in the `main` of a program that is its own examiner (see
/// [`HostBuilder::examiner`](crate::HostBuilder::examiner)). A host may start such a process before it has an artifact for it:
/// it waits here then, and ends with its host.
///
/// ```no_run
/// host::examiner();
/// // The service begins here.
/// ```
pub fn examiner() {
    if !is_examiner() {
        return;
    }
    let status = match examine_for_parent() {
        Ok(()) => 0,
        Err(_parent_gone) => 2,
    };
    #[expect(
        clippy::exit,
        reason = "an examiner process ends here, whatever the program around it"
    )]
    std::process::exit(status);
}

/// Whether this process was started to examine an artifact.
pub(crate) fn is_examiner() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == MARK)
}

/// What a plugin is given of the datasets it reads; the contents follow, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Supply {
    /// In the order of its manifest; `None` where nothing is at hand.
    given: Option<Vec<Given>>,
    #[serde(skip)]
    contents: Vec<Arc<Revision>>,
}

/// One content that is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Given {
    dataset: String,
    revision: u64,
    written_in: Format,
    /// As the contract has it.
    format: u32,
    length: usize,
}

/// Each content, with what it is.
type Contents = Vec<(Given, Vec<u8>)>;

impl Supply {
    /// What these datasets hold, if that is at hand.
    pub(crate) fn new(reads: &[String], held: Option<&[Arc<Revision>]>) -> Supply {
        let given = held.map(|held| {
            let each = reads.iter().zip(held);
            each.map(|(dataset, revision)| {
                let (format, content) = data::crossing(revision);
                Given {
                    dataset: dataset.clone(),
                    revision: revision.record.number,
                    written_in: revision.record.format,
                    format,
                    length: content.len(),
                }
            })
            .collect()
        });
        Supply {
            given,
            contents: held.map(<[_]>::to_vec).unwrap_or_default(),
        }
    }

    /// Writes it for the examiner.
    pub(crate) fn write(&self, to: &mut impl Write) -> Result<()> {
        write_line(&mut *to, self)?;
        for revision in &self.contents {
            to.write_all(&data::crossing(revision).1)?;
        }
        Ok(())
    }

    /// Reads it, with the contents.
    fn read(mut from: impl BufRead) -> Result<Option<Contents>> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let supply: Supply = serde_json::from_str(&line)?;
        let Some(given) = supply.given else {
            return Ok(None);
        };
        let with_content = |given: Given| {
            let mut content = Vec::new();
            let length = given.length;
            (&mut from).take(length as u64).read_to_end(&mut content)?;
            ensure!(content.len() == length, "the parent has hung up");
            Ok((given, content))
        };
        given
            .into_iter()
            .map(with_content)
            .collect::<Result<_>>()
            .map(Some)
    }
}

/// Closes what was inherited beside standard input, output and error: a standby that waits for hours must not keep a
/// connection or a lock of its host's alive.
#[expect(unsafe_code, reason = "a system call that no safe crate offers")]
fn close_what_was_inherited() {
    // SAFETY: It takes no pointers. Nothing in this process has a descriptor of its own yet: this is the first thing that its
    // `main` does.
    let _not_before_linux_5_9 = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

fn examine_for_parent() -> Result<()> {
    close_what_was_inherited();
    // Neither a core file nor a life beyond that of the parent's thread.
    let _kept = rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    let _kept =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
    let parent = UnixStream::from(stdin);
    let mut given = BufReader::new(parent.try_clone()?);
    let order = Order::read(&mut given)?;
    let (verdict, lasting) = examine(order, given, &mut |stage| {
        let stage = stage.to_owned();
        write_line(&parent, &Tells::Stage { stage })
    })?;
    write_line(&parent, &Tells::Found { verdict, lasting })
}

/// Gives the verdict, and whether it depends on nothing but the artifact.
fn examine(
    order: Order,
    supply: impl BufRead,
    stage: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<(Verdict, bool)> {
    let refused = |reason: String| Verdict::Refused { reason };
    let Order { artifact, manifest } = order;
    stage("mapping it")?;
    let library = match Library::open(Path::new(&artifact)) {
        Ok(library) => library,
        // It may want another library that is installed tomorrow.
        Err(error) => return Ok((refused(format!("{error:#}")), false)),
    };
    let exhibits = match exhibits(&library, &manifest, supply, stage)? {
        Ok(exhibits) => exhibits,
        Err(reason) => return Ok((refused(reason), false)),
    };
    let mut remarks = Vec::new();
    if exhibits.is_empty() && !manifest.reads.is_empty() {
        remarks.push(format!(
            "the data it reads ({}) was not at hand: whether that fits is seen where a host loads it",
            manifest.reads.join(", ")
        ));
    }
    stage("creating it (`new`)")?;
    let mut candidate = match Candidate::create(library, desk::inert(Arc::clone(&exhibits))) {
        Ok(candidate) => candidate,
        Err((_fault, _remains)) if exhibits.were_missed() => {
            remarks.push("its `new` looks at that data, so it was not created".to_owned());
            let manifest = Box::new(manifest);
            return Ok((Verdict::Sound { manifest, remarks }, false));
        }
        // What `new` makes of its surroundings may be another thing tomorrow.
        Err((fault, _remains)) => return Ok((refused(format!("creating it: {fault}")), false)),
    };
    stage("looking at its interfaces")?;
    let found = match (check_interfaces(&candidate, &manifest), manifest.schema) {
        (Ok(()), Some(schema)) => try_handover(&mut candidate, &manifest, schema, stage)?,
        (found, _) => found,
    };
    stage("dropping it")?;
    let (_remains, dropped) = candidate.retire();
    drop(exhibits);
    if let Err(fault) = dropped {
        remarks.push(format!("dropping it: {fault}"));
    }
    Ok(match found {
        Ok(()) => (
            Verdict::Sound {
                manifest: Box::new(manifest),
                remarks,
            },
            true,
        ),
        Err(reason) => (refused(reason), true),
    })
}

/// Parses and checks what the datasets hold that it reads.
fn exhibits(
    library: &Library,
    manifest: &Manifest,
    supply: impl BufRead,
    stage: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<Result<Arc<Exhibits>, String>> {
    if manifest.reads.is_empty() {
        return Ok(Ok(Arc::default()));
    }
    stage("being given the data it reads")?;
    let Some(given) = Supply::read(supply).context("being given data")? else {
        return Ok(Ok(Arc::default()));
    };
    let parser = library.parser();
    let mut exhibits = Vec::new();
    for (number, (given, content)) in (0..).zip(given) {
        let (dataset, revision) = (&given.dataset, given.revision);
        stage(&format!("parsing data \"{dataset}\" revision {revision}"))?;
        match parser.parse(number, given.format, &content) {
            Ok(parsed) => exhibits.push(Exhibit::new(parsed)),
            Err(fault) => {
                let mistake = data::mistake(&fault, given.written_in);
                return Ok(Err(format!(
                    "data \"{dataset}\" revision {revision}: {mistake}"
                )));
            }
        }
    }
    Ok(Ok(Arc::new(Exhibits::new(exhibits))))
}

/// Compares the interfaces in the library with those in the note.
fn check_interfaces(candidate: &Candidate, manifest: &Manifest) -> Result<(), String> {
    let tables = candidate.tables().map_err(|error| format!("{error:#}"))?;
    if tables.offered().eq(&manifest.interfaces) {
        return Ok(());
    }
    let names: Vec<&str> = tables.offered().map(|found| found.name.as_str()).collect();
    Err(format!(
        "the interfaces in its library ({}) are not those in its note; rebuild it",
        names.join(", ")
    ))
}

/// Takes the state of a new plugin through a handover to itself.
fn try_handover(
    candidate: &mut Candidate,
    manifest: &Manifest,
    schema: u32,
    stage: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<Result<(), String>> {
    stage("taking a snapshot of its state")?;
    let snapshot = match candidate.snapshot(schema) {
        Ok(snapshot) => snapshot,
        Err(fault) => return Ok(Err(format!("taking a snapshot of its state: {fault}"))),
    };
    stage("restoring that snapshot")?;
    if let Err(fault) = candidate.restore(schema, &snapshot) {
        return Ok(Err(format!("restoring its own snapshot: {fault}")));
    }
    if manifest.encoding != Encoding::Messagepack {
        return Ok(Ok(()));
    }
    stage("taking a snapshot of the restored state")?;
    Ok(match candidate.snapshot(schema) {
        Ok(again) => likeness::holds(&snapshot, &again)
            .map_err(|difference| format!("it does not keep its own state: {difference}")),
        Err(fault) => Err(format!("taking a snapshot of the restored state: {fault}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    #[test]
    fn an_order_is_one_line_whatever_the_path() {
        let path = Path::new(OsStr::from_bytes(b"/a\n\xff/lib.so"));
        let mut written = Vec::new();
        let order = Order {
            artifact: path.into(),
            ..Order::any("")
        };
        order.write(&mut written).expect("written");
        written.extend_from_slice(b"what follows");
        let mut rest = written.as_slice();
        let order = Order::read(&mut rest).expect("read");
        assert_eq!(order.artifact, path);
        assert_eq!(rest, b"what follows");
        Order::read(&b""[..]).expect_err("the parent has hung up");
    }
}
