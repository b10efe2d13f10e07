//! The admin socket: the Unix socket in the state folder by which a host on this machine is asked.
//!
//! It appears under its name complete (bound, mode 0600) or not at all, in place of one that a dead host left behind; it
//! is removed at the end if it is still the same. Where another path was chosen for it, the usual name leads there, so
//! that whoever knows the state folder finds the host.

use super::{client::Client, failure::Failure};
use anyhow::Context as _;
use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

/// Its usual name in the state folder.
pub(crate) const FILE_NAME: &str = "host.sock";
/// What surely fits into a socket address, which has 108 bytes.
const LONGEST_PATH: usize = 100;

/// A bound socket; when it is dropped, its name is gone.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    path: PathBuf,
    identity: (u64, u64),
    usual_name: Option<PathBuf>,
    listener: UnixListener,
}

impl AdminSocket {
    /// Binds the socket of the host with this state folder, unless a living host answers there.
    pub(crate) fn bind(state_dir: &Path, chosen: Option<&Path>) -> Result<Self, Failure> {
        let usual = state_dir.join(FILE_NAME);
        let path = chosen.map_or_else(|| usual.clone(), Path::to_path_buf);
        refuse_if_alive(&usual)?;
        refuse_if_alive(&path)?;
        let bound = bind_at(&path)
            .and_then(|(listener, identity)| {
                let usual_name = lead_to(&path, usual)?;
                Ok(AdminSocket {
                    path: path.clone(),
                    identity,
                    usual_name,
                    listener,
                })
            })
            .with_context(|| format!("binding the admin socket {}", path.display()));
        bound.map_err(|error| Failure::failed("admin_socket", format!("{error:#}")))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What comes in, not blocking.
    pub(crate) fn listener(&self) -> io::Result<UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let still_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if still_ours {
            // Whoever finds it all the same gets no answer, and the next host replaces it.
            let _ = fs::remove_file(&self.path);
            if let Some(name) = &self.usual_name {
                let _ = fs::remove_file(name);
            }
        }
    }
}

/// A connection to the socket at `path`.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let reach = Reach::of(path)?;
    UnixStream::connect(&reach.path)
}

/// Whether this says that there is nobody, rather than that something is wrong.
pub(crate) fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory
    )
}

fn refuse_if_alive(path: &Path) -> Result<(), Failure> {
    match connect(path) {
        Ok(_) => {
            let who = Client::at(path).describe_host();
            let message = format!(
                "{who} answers at {} already; stop it first, or choose another --state-dir",
                path.display()
            );
            Err(Failure::failed("already_running", message))
        }
        Err(error) if is_nobody(&error) => Ok(()),
        Err(error) => Err(Failure::failed(
            "admin_socket",
            format!(
                "looking whether a host answers at {}: {error}",
                path.display()
            ),
        )),
    }
}

/// Binds under a name of this process first, so that the socket has its mode before anybody can find it, and renames it
/// over what a dead host left.
fn bind_at(path: &Path) -> anyhow::Result<(UnixListener, (u64, u64))> {
    if let Ok(found) = fs::symlink_metadata(path) {
        let replaceable = found.file_type().is_socket() || found.file_type().is_symlink();
        anyhow::ensure!(replaceable, "there is a file that is not a socket");
    }
    let mut name = path.file_name().context("it has no name")?.to_owned();
    name.push(format!(".{}", std::process::id()));
    let unfinished = path.with_file_name(name);
    let _ = fs::remove_file(&unfinished);
    let reach = Reach::of(&unfinished)?;
    let listener = UnixListener::bind(&reach.path)?;
    let finished = (|| {
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
        let found = fs::symlink_metadata(&unfinished)?;
        fs::rename(&unfinished, path)?;
        io::Result::Ok((found.dev(), found.ino()))
    })();
    match finished {
        Ok(identity) => Ok((listener, identity)),
        Err(error) => {
            let _ = fs::remove_file(&unfinished);
            Err(error.into())
        }
    }
}

/// Lets the usual name lead to a socket elsewhere.
fn lead_to(path: &Path, usual: PathBuf) -> anyhow::Result<Option<PathBuf>> {
    let path = std::path::absolute(path)?;
    if path == std::path::absolute(&usual)? {
        return Ok(None);
    }
    if fs::symlink_metadata(&usual).is_ok() {
        fs::remove_file(&usual)?;
    }
    symlink(path, &usual)?;
    Ok(Some(usual))
}

/// A way to a socket whose path may be longer than a socket address has room for.
struct Reach {
    path: PathBuf,
    /// Open for as long as the path through it is needed.
    _folder: Option<File>,
}

impl Reach {
    fn of(path: &Path) -> io::Result<Self> {
        let (folder, name) = match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if path.as_os_str().as_bytes().len() > LONGEST_PATH => {
                (File::open(folder)?, name)
            }
            _ => {
                return Ok(Reach {
                    path: path.to_path_buf(),
                    _folder: None,
                });
            }
        };
        Ok(Reach {
            path: PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name),
            _folder: Some(folder),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(depth: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("x".repeat(50)).join("y".repeat(depth))).unwrap();
        folder
    }

    #[test]
    fn a_socket_is_for_its_owner_only_and_gone_when_dropped() {
        let folder = folder(1);
        let socket = AdminSocket::bind(folder.path(), None).unwrap();
        let path = folder.path().join(FILE_NAME);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_host_left_is_replaced() {
        let folder = folder(1);
        drop(UnixListener::bind(folder.path().join(FILE_NAME)).unwrap());
        AdminSocket::bind(folder.path(), None).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = folder(1);
        let file = folder.path().join("notes");
        fs::write(&file, "mine").unwrap();
        let failure = AdminSocket::bind(folder.path(), Some(&file)).unwrap_err();
        assert!(failure.message.contains("not a socket"), "{failure}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn a_long_path_is_no_hindrance() {
        let folder = folder(100);
        let deep = folder.path().join("x".repeat(50)).join("y".repeat(100));
        let _socket = AdminSocket::bind(&deep, None).unwrap();
        connect(&deep.join(FILE_NAME)).unwrap();
    }

    #[test]
    fn the_usual_name_leads_to_a_socket_elsewhere() {
        let folder = folder(1);
        let elsewhere = folder.path().join("elsewhere.sock");
        let socket = AdminSocket::bind(folder.path(), Some(&elsewhere)).unwrap();
        connect(&folder.path().join(FILE_NAME)).unwrap();
        drop(socket);
        assert!(fs::symlink_metadata(folder.path().join(FILE_NAME)).is_err());
    }
}
