//! A child: an examiner process as its parent sees it.
//!
//! It is *started*, and waits for its order; it is *asked*, once, and heard until it has ended; and it is *ended* with all
//! that it has left behind, at the latest when it is dropped. Three ways are listened to meanwhile: its socket, its standard
//! error, and its life. So whatever it does or leaves undone, nothing waits beyond the deadline.

use crate::{
    examiner::{MARK, Order, Supply, Tells},
    report::Verdict,
};
use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{read, retry_on_intr},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open,
        pidfd_send_signal, waitid,
    },
};
use std::{
    io::{self, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            net::UnixStream,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Of what the child writes on standard error, so many bytes from the end are quoted.
const LAST_WORDS: usize = 2048;

/// So long it may take to end once it has told all it has to tell. Telling and ending are moments apart; a plugin whose
/// destructors hang at exit has told its verdict all the same.
const GRACE: Duration = Duration::from_secs(1);

/// What examining an artifact gave.
pub(crate) struct Examined {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// Whether it depends on nothing but the artifact.
    pub(crate) lasting: bool,
}

/// The program to be run as the examiner: this one, unless the host was told another.
pub(crate) fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// An examiner process that waits for its order. The kernel ends it with the thread that started it.
pub(crate) struct Examiner {
    process: Process,
    socket: UnixStream,
    stderr: ChildStderr,
}

impl Examiner {
    /// Starts one of this program.
    ///
    /// # Errors
    /// The platform's: the process could not be started.
    pub(crate) fn start(program: &Path) -> Result<Examiner> {
        let (socket, theirs) = UnixStream::pair().context("making a socket pair")?;
        let child = Command::new(program)
            .arg0("host-examiner")
            .arg(MARK)
            // Its last words are to be the reason, not the way there.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting the examiner {}", program.display()))?;
        let mut process = Process::new(child)?;
        let stderr = process.child.stderr.take();
        Ok(Examiner {
            stderr: stderr.context("the examiner has no standard error")?,
            socket,
            process,
        })
    }

    /// Its number.
    #[cfg(test)]
    pub(crate) fn number(&self) -> u32 {
        self.process.child.id()
    }

    /// Has it examine an artifact, until the deadline, as long as it has begun in time. `data` is given to one that reads some.
    ///
    /// # Errors
    /// The platform's: it could not be given the data, listened to, or waited for.
    pub(crate) fn examine(
        mut self,
        order: &Order,
        data: Option<&Supply>,
        begins_by: Instant,
        deadline: Instant,
    ) -> Result<Heard> {
        let begins_by = begins_by.min(deadline);
        if let Err(error) = self.order(order, begins_by) {
            // It has hung up, which is heard; or does not read, and tells nothing.
            tracing::debug!("the examiner has not taken its order: {error:#}");
        }
        if let Some(data) = data {
            supply(&self.socket, data.clone())?;
        }
        let mut heard = Heard::default();
        let has_ended = self.listen(&mut heard, begins_by, deadline)?;
        // What is still running now is over its time, or has told all it has to tell.
        let status = self.process.end()?;
        heard.ended = has_ended.then_some(status);
        Ok(heard)
    }

    /// Writes the order, which may be too long to be written before the other side reads.
    fn order(&self, order: &Order, deadline: Instant) -> Result<()> {
        let socket = &self.socket;
        order.write(WriteUntil { socket, deadline })?;
        Ok(self.socket.set_write_timeout(None)?)
    }

    /// Listens until it has ended, or is to be ended. Says whether it has ended by itself.
    fn listen(&self, heard: &mut Heard, begins_by: Instant, deadline: Instant) -> Result<bool> {
        let mut until = deadline;
        let mut open = vec![Way::Told, Way::Written, Way::Life];
        let mut has_ended = false;
        while !open.is_empty() {
            let most = if heard.has_begun() {
                until
            } else {
                until.min(begins_by)
            };
            let left = most.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // What it has told and written before its end is there by now.
            let patience = if has_ended { Duration::ZERO } else { left };
            let ready = self.ready(&open, patience)?;
            if ready.is_empty() {
                break;
            }
            for way in ready {
                let goes_on = match way {
                    Way::Told => heard.listens(self.socket.as_fd()),
                    Way::Written => heard.overhears(self.stderr.as_fd()),
                    Way::Life => false,
                };
                if goes_on {
                    continue;
                }
                open.retain(|other| *other != way);
                has_ended |= way == Way::Life;
                if way != Way::Written {
                    until = until.min(Instant::now() + GRACE);
                }
            }
        }
        Ok(has_ended)
    }

    /// Which of these ways have something, once one has.
    fn ready(&self, ways: &[Way], patience: Duration) -> Result<Vec<Way>> {
        let patience = Timespec::try_from(patience).context("a limit that no clock can hold")?;
        let watched = |way: &Way| {
            let from = match way {
                Way::Told => self.socket.as_fd(),
                Way::Written => self.stderr.as_fd(),
                Way::Life => self.process.life.as_fd(),
            };
            PollFd::from_borrowed_fd(from, PollFlags::IN)
        };
        let mut watched: Vec<PollFd<'_>> = ways.iter().map(watched).collect();
        retry_on_intr(|| poll(&mut watched, Some(&patience)))
            .context("listening to the examiner")?;
        let ready = ways.iter().zip(&watched);
        let ready = ready.filter(|(_, watched)| !watched.revents().is_empty());
        Ok(ready.map(|(way, _)| *way).collect())
    }
}

/// Writes to a socket until the deadline, however much of it is taken at a time.
struct WriteUntil<'socket> {
    socket: &'socket UnixStream,
    deadline: Instant,
}

impl Write for WriteUntil<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_write_timeout(Some(left))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A way on which something comes from an examiner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Its socket.
    Told,
    /// Its standard error.
    Written,
    /// Its end.
    Life,
}

