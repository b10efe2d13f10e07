//! The verbs of `host data`: they ask a running host about its datasets, or change them.

use super::{
    client::{Answer, Client, segment},
    commands::DataVerb,
    data_text,
    datasets::{FORMAT_HEADER, HASH_HEADER, ORIGIN_HEADER, REVISION_HEADER},
    failure::Failure,
    output::Output,
    verbs::{as_it_came, get},
};
use host::data::{DataReport, DatasetChange, DatasetStatus, Format, RevisionRecord, TriggerReport};
use hyper::{HeaderMap, Method, header::HeaderName};
use serde::Deserialize;
use serde_json::Value;
use similar::TextDiff;
use std::{collections::BTreeMap, fs::File, io::Read as _};

/// Lines around a change that a difference shows.
const AROUND: usize = 3;
/// The largest content of any dataset, in bytes.
const LARGEST: u64 = 1 << 30;

/// Asks the host what the verb says, and tells the answer.
pub(crate) fn ask(verb: DataVerb, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        DataVerb::List => list(client, output),
        DataVerb::Get { name, revision } => read(client, &name, revision, output),
        DataVerb::Put { pairs } => put(client, &pairs, output),
        DataVerb::History { name, limit } => history(client, &name, limit, output),
        DataVerb::Diff { name, from, to } => diff(client, &name, (from, to), output),
        DataVerb::Rollback { name, to, pin } => rollback(client, &name, to, pin, output),
        DataVerb::InstallTriggers { name, dry_run } => {
            triggers(client, &name, false, dry_run, output)
        }
        DataVerb::UninstallTriggers { name, dry_run } => {
            triggers(client, &name, true, dry_run, output)
        }
    }
}

#[derive(Deserialize)]
struct Datasets {
    datasets: Vec<DatasetStatus>,
}

fn list(client: &Client, output: &Output) -> Result<(), Failure> {
    let answer = get(client, "/data")?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    let Datasets { datasets } = answer.read()?;
    if datasets.is_empty() {
        output.line("no data is declared; write [data.NAME] in host.toml");
    } else {
        output.line(&data_text::datasets(&datasets, output));
    }
    Ok(())
}

fn revision_of(client: &Client, name: &str, revision: Option<u64>) -> Result<Answer, Failure> {
    let which = revision.map_or_else(String::new, |number| format!("?revision={number}"));
    get(client, &format!("/data/{}{which}", segment(name)))
}

fn header(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).map(|value| value.as_bytes());
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// The parsed content of an answer, or its text where it is not parsed.
fn parsed(answer: &Answer) -> Result<Value, Failure> {
    let word = header(&answer.headers, &FORMAT_HEADER);
    let format = Format::ALL.iter().find(|(known, _)| *known == word);
    let parsed = format.and_then(|(_, format)| format.parse(&answer.body).ok()?);
    if let Some(parsed) = parsed {
        return Ok(parsed);
    }
    let text = std::str::from_utf8(&answer.body);
    text.map(Value::from).map_err(|_| {
        Failure::failed(
            "not_text",
            "this content is not text; `host data get NAME > FILE` writes it as it is",
        )
    })
}

fn read(
    client: &Client,
    name: &str,
    revision: Option<u64>,
    output: &Output,
) -> Result<(), Failure> {
    let answer = revision_of(client, name, revision)?;
    if !output.is_json() {
        return output.bytes(&answer.body);
    }
    let number: Option<u64> = header(&answer.headers, &REVISION_HEADER).parse().ok();
    output.object(&serde_json::json!({
        "dataset": name,
        "revision": number,
        "origin": header(&answer.headers, &ORIGIN_HEADER),
        "hash": header(&answer.headers, &HASH_HEADER),
        "format": header(&answer.headers, &FORMAT_HEADER),
        "content": parsed(&answer)?,
    }))
}

/// Who asks for a change.
pub(crate) fn who() -> String {
    std::env::var("USER").unwrap_or_else(|_| "an operator".to_owned())
}

