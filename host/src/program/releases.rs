//! The releases over HTTP, as a part of the admin API.

use super::{
    admin::{Admin, Answer, DEFAULT_HISTORY, failed, file_of, object_of, waiting},
    datasets::Who,
    http::{Refusal, json},
};
use axum::{
    Router,
    extract::{Query, Request, State},
    http::StatusCode,
    routing::{get, post},
};
use host::release::{Release, ReleaseError};
use serde::Deserialize;

/// The routes.
pub(crate) fn router() -> Router<Admin> {
    Router::new()
        .route("/releases", get(list).post(apply))
        .route("/releases/rollback", post(rollback))
}

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<usize>,
}

async fn list(State(admin): State<Admin>, Query(query): Query<ListQuery>) -> Answer {
    let limit = query.limit.unwrap_or(DEFAULT_HISTORY);
    let releases = waiting(move || admin.host.releases(limit)).await?;
    let releases = releases.map_err(|error| failed(format!("{error:#}")))?;
    let releases = serde_json::json!({ "releases": releases });
    Ok(json(StatusCode::OK, &releases))
}

async fn apply(State(admin): State<Admin>, Query(who): Query<Who>, request: Request) -> Answer {
    let file = file_of(request, "{\"file\": \"/path/to/release.toml\"}").await?;
    let who = who.name();
    let applied = waiting(move || {
        let release = Release::read(&file).map_err(|error| unreadable(&error))?;
        let applied = admin.host.release(release, &who);
        applied.map_err(|error| refusal(&error))
    });
    Ok(json(StatusCode::OK, &applied.await??))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RollbackRequest {
    release: Option<u64>,
}

async fn rollback(State(admin): State<Admin>, Query(who): Query<Who>, request: Request) -> Answer {
    let shape = "{\"release\": 4}, or nothing";
    let RollbackRequest { release } = object_of(request, shape).await?;
    let who = who.name();
    let back = waiting(move || admin.host.rollback_release(release, &who)).await?;
    Ok(json(
        StatusCode::OK,
        &back.map_err(|error| refusal(&error))?,
    ))
}

fn unreadable(error: &anyhow::Error) -> Refusal {
    Refusal::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "bad_release",
        format!("{error:#}"),
    )
}

fn refusal(error: &ReleaseError) -> Refusal {
    let status = if !error.left.is_empty() {
        StatusCode::INTERNAL_SERVER_ERROR
    } else if error.is_out_of_time() {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Refusal::new(status, error.kind(), error.to_string())
}
