//! A server: an installed program that a test runs for itself, on a free port and in a folder of its own, and may kill.

use crate::waiting::until;
use rustix::process::{Pid, Signal};
use std::{
    collections::BTreeSet,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, TcpListener, TcpStream},
    ops::RangeInclusive,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};
use tempfile::TempDir;

/// The user and group `nobody`, which servers run as that refuse root.
const NOBODY: (u32, u32) = (65_534, 65_534);

/// A port that is free now, and that this process is not given again.
///
/// It is none of those that the system gives to clients (from 32768 on, where nobody has changed that). Such a port may be a
/// client's own by the time a killed server is started again; and a client that tries all the time to reach a server there
/// meets itself in the end, since a connection from a port to itself is one.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    const PORTS: RangeInclusive<u16> = 10_240..=32_767;
    let first = RandomState::new().hash_one(()) >> 1;
    let count = PORTS.len() as u64;
    let mut taken = TAKEN.lock().expect("nobody panics with it");
    let port = (first..first + count).find_map(|number| {
        let port = PORTS.start() + (number % count) as u16;
        let is_free = || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        (!taken.contains(&port) && is_free()).then_some(port)
    });
    let port = port.expect("there is a port");
    taken.insert(port);
    port
}

/// What serves on a port of this machine, and may be killed.
pub trait Serves {
    /// Where it serves.
    fn port(&self) -> u16;

    /// Ends it at once, as `kill -9` does.
    fn kill(&mut self);

    /// Starts it again, on the same port and with what it had kept, and waits until it is ready.
    fn start_again(&mut self);
}

/// A program that serves on a port of this machine.
#[derive(Debug)]
pub struct Server {
    command: fn(&Path, u16) -> Command,
    /// In this order: the process ends before its folder is removed.
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    is_ready: fn(&Path, u16) -> bool,
}

impl Server {
    /// Starts what `command` makes of a folder and a port, and waits until `is_ready` says so. The folder belongs to the user
    /// that [`as_nobody`] runs programs as; `prepare` is done first, once.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start(
        prepare: impl FnOnce(&Path),
        command: fn(&Path, u16) -> Command,
        is_ready: fn(&Path, u16) -> bool,
    ) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        if is_root() {
            chown(folder.path(), Some(NOBODY.0), Some(NOBODY.1)).expect("root may give it away");
        }
        prepare(folder.path());
        let mut server = Server {
            command,
            child: None,
            folder,
            port: free_port(),
            is_ready,
        };
        server.start_again();
        server
    }

    /// Whether it accepts connections, where nothing else has to be asked.
    #[must_use]
    pub fn accepts(_folder: &Path, port: u16) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    }

    /// Where it serves.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it at once, as `kill -9` does, with all processes that it has started.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let group = rustix::process::Pid::from_child(&child);
            // It starts nobody any more, and those that it has started may have left its group.
            let _ended = rustix::process::kill_process(group, Signal::STOP);
            let others = descendants(child.id());
            let _ended = rustix::process::kill_process_group(group, Signal::KILL);
            for other in &others {
                let _ended = rustix::process::kill_process(*other, Signal::KILL);
            }
            child.wait().expect("it ends");
            until("its processes have ended", || {
                others.iter().all(|it| !is_alive(*it)).then_some(())
            });
        }
    }

    /// Starts it again, on the same port and folder, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = self.log();
        let out = File::options().create(true).append(true).open(&log);
        let out = out.expect("a file for what it says");
        let errors = out.try_clone().expect("a file can be used twice");
        let mut command = (self.command)(self.folder.path(), self.port);
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        self.child = Some(child);
        until(
            &format!("{command:?} is ready (see {})", log.display()),
            || {
                let ended = self.child.as_mut().and_then(|child| child.try_wait().ok()?);
                if let Some(status) = ended {
                    let said = std::fs::read_to_string(&log).unwrap_or_default();
                    panic!("{command:?} has ended ({status}): {said}");
                }
                (self.is_ready)(self.folder.path(), self.port).then_some(())
            },
        );
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }
}

impl Serves for Server {
    fn port(&self) -> u16 {
        self.port
    }

    fn kill(&mut self) {
        Server::kill(self);
    }

    fn start_again(&mut self) {
        Server::start_again(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Has a program run as `nobody`, if this process is root's: some servers refuse root.
pub fn as_nobody(command: &mut Command) -> &mut Command {
    if is_root() {
        command.gid(NOBODY.1).uid(NOBODY.0);
    }
    command
}

/// The processes that a process has started, and those have, and so on.
fn descendants(process: u32) -> Vec<Pid> {
    let own = PathBuf::from(format!("/proc/{process}/task"));
    let tasks = std::fs::read_dir(own).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| {
        let children = std::fs::read_to_string(task.path().join("children"));
        children.ok()
    });
    let children = children.collect::<Vec<_>>().join(" ");
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    let all = children.flat_map(|child: u32| {
        let own = i32::try_from(child).ok().and_then(Pid::from_raw);
        own.into_iter().chain(descendants(child))
    });
    all.collect()
}

/// Whether it has not ended; one whose end nobody has asked for yet has.
fn is_alive(process: Pid) -> bool {
    let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    // The state stands behind the name, which stands in brackets.
    let state = stat.rsplit(')').next().map_or("", str::trim_start);
    !(state.is_empty() || state.starts_with(['Z', 'X']))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
