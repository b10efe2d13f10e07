//! A process of its own behind a Unix socket: 16 bytes there, 8 bytes back, a connection and a serving thread for each
//! calling thread. Both sides block while they wait: spinning, two pairs would need four processors.

use super::{Caller, Contender, Who};
use crate::process::Served;
use anyhow::{Context, Result};
use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
};
use tempfile::TempDir;

/// The contender.
pub(crate) struct UnixSocket {
    path: PathBuf,
    _server: Served,
    _folder: TempDir,
}

impl UnixSocket {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("add.sock");
        let server = Served::this_program("serve-socket", &[path.as_os_str()])?;
        Ok(UnixSocket {
            path,
            _server: server,
            _folder: folder,
        })
    }
}

/// Serves at `path` until the process is ended.
pub(crate) fn serve(path: &Path) -> Result<()> {
    let listener =
        UnixListener::bind(path).with_context(|| format!("listening at {}", path.display()))?;
    crate::process::say_ready("");
    for stream in listener.incoming() {
        let mut stream = stream?;
        thread::spawn(move || {
            let mut request = [0; 16];
            while stream.read_exact(&mut request).is_ok() {
                let (a, b) = request.split_at(8);
                let sum = number(a).wrapping_add(number(b));
                if stream.write_all(&sum.to_le_bytes()).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes are a number"))
}

impl Contender for UnixSocket {
    fn who(&self) -> Who {
        Who::UnixSocket
    }

    fn what(&self) -> String {
        "a process behind a Unix socket, blocking reads".to_owned()
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        let mut stream = UnixStream::connect(&self.path)?;
        Ok(Box::new(
            #[inline(always)]
            move |a: u64, b: u64| {
                let mut request = [0; 16];
                request[..8].copy_from_slice(&a.to_le_bytes());
                request[8..].copy_from_slice(&b.to_le_bytes());
                stream.write_all(&request).expect("the server reads");
                let mut answer = [0; 8];
                stream.read_exact(&mut answer).expect("the server answers");
                u64::from_le_bytes(answer)
            },
        ))
    }
}