impl Drop for Examiner {
    fn drop(&mut self) {
        // Whoever writes to it gives up, also where something that it left behind still has the other end.
        let _gone_already = self.socket.shutdown(Shutdown::Both);
    }
}

/// A process, and whatever it leaves behind in its group: all of it ends when this is dropped.
struct Process {
    child: Child,
    /// Readable once it has ended.
    life: OwnedFd,
    status: Option<ExitStatus>,
}

impl Process {
    fn new(mut child: Child) -> Result<Process> {
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(life) => Ok(Process {
                child,
                life,
                status: None,
            }),
            Err(error) => {
                let _gone_already = child.kill();
                let _no_more = child.wait();
                Err(error).context("watching the examiner")
            }
        }
    }

    /// Ends it where it has not ended, and waits for it.
    fn end(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let _gone_already = pidfd_send_signal(&self.life, Signal::KILL);
        // As long as nobody has waited for it, as a program that ignores SIGCHLD has, the number is nobody else's.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if retry_on_intr(|| waitid(WaitId::PidFd(self.life.as_fd()), look)).is_ok() {
            let group = Pid::from_child(&self.child);
            let _gone_already = kill_process_group(group, Signal::KILL);
        }
        let status = self.child.wait().context("waiting for the examiner")?;
        self.status = Some(status);
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!("{error:#}");
        }
    }
}

/// Writes to the child, on a thread of its own: the child may never read it. It ends with the child at the latest.
fn supply(socket: &UnixStream, data: Supply) -> Result<()> {
    let mut socket = socket.try_clone().context("sharing the socket")?;
    std::thread::Builder::new()
        .name("examiner-data".to_owned())
        .spawn(move || {
            if let Err(error) = data.write(&mut socket) {
                tracing::debug!("the examiner has not read its data to the end: {error:#}");
            }
        })
        .context("starting a thread")?;
    Ok(())
}

/// What was heard of a child.
#[derive(Default)]
pub(crate) struct Heard {
    stage: Option<String>,
    found: Option<(Verdict, bool)>,
    /// How it ended, where it did by itself.
    ended: Option<ExitStatus>,
    /// What it has told of the next line.
    line: Vec<u8>,
    last_words: Vec<u8>,
}

impl Heard {
    /// Whether it has come to its artifact: before its first stage it has touched nothing of it.
    pub(crate) fn has_begun(&self) -> bool {
        self.stage.is_some() || self.found.is_some()
    }

    /// Reads what it has told. Says whether there is more to be told.
    fn listens(&mut self, socket: BorrowedFd<'_>) -> bool {
        let mut buffer = [0; 4096];
        let told = some_of(socket, &mut buffer);
        for part in told.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if !part.ends_with(b"\n") {
                break;
            }
            match serde_json::from_slice(&self.line) {
                Ok(Tells::Stage { stage }) => self.stage = Some(stage),
                Ok(Tells::Found { verdict, lasting }) => {
                    self.found = Some((verdict, lasting));
                    return false;
                }
                Err(_) => return false,
            }
            self.line.clear();
        }
        !told.is_empty()
    }

    /// Reads what it has written on standard error, and keeps the last of it. Says whether more may come.
    fn overhears(&mut self, stderr: BorrowedFd<'_>) -> bool {
        let mut buffer = [0; 4096];
        let written = some_of(stderr, &mut buffer);
        self.last_words.extend_from_slice(written);
        let surplus = self.last_words.len().saturating_sub(LAST_WORDS);
        self.last_words.drain(..surplus);
        !written.is_empty()
    }

    /// What that says of the artifact, which was given `limit`.
    pub(crate) fn judge(self, limit: Duration) -> Examined {
        let stage = self.stage.as_deref().unwrap_or("starting the examiner");
        let (verdict, lasting) = match (self.found, self.ended) {
            // Having found it sound and crashed afterwards is a crash all the same: leaving must be safe too.
            (Some((verdict, lasting)), None) => (verdict, lasting),
            (Some((verdict, lasting)), Some(status)) if status.success() => (verdict, lasting),
            (_, Some(status)) => {
                let last_words = String::from_utf8_lossy(&self.last_words);
                let reason = crash(stage, status, last_words.trim());
                (Verdict::Crashed { reason }, false)
            }
            (None, None) => (
                Verdict::Silent {
                    reason: format!(
                        "it had not come back from {stage} within {}",
                        humantime::format_duration(limit)
                    ),
                },
                false,
            ),
        };
        Examined { verdict, lasting }
    }
}

