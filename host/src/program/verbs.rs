//! The verbs that ask a running host, and `vet`, which needs none.

use super::{
    arguments,
    calls::{GENERATION_HEADER, VERSION_HEADER},
    client::{Answer, Client, segment},
    commands::{Place, Verb},
    data_verbs, events_text,
    failure::Failure,
    output::{Colour, Output},
    release_verbs, state_dir, status_text, tables,
};
use host::{
    event::Event,
    journal::Record,
    report::{Departure, HostStatus, PluginStatus, SwapReport, UnloadReport, Verdict},
};
use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{path::Path, time::Duration};

/// Asks the host what the verb says, and tells the answer.
pub(crate) fn ask(verb: Verb, place: &Place, output: &Output) -> Result<(), Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::failed("failed", format!("finding this folder: {error}")))?;
    let client = Client::at(&state_dir::socket_of_host(place, &here)?);
    match verb {
        Verb::List => list(&client, output),
        Verb::Status { plugin: None } => status(&client, output),
        Verb::Status { plugin: Some(name) } => plugin_status(&client, &name, output),
        Verb::Call {
            plugin,
            method,
            arguments,
        } => call(&client, &plugin, &method, &arguments, output),
        Verb::Load { file } => load(&client, &file, output),
        Verb::Unload { plugin } => unload(&client, &plugin, output),
        Verb::Rollback { plugin, to } => rollback(&client, &plugin, to.as_deref(), output),
        Verb::History { plugin, limit } => history(&client, &plugin, limit, output),
        Verb::Data { verb } => data_verbs::ask(verb, &client, output),
        Verb::Release { verb } => release_verbs::ask(verb, &client, output),
        Verb::Events { follow } => events(&client, follow, output),
        Verb::Dev(_) | Verb::Run(_) | Verb::New { .. } | Verb::Vet { .. } => {
            Err(Failure::usage("this verb does not ask a host"))
        }
    }
}

/// `host vet`: exit code 0 if the file is sound.
pub(crate) fn vet(file: &Path, limit: Duration, output: &Output) -> Result<(), Failure> {
    if !file.is_file() {
        let message = format!("there is no file {}", file.display());
        return Err(Failure::failed("no_file", message));
    }
    let verdict = host::vet(file, None, limit);
    if let Some(reason) = verdict.reason() {
        if output.is_json() {
            output.object(&verdict)?;
        }
        let message = format!("{} is {}: {reason}", file.display(), verdict.word());
        return Err(Failure::failed(verdict.word(), message));
    }
    match &verdict {
        Verdict::Sound { manifest, remarks } if !output.is_json() => {
            output.line(&output.paint(Colour::Green, "sound"));
            output.line(&status_text::manifest(manifest, output));
            for remark in remarks {
                output.line(&format!("remark: {remark}"));
            }
            Ok(())
        }
        verdict => output.object(verdict),
    }
}

/// Asks for what is at a path.
pub(crate) fn get(client: &Client, path: &str) -> Result<Answer, Failure> {
    client.ask(Method::GET, path, Vec::new())
}

/// For scripts: the answer as it came, on one line.
pub(crate) fn as_it_came(answer: &Answer, output: &Output) {
    output.line(&String::from_utf8_lossy(&answer.body));
}

#[derive(Deserialize)]
struct Plugins {
    plugins: Vec<PluginStatus>,
}

fn list(client: &Client, output: &Output) -> Result<(), Failure> {
    let answer = get(client, "/plugins")?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    let Plugins { plugins } = answer.read()?;
    if plugins.is_empty() {
        output.line("no plugin yet");
    } else {
        output.line(&tables::plugins(&plugins, output));
    }
    Ok(())
}

fn status(client: &Client, output: &Output) -> Result<(), Failure> {
    let answer = get(client, "/status")?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    output.line(&status_text::host(&answer.read::<HostStatus>()?, output));
    Ok(())
}

fn plugin_status(client: &Client, name: &str, output: &Output) -> Result<(), Failure> {
    let answer = get(client, &format!("/plugins/{}", segment(name)))?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    output.line(&status_text::plugin(
        &answer.read::<PluginStatus>()?,
        output,
    ));
    Ok(())
}

