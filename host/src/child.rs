//! A child: the examiner process as its parent sees it.

use crate::{
    examiner::{MARK, Tells},
    report::Verdict,
};
use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, bounded};
use rustix::process::{Pid, Signal, kill_process_group};
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

/// Examines a staged copy in a child process of `program`, for at most `limit`.
///
/// # Errors
/// The platform's: the process could not be started or waited for.
pub(crate) fn examine(program: &Path, staged: &Path, limit: Duration) -> Result<Examined> {
    let deadline = Instant::now() + limit;
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
    let told = hear(&ours, deadline);
    // What is still running now is over its time, or has told all it has to tell.
    let status = end(&mut child, told.found.is_some() || told.hung_up, deadline)?;
    // A process that the plugin left behind may hold the pipe open for ever.
    let last_words = last_words
        .recv_timeout(Duration::from_millis(500))
        .unwrap_or_default();
    Ok(judge(told, status, limit, &last_words))
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

/// Waits for the child's end where it is near, and makes it where it is not.
fn end(child: &mut Child, is_near: bool, deadline: Instant) -> Result<Option<ExitStatus>> {
    // Telling and ending are moments apart; a plugin whose destructors hang at exit has told its verdict all the same.
    let grace = deadline.min(Instant::now() + Duration::from_secs(1));
    while is_near && Instant::now() < grace {
        if let Some(status) = child.try_wait().context("waiting for the examiner")? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        let _gone_already = kill_process_group(group, Signal::KILL);
    }
    child.wait().context("waiting for the examiner")?;
    Ok(None)
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
