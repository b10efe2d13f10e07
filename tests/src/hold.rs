//! A hold: how a test keeps a call inside a plugin, and lets go of it.
//!
//! The plugin is given the path of a socket; it connects, and stays inside until the test hangs up.

use crate::waiting::until;
use std::{
    io::{ErrorKind, Read},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
};
use tempfile::TempDir;

/// A socket where plugins wait.
#[derive(Debug)]
pub struct Hold {
    listener: UnixListener,
    folder: TempDir,
}

/// A call that is inside, and stays there until this is dropped.
#[derive(Debug)]
pub struct Inside {
    _line: UnixStream,
}

impl Hold {
    /// A new socket.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join("hold")).expect("a socket");
        listener
            .set_nonblocking(true)
            .expect("a socket that can be looked at");
        Hold { listener, folder }
    }

    /// The path of the socket.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("hold")
    }

    /// The arguments of a call that is to be held here.
    #[must_use]
    pub fn arguments(&self) -> Vec<u8> {
        serde_json::json!([self.path()]).to_string().into_bytes()
    }

    /// Waits until another call is inside.
    ///
    /// # Panics
    /// When none comes.
    #[must_use = "the call goes on when this is dropped"]
    pub fn wait(&self) -> Inside {
        let mut line = until("a call is inside", || match self.listener.accept() {
            Ok((line, _)) => Some(line),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("the hold's socket has failed: {error}"),
        });
        line.set_nonblocking(false).expect("a socket");
        line.read_exact(&mut [0; 4]).expect("the plugin's word");
        Inside { _line: line }
    }
}

impl Default for Hold {
    fn default() -> Self {
        Hold::new()
    }
}
