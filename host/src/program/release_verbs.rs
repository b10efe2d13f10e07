//! The verbs of `host release`: they ask a running host to apply a release, or about those it has applied.

use super::{
    client::{Answer, Client, segment},
    commands::ReleaseVerb,
    data_verbs::who,
    failure::Failure,
    output::Output,
    release_text,
    verbs::{about_file, as_it_came, get},
};
use host::release::{Release, ReleaseRecord, ReleaseReport};
use hyper::Method;
use serde::Deserialize;
use std::path::Path;

/// Asks the host what the verb says, and tells the answer.
pub(crate) fn ask(verb: ReleaseVerb, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        ReleaseVerb::Apply { file } => apply(client, &file, output),
        ReleaseVerb::List { limit } => list(client, limit, output),
        ReleaseVerb::Rollback { number } => rollback(client, number, output),
    }
}

fn apply(client: &Client, file: &Path, output: &Output) -> Result<(), Failure> {
    // What is wrong with the file itself is told here, without a host.
    Release::read(file).map_err(|error| Failure::failed("bad_release", format!("{error:#}")))?;
    let path = format!("/releases?who={}", segment(&who()));
    applied(&client.ask(Method::POST, &path, about_file(file)?)?, output)
}

fn rollback(client: &Client, number: Option<u64>, output: &Output) -> Result<(), Failure> {
    let path = format!("/releases/rollback?who={}", segment(&who()));
    let request = serde_json::json!({ "release": number }).to_string();
    applied(
        &client.ask(Method::POST, &path, request.into_bytes())?,
        output,
    )
}

fn applied(answer: &Answer, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        as_it_came(answer, output);
        return Ok(());
    }
    output.line(&release_text::report(
        &answer.read::<ReleaseReport>()?,
        output,
    ));
    Ok(())
}

#[derive(Deserialize)]
struct Releases {
    releases: Vec<ReleaseRecord>,
}

fn list(client: &Client, limit: usize, output: &Output) -> Result<(), Failure> {
    let answer = get(client, &format!("/releases?limit={limit}"))?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    let Releases { releases } = answer.read()?;
    if releases.is_empty() {
        output.line("no release yet");
    } else {
        output.line(&release_text::list(&releases, output));
    }
    Ok(())
}
