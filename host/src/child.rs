//! A child: the examiner process as its parent sees it.

use crate::{
    deadline,
    examiner::{MARK, Supply, Tells},
    report::Verdict,
};
use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, bounded};
use rustix::{
    io::retry_on_intr,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use std::{
    io::{BufRead, BufReader, Read},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{
            net::UnixStream,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Of what the child writes on standard error, so many bytes from the end are quoted.
const LAST_WORDS: usize = 2048;

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

/// Examines a staged copy in a child process of `program`, for at most `limit`. `data` is given to one that reads some.
///
/// # Errors
/// The platform's: the process could not be started or waited for.
pub(crate) fn examine(
    program: &Path,
    staged: &Path,
    limit: Duration,
    data: Option<Supply>,
) -> Result<Examined> {
    let deadline = deadline::after(limit);
    let (ours, theirs) = UnixStream::pair().context("making a socket pair for the examiner")?;
    let mut child = Command::new(program)
        .arg0("host-examiner")
        .arg(MARK)
        .arg(staged)
        // Its last words are to be the reason, not the way there.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting the examiner {}", program.display()))?;
    let last_words = listen(&mut child)?;
    if let Some(data) = data {
        supply(&ours, data)?;
    }
    let told = hear(&ours, deadline);
    // What is still running now is over its time, or has told all it has to tell.
    let status = end(&mut child, told.found.is_some() || told.hung_up, deadline)?;
    // A process that the plugin left behind may hold the pipe open for ever.
    let last_words = last_words
        .recv_timeout(Duration::from_millis(500))
        .unwrap_or_default();
    Ok(judge(told, status, limit, &last_words))
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

/// What the child has told.
#[derive(Default)]
struct Told {
    stage: Option<String>,
    found: Option<(Verdict, bool)>,
    hung_up: bool,
}

/// Listens to what the child tells, until the verdict, its end, or the deadline.
fn hear(socket: &UnixStream, deadline: Instant) -> Told {
    let mut told = Told::default();
    let mut lines = BufReader::new(socket);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return told;
        }
        let mut line = String::new();
        match lines.read_line(&mut line) {
            Ok(0) => {
                told.hung_up = true;
                return told;
            }
            Ok(_) => match serde_json::from_str(&line) {
                Ok(Tells::Stage { stage }) => told.stage = Some(stage),
                Ok(Tells::Found { verdict, lasting }) => {
                    told.found = Some((verdict, lasting));
                    let _ended = socket.shutdown(Shutdown::Both);
                    return told;
                }
                Err(_) => return told,
            },
            Err(_out_of_time) => return told,
        }
    }
}

/// Waits for the child's end where it is near, and makes it where it is not. Whatever it has left behind ends with it.
fn end(child: &mut Child, is_near: bool, deadline: Instant) -> Result<Option<ExitStatus>> {
    let pid = Pid::from_raw(child.id().cast_signed()).context("the examiner has no number")?;
    // Telling and ending are moments apart; a plugin whose destructors hang at exit has told its verdict all the same.
    let grace = deadline.min(Instant::now() + Duration::from_secs(1));
    let mut has_ended = has_ended(pid)?;
    while !has_ended && is_near && Instant::now() < grace {
        std::thread::sleep(Duration::from_micros(100));
        has_ended = self::has_ended(pid)?;
    }
    // It has not been waited for: until then the number is nobody else's.
    let _gone_already = kill_process_group(pid, Signal::KILL);
    let status = child.wait().context("waiting for the examiner")?;
    Ok(has_ended.then_some(status))
}

/// Whether the child has ended by itself. It is waited for afterwards.
fn has_ended(pid: Pid) -> Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let ended = retry_on_intr(|| waitid(WaitId::Pid(pid), options))
        .context("looking whether the examiner has ended")?;
    Ok(ended.is_some())
}

/// Reads the child's standard error to its end, and keeps the last of it.
fn listen(child: &mut Child) -> Result<Receiver<String>> {
    let mut stderr = child
        .stderr
        .take()
        .context("the examiner has no standard error")?;
    let (give, take) = bounded(1);
    std::thread::Builder::new()
        .name("examiner-stderr".to_owned())
        .spawn(move || {
            let mut kept = Vec::new();
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                kept.extend_from_slice(&buffer[..count]);
                let surplus = kept.len().saturating_sub(LAST_WORDS);
                kept.drain(..surplus);
            }
            let _unheard = give.send(String::from_utf8_lossy(&kept).trim().to_owned());
        })
        .context("starting a thread")?;
    Ok(take)
}

fn judge(told: Told, status: Option<ExitStatus>, limit: Duration, last_words: &str) -> Examined {
    let stage = told.stage.as_deref().unwrap_or("starting the examiner");
    let (verdict, lasting) = match (told.found, status) {
        // Having found it sound and crashed afterwards is a crash all the same: leaving must be safe too.
        (Some((verdict, lasting)), None) => (verdict, lasting),
        (Some((verdict, lasting)), Some(status)) if status.success() => (verdict, lasting),
        (_, Some(status)) => (
            Verdict::Crashed {
                reason: crash(stage, status, last_words),
            },
            false,
        ),
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

    #[test]
    fn what_an_examiner_leaves_behind_ends_with_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (program, left) = (folder.path().join("examiner"), folder.path().join("left"));
        let script = format!(
            "#!/bin/sh\nsleep 1000 >/dev/null 2>&1 &\necho $! > {}\n",
            left.display()
        );
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("executable");
        let limit = Duration::from_secs(20);
        // Another test that starts a process at this moment may hold the script open for a moment more.
        let examined = (0..100)
            .find_map(|_| examine(&program, Path::new("liba.so"), limit, None).ok())
            .expect("it is started");
        let reason = examined.verdict.reason().expect("it told nothing");
        assert!(reason.contains("exit status: 0"), "{reason}");
        let number = fs::read_to_string(&left).expect("it left a process");
        let until = Instant::now() + limit;
        while runs(number.trim()) {
            assert!(Instant::now() < until, "{number} runs");
            std::thread::yield_now();
        }
    }
}
