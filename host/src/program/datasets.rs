//! The datasets over HTTP: what an operator reads and changes of hot data, as a part of the admin API.

use super::{
    admin::{Admin, Answer, DEFAULT_HISTORY, LIMITS, failed, object_of, object_up_to, waiting},
    http::{Refusal, body_of, json},
};
use axum::{
    Router,
    extract::{Path, Query, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use host::data::{DataError, Format, Origin, Revision};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The header with the number of a revision.
pub(crate) const REVISION_HEADER: HeaderName = HeaderName::from_static("x-data-revision");
/// The header with what a revision is written in.
pub(crate) const FORMAT_HEADER: HeaderName = HeaderName::from_static("x-data-format");
/// The header with the digest of a revision's content.
pub(crate) const HASH_HEADER: HeaderName = HeaderName::from_static("x-data-hash");
/// The header with where a revision came from, for people.
pub(crate) const ORIGIN_HEADER: HeaderName = HeaderName::from_static("x-data-origin");
/// Who changes data where nobody says so.
const SOMEBODY: &str = "an operator";
/// What JSON around contents may add to their length.
const AROUND: u64 = 1 << 20;

/// The routes.
pub(crate) fn router() -> Router<Admin> {
    Router::new()
        .route("/data", get(list).post(change))
        .route("/data/{dataset}", get(read).put(put))
        .route("/data/{dataset}/history", get(history))
        .route("/data/{dataset}/rollback", post(rollback))
}

/// The largest body: twice the largest dataset, and what stands around it.
fn largest(admin: &Admin) -> usize {
    let largest = admin.host.datasets().iter().map(|it| it.max_bytes).max();
    let largest = largest.unwrap_or_default().saturating_mul(2) + AROUND;
    usize::try_from(largest).unwrap_or(usize::MAX)
}

async fn list(State(admin): State<Admin>) -> Response {
    let datasets = admin.host.datasets();
    json(StatusCode::OK, &serde_json::json!({ "datasets": datasets }))
}

#[derive(Deserialize)]
struct Which {
    revision: Option<u64>,
}

async fn read(
    State(admin): State<Admin>,
    Path(dataset): Path<String>,
    Query(which): Query<Which>,
) -> Answer {
    let revision = waiting(move || admin.host.data_revision(&dataset, which.revision)).await?;
    let revision = revision.map_err(|error| refusal(&error))?;
    Ok(content(&revision))
}

/// The content as it came, and what it is in the head.
fn content(revision: &Revision) -> Response {
    let record = &revision.record;
    let mut response = revision.content.clone().into_response();
    let origin = record.origin.to_string();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type(record.format)),
        (REVISION_HEADER, &record.number.to_string()),
        (FORMAT_HEADER, record.format.word()),
        (HASH_HEADER, &record.hash.to_string()),
        (ORIGIN_HEADER, &origin),
    ] {
        // What no header can hold is left out.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn media_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Toml => "application/toml",
        Format::Yaml => "application/yaml",
        Format::Csv => "text/csv",
        Format::Msgpack => "application/msgpack",
        Format::Bytes => "application/octet-stream",
    }
}

/// `?who=ada`: who asks for a change.
#[derive(Deserialize)]
pub(crate) struct Who {
    who: Option<String>,
}

impl Who {
    /// The name.
    pub(crate) fn name(self) -> String {
        self.who.unwrap_or_else(|| SOMEBODY.to_owned())
    }
}

async fn put(
    State(admin): State<Admin>,
    Path(dataset): Path<String>,
    Query(who): Query<Who>,
    request: Request,
) -> Answer {
    let content = Vec::from(body_of(request, largest(&admin), LIMITS.body).await?);
    let origin = Origin::operator(who.name());
    let put = waiting(move || admin.host.put_data(&dataset, content, &origin)).await?;
    Ok(json(StatusCode::OK, &put.map_err(|error| refusal(&error))?))
}

async fn change(State(admin): State<Admin>, Query(who): Query<Who>, request: Request) -> Answer {
    let shape = "{\"dataset\": \"its content as text\", ...}";
    let limit = largest(&admin);
    let contents: BTreeMap<String, String> = object_up_to(limit, request, shape).await?;
    let contents = contents
        .into_iter()
        .map(|(dataset, content)| (dataset, content.into_bytes()))
        .collect();
    let origin = Origin::operator(who.name());
    let report = waiting(move || admin.host.change_data(contents, &origin)).await?;
    Ok(json(
        StatusCode::OK,
        &report.map_err(|error| refusal(&error))?,
    ))
}

#[derive(Deserialize)]
struct HistoryQuery {
    limit: Option<usize>,
}

async fn history(
    State(admin): State<Admin>,
    Path(dataset): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Answer {
    let limit = query.limit.unwrap_or(DEFAULT_HISTORY);
    let name = dataset.clone();
    let records = waiting(move || admin.host.data_history(&name, limit)).await?;
    let records = records.map_err(|error| refusal(&error))?;
    let history = serde_json::json!({ "dataset": dataset, "revisions": records });
    Ok(json(StatusCode::OK, &history))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RollbackRequest {
    to: Option<u64>,
    #[serde(default)]
    pin: bool,
}

async fn rollback(
    State(admin): State<Admin>,
    Path(dataset): Path<String>,
    Query(who): Query<Who>,
    request: Request,
) -> Answer {
    let shape = "{\"to\": 7, \"pin\": true}, either of them, or nothing";
    let RollbackRequest { to, pin } = object_of(request, shape).await?;
    let who = who.name();
    let back = waiting(move || admin.host.rollback_data(&dataset, to, pin, &who)).await?;
    Ok(json(
        StatusCode::OK,
        &back.map_err(|error| refusal(&error))?,
    ))
}

fn refusal(error: &DataError) -> Refusal {
    let status = match error {
        DataError::UnknownDataset(_)
        | DataError::UnknownRevision { .. }
        | DataError::NoRevision { .. } => StatusCode::NOT_FOUND,
        DataError::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        DataError::Failed(error) => return failed(format!("{error:#}")),
    };
    Refusal::new(status, error.kind(), error.to_string())
}
