//! HTTP, as this program speaks it on every door: answers and errors in JSON, connections with limits, an end in grace.

use axum::{
    Router,
    body::Body,
    extract::{FromRequest as _, Request, rejection::BytesRejection},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    serve::Listener,
};
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use serde::Serialize;
use std::{future::Future, time::Duration};

/// How long a client may take for the head of a request, and leave a connection idle.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// How long a client may take for the body of a request.
const BODY_LIMIT: Duration = Duration::from_secs(30);
/// The longest text of axum's own that is passed on.
const LONGEST_REJECTION: usize = 4096;
/// What every answer is written in.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

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

/// The body of a request, within the limits of size (set on the router) and time.
pub(crate) async fn body_of(request: Request) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_LIMIT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) => Err(unread_body(&rejection)),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            format!(
                "the body did not arrive within {} s; nothing was executed",
                BODY_LIMIT.as_secs()
            ),
        )),
    }
}

fn unread_body(rejection: &BytesRejection) -> Refusal {
    let status = rejection.status();
    let kind = if status == StatusCode::PAYLOAD_TOO_LARGE {
        "body_too_large"
    } else {
        "bad_request"
    };
    Refusal::new(
        status,
        kind,
        format!("{}; nothing was executed", rejection.body_text()),
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

/// Answers what comes in at `listener`, until `stop` is ready; then lets requests in flight finish for at most `grace`.
pub(crate) async fn serve(
    mut listener: impl Listener,
    router: Router,
    stop: impl Future<Output = ()>,
    grace: Duration,
) {
    let mut connections = http1::Builder::new();
    connections
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT);
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let stream = tokio::select! {
            (stream, _) = listener.accept() => stream,
            () = &mut stop => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection =
            graceful.watch(connections.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some connections were still busy when the time for them was over");
    }
}
