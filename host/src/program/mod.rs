//! The program: everything between a person or a script and the library's [`host::Host`].
//!
//! It parses, listens, draws and answers; it decides nothing about plugins. In reading order: what can be asked
//! ([`commands`]), how a process of this program ends ([`failure`]), the two verbs that are a host (`run` in
//! [`service`], `dev` in [`dev`]), the two doors of such a host ([`calls`], [`admin`]), and the verbs that knock at the
//! second door ([`verbs`] over [`client`]).

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test ends by its panic"))]

mod commands;
mod configuration;
mod failure;
mod output;

mod body;
mod caller;
mod calls;
mod connection;
mod http;
mod places;
mod service;
mod signals;
mod socket;
mod token;

mod admin;
mod datasets;
mod happenings;
mod releases;

mod arguments;
mod client;
mod data_verbs;
mod release_verbs;
mod state_dir;
mod verbs;

mod data_text;
mod events_text;
mod release_text;
mod status_text;
mod tables;

mod build;
mod dev;
mod inputs;
mod narrator;
mod packages;
mod sources;

mod new;
mod workspace;

use clap::Parser as _;
use commands::{CommandLine, Verb};
use failure::Failure;
use output::Output;
use std::{ffi::OsString, process::ExitCode};

/// Does what the command line asks, and tells how it went.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = match CommandLine::try_parse_from(&arguments) {
        Ok(command) => command,
        Err(error) => return not_understood(&error, &arguments),
    };
    let output = Output::new(command.json);
    match perform(command, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

fn perform(command: CommandLine, output: &Output) -> Result<(), Failure> {
    match command.verb {
        Verb::Dev(dev) => dev::dev(dev, &command.place, output),
        Verb::Run(run) => service::run(run, &command.place, output),
        Verb::New { name } => new::new(&name, output),
        Verb::Vet { file, limit } => verbs::vet(&file, *limit, output),
        verb => verbs::ask(verb, &command.place, output),
    }
}

/// A command line that clap refuses, or a wish for help or the version.
fn not_understood(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    if wants_json && error.use_stderr() {
        let failure = Failure::usage(error.render().to_string().trim_end().to_owned());
        Output::new(true).failure(&failure);
        return failure.exit_code();
    }
    // There is nobody to tell when the terminal is gone.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