/// Something of what is there to be read; nothing at the end.
fn some_of<'a>(from: BorrowedFd<'_>, buffer: &'a mut [u8]) -> &'a [u8] {
    let count = retry_on_intr(|| read(from, &mut *buffer)).unwrap_or(0);
    &buffer[..count]
}

fn crash(stage: &str, status: ExitStatus, last_words: &str) -> String {
    let how = match status.signal() {
        Some(signal) => format!("the examiner was ended by {} while {stage}", name(signal)),
        None => format!("the examiner ended with {status} while {stage}"),
    };
    if last_words.is_empty() {
        how
    } else {
        format!("{how}; its last words: {last_words}")
    }
}

fn name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGTERM => "SIGTERM",
        libc::SIGSYS => "SIGSYS",
        _ => return format!("signal {signal}"),
    };
    format!("{name} (signal {signal})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    /// Whether a process runs: one that nobody has waited for does not.
    fn runs(number: &str) -> bool {
        let Ok(text) = fs::read_to_string(format!("/proc/{number}/stat")) else {
            return false;
        };
        let state = text
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.trim().chars().next());
        !matches!(state, Some('Z' | 'X'))
    }

    /// What is heard of a program in this folder that does this, and is given an order and some data.
    fn examine(folder: &Path, does: &str) -> Examined {
        examine_within(
            Duration::from_secs(20),
            folder,
            does,
            &Order::any("liba.so"),
        )
    }

    fn examine_within(limit: Duration, folder: &Path, does: &str, order: &Order) -> Examined {
        let program = folder.join("examiner");
        fs::write(&program, format!("#!/bin/sh\n{does}\n")).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("executable");
        // Another test that starts a process at this moment may hold the script open for a moment more.
        let examiner = (0..100)
            .find_map(|_| Examiner::start(&program).ok())
            .expect("it is started");
        let data = Supply::new(&[], None);
        let deadline = Instant::now() + limit;
        let heard = examiner.examine(order, Some(&data), deadline, deadline);
        heard.expect("it is heard").judge(limit)
    }

    #[test]
    fn an_order_that_is_not_read_is_over_in_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let order = Order::any(&"a".repeat(4 << 20));
        let limit = Duration::from_millis(200);
        let examined = examine_within(limit, folder.path(), "exec sleep 1000", &order);
        assert_eq!(examined.verdict.word(), "silent");
    }

    #[test]
    fn an_order_that_is_read_bit_by_bit_is_over_in_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let order = Order::any(&"a".repeat(4 << 20));
        let limit = Duration::from_millis(200);
        // A shell reads byte by byte, and this for seconds.
        let all = folder.path().join("all");
        let does = format!("read order; : > '{}'", all.display());
        let examined = examine_within(limit, folder.path(), &does, &order);
        assert_eq!(examined.verdict.word(), "silent");
        assert!(!all.exists(), "it was given the time to read it all");
    }

    #[test]
    fn what_crashes_with_its_data_unread_has_crashed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // With a byte of it there is the rest, which makes the socket fail in place of ending.
        let does = "read order; dd bs=1 count=1 >&2; kill -SEGV $$";
        let verdict = examine(folder.path(), does).verdict;
        assert_eq!(verdict.word(), "crashed", "{verdict:?}");
        let reason = verdict.reason().expect("it has one");
        assert!(reason.contains("SIGSEGV"), "{reason}");
    }

    #[test]
    fn what_an_examiner_leaves_behind_ends_with_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let left = folder.path().join("left");
        let does = format!("sleep 1000 >/dev/null 2>&1 &\necho $! > {}", left.display());
        let examined = examine(folder.path(), &does);
        let reason = examined.verdict.reason().expect("it told nothing");
        assert!(reason.contains("exit status: 0"), "{reason}");
        let number = fs::read_to_string(&left).expect("it left a process");
        let until = Instant::now() + Duration::from_secs(20);
        while runs(number.trim()) {
            assert!(Instant::now() < until, "{number} runs");
            std::thread::yield_now();
        }
    }
}
