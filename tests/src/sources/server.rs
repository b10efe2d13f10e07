//! A server: an installed program that a test runs for itself, on a free port and in a folder of its own, and may kill.

use crate::waiting::until;
use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// The user and group `nobody`, which servers run as that refuse root.
const NOBODY: (u32, u32) = (65_534, 65_534);

/// A port that is free now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
    listener.local_addr().expect("it has an address").port()
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
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL)
                .expect("its processes can be killed");
            child.wait().expect("it ends");
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

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