fn call(
    client: &Client,
    plugin: &str,
    method: &str,
    words: &[String],
    output: &Output,
) -> Result<(), Failure> {
    let path = format!("/call/{}/{}", segment(plugin), segment(method));
    let answer = client.ask(Method::POST, &path, arguments::body_from(words))?;
    if !output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    let header = |name| {
        answer
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let generation: Option<u64> = header(GENERATION_HEADER).and_then(|text| text.parse().ok());
    output.object(&CallAnswer {
        result: answer.read()?,
        version: header(VERSION_HEADER),
        generation,
    })
}

#[derive(serde::Serialize)]
struct CallAnswer<'a> {
    /// As the plugin wrote it.
    result: Box<RawValue>,
    version: Option<&'a str>,
    generation: Option<u64>,
}

fn load(client: &Client, file: &Path, output: &Output) -> Result<(), Failure> {
    let answer = client.ask(Method::POST, "/plugins", about_file(file)?)?;
    swapped(&answer, output)
}

/// What a host is told of a file: its whole path, since the host may be in another folder.
pub(crate) fn about_file(file: &Path) -> Result<Vec<u8>, Failure> {
    let whole = std::path::absolute(file)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let text = whole.to_str().ok_or_else(|| {
        let message = format!(
            "{}: its path is not UTF-8; give it another name",
            whole.display()
        );
        Failure::usage(message)
    })?;
    Ok(serde_json::json!({ "file": text }).to_string().into_bytes())
}

fn rollback(
    client: &Client,
    plugin: &str,
    to: Option<&str>,
    output: &Output,
) -> Result<(), Failure> {
    let path = format!("/plugins/{}/rollback", segment(plugin));
    let answer = client.ask(Method::POST, &path, rollback_request(to).into_bytes())?;
    swapped(&answer, output)
}

/// A whole number is a generation, anything else a version.
fn rollback_request(to: Option<&str>) -> String {
    match to.map(|to| to.parse::<u64>().map_err(|_| to)) {
        None => "{}".to_owned(),
        Some(Ok(generation)) => serde_json::json!({ "to": generation }).to_string(),
        Some(Err(version)) => serde_json::json!({ "to": version }).to_string(),
    }
}

fn swapped(answer: &Answer, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        as_it_came(answer, output);
        return Ok(());
    }
    output.line(&status_text::swap(&answer.read::<SwapReport>()?, output));
    Ok(())
}

fn unload(client: &Client, plugin: &str, output: &Output) -> Result<(), Failure> {
    let path = format!("/plugins/{}", segment(plugin));
    let answer = client.ask(Method::DELETE, &path, Vec::new())?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    let report: UnloadReport = answer.read()?;
    let departure = match &report.departure {
        Departure::Unmapped => "unmapped".to_owned(),
        Departure::Lingering { cause } => format!("lingering: {cause}"),
    };
    let state = if report.state_saved {
        "; its state is saved for the next load"
    } else {
        ""
    };
    output.line(&format!(
        "{} unloaded: generation {} is {departure}{state}",
        report.plugin, report.generation
    ));
    Ok(())
}

#[derive(Deserialize)]
struct History {
    records: Vec<Record>,
}

fn history(client: &Client, plugin: &str, limit: usize, output: &Output) -> Result<(), Failure> {
    let path = format!("/plugins/{}/history?limit={limit}", segment(plugin));
    let answer = get(client, &path)?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    let History { records } = answer.read()?;
    output.line(&tables::history(&records, output));
    Ok(())
}

fn events(client: &Client, follow: bool, output: &Output) -> Result<(), Failure> {
    let tell = |event: &Event| {
        if output.is_json() {
            output.object(event)
        } else {
            output.line_if_read(&events_text::line(event, output))
        }
    };
    if follow {
        return client.follow("/events?follow=true", |data| {
            // A newer host may tell of what this program does not know: as it came, then.
            match serde_json::from_str(data) {
                Ok(event) => tell(&event),
                Err(_) => output.line_if_read(data),
            }
        });
    }
    let events: Vec<Event> = get(client, "/events")?.read()?;
    events.iter().try_for_each(tell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_path_cannot_be_told_is_not_asked_for() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let failure = about_file(Path::new(OsStr::from_bytes(b"/\xff.so"))).unwrap_err();
        assert!(failure.message.contains("is not UTF-8"), "{failure}");
        let asked = about_file(Path::new("/a.so")).unwrap();
        assert_eq!(asked, br#"{"file":"/a.so"}"#);
    }

    #[test]
    fn a_rollback_to_a_whole_number_asks_for_a_generation() {
        assert_eq!(rollback_request(None), "{}");
        assert_eq!(rollback_request(Some("7")), r#"{"to":7}"#);
        assert_eq!(rollback_request(Some("1.2.0")), r#"{"to":"1.2.0"}"#);
    }
}
