//! The program `host` at work in a process of its own, and its command line beside it.

use crate::{
    built, http,
    waiting::{LIMIT, until},
};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
};
use tempfile::TempDir;

/// A running `host`.
#[derive(Debug)]
pub struct Program {
    child: Child,
    folder: TempDir,
    lines: Arc<Mutex<Vec<String>>>,
    /// Where calls go: `http://ADDRESS`.
    pub call: String,
    /// The administration socket.
    pub admin: PathBuf,
}

/// What a command of the program came to.
#[derive(Debug)]
pub struct Output {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Runs `host ARGUMENTS` in the folder `here`, to its end.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn of(here: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(built::program());
        Output::from(command.args(arguments).current_dir(here))
    }

    /// Runs a command to its end.
    fn from(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output();
        let output = output.expect("the program can be run");
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error that is its whole standard error, as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json_error(&self) -> serde_json::Value {
        let error: serde_json::Value =
            serde_json::from_str(&self.stderr).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        error["error"].clone()
    }
}

impl Program {
    /// Starts `host ARGUMENTS` with a free port and a state directory of its own, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(TempDir::new().expect("a temporary folder"), arguments)
    }

    /// [`Program::start`], with the folder of a program that has ended.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start_in(folder: TempDir, arguments: &[&str]) -> Self {
        Self::start_with(folder, |command| {
            command.args(arguments).args(["--listen", "127.0.0.1:0"]);
        })
    }

    /// [`Program::start_in`], with all but the state directory said by `prepare`.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start_with(folder: TempDir, prepare: impl FnOnce(&mut Command)) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.path().join("log"))
            .expect("a file for the log");
        let mut command = Command::new(built::program());
        prepare(&mut command);
        let mut child = command
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            // A caught panic must not leave a trace either.
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program can be started");
        let stdout = child.stdout.take().expect("its output is piped");
        let lines = Arc::default();
        let ready = read(stdout, Arc::clone(&lines));
        let Ok(line) = ready.recv_timeout(LIMIT) else {
            child.kill().expect("it can be ended");
            child.wait().expect("it ends");
            panic!("the program is not ready:\n{}", log_in(folder.path()));
        };
        let part = |name: &str| {
            line.split_whitespace()
                .find_map(|part| part.strip_prefix(name))
                .unwrap_or_else(|| panic!("\"{line}\" has no {name}"))
                .to_owned()
        };
        Program {
            call: part("call="),
            admin: part("admin=").into(),
            child,
            folder,
            lines,
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// What it has written to standard error.
    #[must_use]
    pub fn log(&self) -> String {
        log_in(self.folder.path())
    }

    /// Waits until it writes a line with this text to standard output or to standard error, and gives the line.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn line(&self, text: &str) -> String {
        let found = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        until(&format!("the program says \"{text}\""), || {
            let lines = self.lines.lock().expect("its reader does not panic");
            let log: Vec<String> = self.log().lines().map(str::to_owned).collect();
            found(&lines).or_else(|| found(&log))
        })
    }

    /// Runs `host ARGUMENTS` against it.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(built::program());
        Output::from(
            command
                .args(arguments)
                .env("HOST__STATE_DIR", self.state_dir()),
        )
    }

    /// `POST /call/PLUGIN/METHOD`.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn post(&self, plugin: &str, method: &str, body: &str) -> http::Answer {
        http::request(
            &self.call,
            "POST",
            &format!("/call/{plugin}/{method}"),
            body,
        )
        .unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Sends a signal (`TERM`, `HUP`).
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .expect("kill can be run");
        assert!(status.success(), "signal {name} cannot be sent");
    }

    /// Waits until it has ended; gives its status, and its folder for the next one.
    ///
    /// # Panics
    /// When it goes on.
    #[must_use]
    pub fn wait(mut self) -> (ExitStatus, TempDir) {
        let status = until("the program has ended", || {
            self.child.try_wait().expect("it can be waited for")
        });
        let folder = TempDir::new().expect("a temporary folder");
        (status, std::mem::replace(&mut self.folder, folder))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.log();
            let write = std::io::Write::write_all(&mut std::io::stderr(), log.as_bytes());
            write.ok();
        }
    }
}

/// Keeps every line of `stdout` to the end, so that the program never waits for its reader; gives the one that says that
/// it is ready.
fn read(stdout: ChildStdout, lines: Arc<Mutex<Vec<String>>>) -> mpsc::Receiver<String> {
    let (give, ready) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.starts_with("ready ") {
                // An error means that nobody waits for it any more.
                give.send(line.clone()).ok();
            }
            lines.lock().expect("nobody panics with it").push(line);
        }
    });
    ready
}

fn log_in(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}
