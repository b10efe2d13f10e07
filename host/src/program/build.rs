//! A build: one run of cargo for the plugin packages, with its progress and the compiler's words.

use super::{
    failure::Failure,
    narrator::Builds,
    output::Output,
    packages::{Selection, Workspace, cargo, no_cargo},
};
use cargo_metadata::{Message, diagnostic::DiagnosticLevel};
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use std::{
    io::{BufRead as _, BufReader, IsTerminal as _, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// How many of cargo's last words are kept, for a failure that no compiler told.
const LAST_WORDS: usize = 20;

/// How a build went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The first error, if it failed.
    pub(crate) failure: Option<String>,
    /// What it took.
    pub(crate) took: Duration,
}

/// Runs builds, one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Builder {
    release: bool,
    output: Output,
    builds: Arc<Builds>,
    running: Arc<Mutex<Option<Child>>>,
}

/// What one run of cargo has told so far.
#[derive(Default)]
struct Told {
    first_error: Option<String>,
    /// Warnings, until it is known whether they are news: cargo repeats those of packages it did not build.
    warnings: Vec<(String, String)>,
    success: bool,
}

impl Builder {
    /// Builds with the release profile or not; tells `builds` what was made when.
    pub(crate) fn new(release: bool, output: Output, builds: Arc<Builds>) -> Self {
        Builder {
            release,
            output,
            builds,
            running: Arc::default(),
        }
    }

    /// The folder in the target folder where finished plugins appear.
    pub(crate) fn profile_folder(&self) -> &'static str {
        if self.release { "release" } else { "debug" }
    }

    /// Builds all of them, one workspace after another. Only that there is no cargo is a failure of the verb.
    pub(crate) fn build(&self, selection: &Selection) -> Result<Outcome, Failure> {
        let began = Instant::now();
        let bar = self.begin(selection);
        let mut failure = None;
        for workspace in &selection.workspaces {
            let reason = self.run_cargo(workspace, &selection.target(), &bar)?;
            failure = failure.or(reason);
        }
        bar.finish_and_clear();
        let took = began.elapsed();
        self.builds.end();
        Ok(Outcome { failure, took })
    }

    /// Ends cargo, if it runs: for the end of the whole process.
    pub(crate) fn stop(&self) {
        if let Some(child) = &mut *self.running.lock()
            && let Err(error) = child.kill()
        {
            tracing::debug!(%error, "cargo could not be stopped");
        }
    }

    fn begin(&self, selection: &Selection) -> ProgressBar {
        self.builds.begin();
        let names = selection.names().join(", ");
        if !std::io::stderr().is_terminal() {
            self.output.aside(&format!("building {names}"));
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{spinner} {msg} ({pos} crates, {elapsed})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner()
            .with_style(style)
            .with_message(format!("building {names}"));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.builds.show(bar.clone());
        bar
    }

    /// Gives the reason if the build failed.
    fn run_cargo(
        &self,
        workspace: &Workspace,
        target: &Path,
        bar: &ProgressBar,
    ) -> Result<Option<String>, Failure> {
        let cargo = cargo();
        let mut child = self
            .command(workspace, target)
            .spawn()
            .map_err(|error| no_cargo(&cargo, &error))?;
        let (messages, words) = (child.stdout.take(), child.stderr.take());
        *self.running.lock() = Some(child);
        let (bar_of_words, output) = (bar.clone(), self.output);
        let words = std::thread::spawn(move || {
            words.map(|words| last_words(words, &bar_of_words, &output))
        });
        let mut told = Told::default();
        let messages = messages.map(|messages| Message::parse_stream(BufReader::new(messages)));
        for message in messages.into_iter().flatten() {
            match message {
                Ok(message) => self.hear(message, &mut told, bar),
                Err(error) => tracing::debug!(%error, "cargo said something unreadable"),
            }
        }
        let words = words.join().ok().flatten().unwrap_or_default();
        if let Some(mut child) = self.running.lock().take() {
            // Its output has ended, so it is about to end.
            let ended = child.wait();
            told.success &= ended.is_ok_and(|status| status.success());
        }
        if told.success {
            return Ok(None);
        }
        let reason = told.first_error.unwrap_or_else(|| {
            bar.suspend(|| self.output.aside(&words.join("\n")));
            first_of(&words)
        });
        Ok(Some(reason))
    }

    fn command(&self, workspace: &Workspace, target: &Path) -> Command {
        let format = if std::io::stderr().is_terminal() {
            "json-diagnostic-rendered-ansi"
        } else {
            "json"
        };
        let mut command = Command::new(cargo());
        command
            .current_dir(&workspace.root)
            .args(["build", "--message-format", format])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if workspace.target != target {
            command.arg("--target-dir").arg(target);
        }
        if self.release {
            command.arg("--release");
        }
        for plugin in &workspace.plugins {
            command.args(["-p", &plugin.id]);
        }
        command
    }

    fn hear(&self, message: Message, told: &mut Told, bar: &ProgressBar) {
        match message {
            Message::CompilerArtifact(artifact) => {
                bar.inc(1);
                let id = &artifact.package_id.repr;
                for (_, warning) in told.warnings.extract_if(.., |(of, _)| of == id) {
                    if !artifact.fresh {
                        bar.suspend(|| self.output.aside(&warning));
                    }
                }
                if !artifact.fresh {
                    let files = artifact.filenames.iter();
                    files
                        .filter_map(|file| file.file_name())
                        .for_each(|name| self.builds.made(name));
                }
            }
            Message::CompilerMessage(said) => {
                let text = said.message.rendered.clone().unwrap_or_default();
                let text = text.trim_end().to_owned();
                if said.message.level == DiagnosticLevel::Error {
                    bar.suspend(|| self.output.aside(&text));
                    told.first_error
                        .get_or_insert_with(|| in_short(&said.message));
                } else {
                    told.warnings.push((said.package_id.repr, text));
                }
            }
            Message::BuildFinished(finished) => told.success = finished.success,
            _ => {}
        }
    }
}

/// An error on one line, with its place.
fn in_short(diagnostic: &cargo_metadata::diagnostic::Diagnostic) -> String {
    let place = diagnostic.spans.iter().find(|span| span.is_primary);
    match place {
        Some(span) => format!(
            "{}:{}:{}: {}",
            span.file_name, span.line_start, span.column_start, diagnostic.message
        ),
        None => diagnostic.message.clone(),
    }
}

/// Reads what cargo says beside its messages: what it compiles goes to the bar, the rest is kept.
fn last_words(words: impl Read, bar: &ProgressBar, output: &Output) -> Vec<String> {
    let mut last = Vec::new();
    for line in BufReader::new(words).lines().map_while(Result::ok) {
        let line = line.trim_end();
        let is_progress = ["Compiling", "Finished", "Fresh", "Downloaded"]
            .iter()
            .any(|word| line.trim_start().starts_with(word));
        if !line.trim_start().starts_with("Finished") {
            bar.set_message(line.trim_start().to_owned());
        }
        if bar.is_hidden() && line.trim_start().starts_with("Blocking") {
            // Another cargo holds the target folder; without a bar nobody would know why nothing happens.
            output.aside(line.trim_start());
        }
        if !is_progress {
            if last.len() == LAST_WORDS {
                last.remove(0);
            }
            last.push(line.to_owned());
        }
    }
    last
}

fn first_of(words: &[String]) -> String {
    let error = words.iter().find(|line| line.starts_with("error"));
    error
        .or(words.first())
        .map_or_else(|| "cargo did not say why".to_owned(), Clone::clone)
}
