//! HTTP, as this program speaks it on every door: answers and errors in JSON.

use super::body;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Serialize;
use std::time::Duration;

/// The longest text of axum's own that is passed on.
const LONGEST_REJECTION: usize = 4096;
/// What every answer is written in.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer that is not a result: `{"error":{"kind","message"}}` with this status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status.
    pub(crate) status: StatusCode,
    /// The kind, in one word.
    pub(crate) kind: &'static str,
    /// The story.
    pub(crate) message: String,
    /// After how many seconds it is worth trying again.
    pub(crate) retry_after: Option<u32>,
}

impl Refusal {
    /// A refusal of this kind.
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Refusal {
            status,
            kind,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Worth trying again after that many seconds.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": { "kind": self.kind, "message": self.message } });
        let mut response = json_text(self.status, body.to_string());
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An answer whose body is JSON already.
pub(crate) fn json_text(status: StatusCode, text: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], text.into()).into_response()
}

/// An answer with this object as JSON.
pub(crate) fn json(status: StatusCode, object: &impl Serialize) -> Response {
    match serde_json::to_vec(object) {
        Ok(text) => json_text(status, text),
        Err(error) => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed",
            format!("writing the answer: {error}"),
        )
        .into_response(),
    }
}

/// The body of a request, within these limits of size and time.
pub(crate) async fn body_of(
    request: Request,
    most: usize,
    limit: Duration,
) -> Result<Bytes, Refusal> {
    let (head, body) = request.into_parts();
    let reading = body::read(body, &head.headers, most);
    let read = tokio::time::timeout(limit, reading).await;
    read.map_err(|_| too_slow(limit))?
}

/// The answer for a body that took longer than this.
pub(crate) fn too_slow(limit: Duration) -> Refusal {
    Refusal::new(
        StatusCode::REQUEST_TIMEOUT,
        "body_too_slow",
        format!(
            "the body did not arrive within {}; nothing was executed",
            humantime::format_duration(limit)
        ),
    )
}

/// The router, with everything that axum refuses by itself (unknown paths, wrong methods, what cannot be extracted) told
/// in JSON too.
pub(crate) fn with_refusals(router: Router) -> Router {
    router.layer(middleware::from_fn(refuse_in_json))
}

async fn refuse_in_json(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let status = response.status();
    let content = response.headers().get(header::CONTENT_TYPE);
    if status.as_u16() < 400 || content.is_some_and(|content| content == JSON) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let path = uri.path();
    let refusal = match status {
        StatusCode::NOT_FOUND => Refusal::new(
            status,
            "unknown_path",
            format!("there is nothing at {path}"),
        ),
        StatusCode::METHOD_NOT_ALLOWED => Refusal::new(
            status,
            "wrong_method",
            format!("{method} is not possible at {path}; see the header `allow`"),
        ),
        _ => {
            let text = axum::body::to_bytes(response.into_body(), LONGEST_REJECTION).await;
            let text = text.unwrap_or_default();
            Refusal::new(status, "bad_request", String::from_utf8_lossy(&text))
        }
    };
    let mut response = refusal.into_response();
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