/// What a file holds; a pipe may be given too, as in `host data put rates <(make-rates)`.
fn file(path: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::failed("no_file", format!("{path} cannot be read: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        let message = format!("{path} has more than 1 GiB, the most that any dataset takes");
        return Err(Failure::failed("too_large", message));
    }
    Ok(bytes)
}

fn put(client: &Client, pairs: &[String], output: &Output) -> Result<(), Failure> {
    let who = segment(&who());
    if let [name, path] = pairs {
        let path_of_data = format!("/data/{}?who={who}", segment(name));
        let answer = client.ask(Method::PUT, &path_of_data, file(path)?)?;
        return changed(&answer, output);
    }
    let mut contents = BTreeMap::new();
    for pair in pairs.chunks(2) {
        let [name, path] = pair else {
            return Err(Failure::usage("each NAME needs its FILE"));
        };
        let content = String::from_utf8(file(path)?).map_err(|_| {
            let message = format!("{path} is not text; several datasets change together as text");
            Failure::failed("not_text", message)
        })?;
        if contents.insert(name, content).is_some() {
            return Err(Failure::usage(format!("{name} is named twice")));
        }
    }
    let body = serde_json::to_vec(&contents)
        .map_err(|error| Failure::failed("failed", format!("writing JSON: {error}")))?;
    let answer = client.ask(Method::POST, &format!("/data?who={who}"), body)?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    for change in answer.read::<DataReport>()?.changes {
        output.line(&data_text::change(&change));
    }
    Ok(())
}

fn changed(answer: &Answer, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        as_it_came(answer, output);
        return Ok(());
    }
    output.line(&data_text::change(&answer.read::<DatasetChange>()?));
    Ok(())
}

#[derive(Deserialize)]
struct History {
    revisions: Vec<RevisionRecord>,
}

fn history(client: &Client, name: &str, limit: usize, output: &Output) -> Result<(), Failure> {
    let answer = get(
        client,
        &format!("/data/{}/history?limit={limit}", segment(name)),
    )?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    let History { revisions } = answer.read()?;
    output.line(&data_text::history(&revisions, output));
    Ok(())
}

fn rollback(
    client: &Client,
    name: &str,
    to: Option<u64>,
    pin: bool,
    output: &Output,
) -> Result<(), Failure> {
    let path = format!("/data/{}/rollback?who={}", segment(name), segment(&who()));
    let request = serde_json::json!({ "to": to, "pin": pin }).to_string();
    changed(
        &client.ask(Method::POST, &path, request.into_bytes())?,
        output,
    )
}

fn triggers(
    client: &Client,
    name: &str,
    uninstall: bool,
    dry_run: bool,
    output: &Output,
) -> Result<(), Failure> {
    let path = format!("/data/{}/triggers", segment(name));
    let request = serde_json::json!({ "uninstall": uninstall, "dry_run": dry_run }).to_string();
    let answer = client.ask(Method::POST, &path, request.into_bytes())?;
    if output.is_json() {
        as_it_came(&answer, output);
        return Ok(());
    }
    let report = answer.read::<TriggerReport>()?;
    output.line(&data_text::triggers(&report, uninstall));
    Ok(())
}

fn diff(
    client: &Client,
    name: &str,
    (from, to): (u64, u64),
    output: &Output,
) -> Result<(), Failure> {
    let [before, after] = [from, to].map(|number| {
        let answer = revision_of(client, name, Some(number))?;
        pretty(&parsed(&answer)?)
    });
    let (before, after) = (before?, after?);
    let names = [from, to].map(|number| format!("{name} revision {number}"));
    let difference = TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(AROUND)
        .header(&names[0], &names[1])
        .to_string();
    if output.is_json() {
        return output.object(&serde_json::json!({
            "dataset": name,
            "from": from,
            "to": to,
            "difference": difference,
        }));
    }
    if difference.is_empty() {
        output.line("no difference");
    } else {
        output.line(difference.trim_end());
    }
    Ok(())
}

/// The value on as many lines as make it readable; text as it is.
fn pretty(value: &Value) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        value => serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .map_err(|error| Failure::failed("failed", format!("writing JSON: {error}"))),
    }
}
