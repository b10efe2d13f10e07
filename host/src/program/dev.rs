//! `host dev`: the plugin packages here, built, run, and built again at every save; the host swaps what comes of it.

use super::{
    build::{Builder, Outcome},
    commands::{Dev, Place},
    configuration::{self, configuration, start_logging},
    failure::Failure,
    inputs::Inputs,
    narrator::{Builds, narrate},
    output::{Colour, Output},
    packages::Selection,
    service::{Plan, Service},
    sources::{Change, Sources},
};
use crossbeam_channel::{Receiver, Sender};
use host::{
    Host,
    config::{Config, LogConfig},
    event::Happening,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

/// `host dev`.
pub(crate) fn dev(dev: Dev, place: &Place, output: &Output) -> Result<(), Failure> {
    let mut config = configuration(&dev.settings)?;
    quieten(&mut config.log);
    start_logging(&config.log)?;
    if let Some(told) = configuration::told(&dev.settings) {
        output.aside(&told);
    }
    let folders = folders(dev.directories);
    let selection = Selection::below(&folders)?;
    // From before the first build, so that no save is missed.
    let sources = Sources::watch(&folders, &selection, &data_files(&config))
        .map_err(|error| Failure::failed("watch", format!("watching the sources: {error}")))?;
    let builds = Arc::new(Builds::default());
    let builder = Builder::new(dev.release, *output, Arc::clone(&builds));
    let mut workshop = Workshop {
        folders,
        selection,
        sources,
        builder,
        output: *output,
    };
    workshop.tell_troubles();
    let first = workshop.build()?;
    workshop.tell(&first, "; waiting for the next save");
    let service = Service::start(workshop.plan(config)?, place)?;
    service.serve(output, |host| workshop.open(host, builds))
}

/// Where the configuration says nothing else, only warnings, and of the announced events none: the narrator tells them.
fn quieten(log: &mut LogConfig) {
    if log.filter == Config::default().log.filter {
        log.filter = "warn,host::announce=error".to_owned();
    }
}

/// The files and folders that datasets are read from.
fn data_files(config: &Config) -> Vec<&Path> {
    let sources = config.data.values().filter_map(|data| data.source.as_ref());
    sources.filter_map(|source| source.path("path")).collect()
}

fn folders(asked: Vec<PathBuf>) -> Vec<PathBuf> {
    if !asked.is_empty() {
        return asked;
    }
    let usual = Path::new("plugins");
    let folder = if usual.is_dir() {
        usual
    } else {
        Path::new(".")
    };
    vec![folder.to_path_buf()]
}

/// Where plugins are built.
struct Workshop {
    folders: Vec<PathBuf>,
    selection: Selection,
    sources: Sources,
    builder: Builder,
    output: Output,
}

/// A workshop at work; it closes when this is dropped.
struct OpenWorkshop {
    builder: Builder,
    /// Nothing is ever sent: the other ends notice that it is gone.
    _ended: Sender<()>,
}

impl Drop for OpenWorkshop {
    fn drop(&mut self) {
        self.builder.stop();
    }
}

impl Workshop {
    fn plan(&self, config: Config) -> Result<Plan, Failure> {
        let directory = self.built_into();
        std::fs::create_dir_all(&directory).map_err(|error| {
            Failure::failed(
                "failed",
                format!("making the folder {}: {error}", directory.display()),
            )
        })?;
        Ok(Plan {
            config,
            directory,
            only_files: Some(self.selection.file_names()),
        })
    }

    /// The folder where finished plugins appear.
    fn built_into(&self) -> PathBuf {
        self.selection.target().join(self.builder.profile_folder())
    }

    fn build(&mut self) -> Result<Outcome, Failure> {
        let outcome = self.builder.build(&self.selection)?;
        let inputs = match &outcome.failure {
            None => Inputs::of(&self.selection, &self.built_into()),
            Some(_) => None,
        };
        self.sources.built_from(inputs);
        Ok(outcome)
    }

    /// Builds at every save from now on, and tells what the host makes of it.
    fn open(mut self, host: &Host, builds: Arc<Builds>) -> Result<OpenWorkshop, Failure> {
        let (end, ended) = crossbeam_channel::bounded(0);
        let builder = self.builder.clone();
        let (of_narrator, output) = (host.clone(), self.output);
        let (its_builds, its_end) = (Arc::clone(&builds), ended.clone());
        start_thread("host-narrator", move || {
            narrate(&of_narrator, &its_builds, &output, &its_end);
        })?;
        let host = host.clone();
        start_thread("host-builder", move || {
            while let Some(change) = self.sources.next(&ended) {
                builds.saved(change.saved);
                self.follow(change, &host, &ended);
            }
        })?;
        Ok(OpenWorkshop {
            builder,
            _ended: end,
        })
    }

    fn follow(&mut self, change: Change, host: &Host, ended: &Receiver<()>) {
        if change.packages {
            match Selection::below(&self.folders) {
                Ok(selection) => self.select(selection, host),
                Err(failure) => self.output.aside(&failure.message),
            }
        }
        host.announce(Happening::BuildStarted {
            packages: self.selection.names(),
        });
        let outcome = self.build();
        let has_ended = ended.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected);
        if has_ended {
            return;
        }
        match outcome {
            Ok(outcome) => {
                self.tell(&outcome, "; what served serves on");
                host.announce(Happening::BuildDone {
                    success: outcome.failure.is_none(),
                    reason: outcome.failure,
                    millis: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
                });
            }
            Err(failure) => self.output.failure(&failure),
        }
    }

    fn select(&mut self, selection: Selection, host: &Host) {
        if selection == self.selection {
            return;
        }
        self.sources.set(&selection);
        host.watch_only(selection.file_names());
        let is_new = |name: &String| !self.selection.names().contains(name);
        for name in selection.names().iter().filter(|name| is_new(name)) {
            self.output.line(&format!("{name} is a plugin package now"));
        }
        self.selection = selection;
        self.tell_troubles();
    }

    fn tell_troubles(&self) {
        for trouble in &self.selection.troubles {
            self.output.aside(trouble);
        }
    }

    fn tell(&self, outcome: &Outcome, consequence: &str) {
        let millis = outcome.took.as_millis();
        let text = match &outcome.failure {
            None => format!("build done ({millis} ms)"),
            Some(reason) => {
                let failed = self.output.paint(Colour::Red, "build failed");
                format!("{failed} ({millis} ms): {reason}{consequence}")
            }
        };
        self.output.aside(&text);
    }
}

fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started
        .map(drop)
        .map_err(|error| Failure::failed("failed", format!("starting a thread: {error}")))
}
