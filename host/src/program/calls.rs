//! The call listener: `POST /call/{plugin}/{method}` over HTTP, and whether the host is alive and ready.
//!
//! The call listener's connections are answered by [`caller`](super::caller); the administration's doors, which must not
//! run calls on their one thread, by the router here.
//!
//! The body goes to the library as it is, and the method's result comes back as it is. A connection that gives up, or
//! waits no longer than `[call] timeout`, takes nothing back: a call that was accepted is executed all the same, once.

use super::http::{Refusal, body_of, json, json_text};
use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use host::{CallError, Host, Method, Reply, config::CallConfig};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, oneshot};

/// The header with the version that answered.
pub(crate) const VERSION_HEADER: HeaderName = HeaderName::from_static("x-plugin-version");
/// The header with the generation that answered.
pub(crate) const GENERATION_HEADER: HeaderName = HeaderName::from_static("x-plugin-generation");

/// What every request needs.
#[derive(Clone)]
pub(crate) struct Calls {
    host: Host,
    timeout: Duration,
    body_timeout: Duration,
    max_body: usize,
    /// Calls of `async` methods that may be pending.
    pending: Arc<Semaphore>,
    refusing: Arc<AtomicBool>,
}

impl Calls {
    /// Calls to this host, within the limits of this configuration.
    pub(crate) fn new(host: Host, config: &CallConfig) -> Self {
        Calls {
            host,
            timeout: config.timeout,
            body_timeout: config.body_timeout,
            max_body: usize::try_from(config.max_body).unwrap_or(usize::MAX),
            pending: Arc::new(Semaphore::new(config.queue)),
            refusing: Arc::default(),
        }
    }

    /// Answers every call with 503 from now on.
    pub(crate) fn refuse(&self) {
        self.refusing.store(true, Ordering::Relaxed);
    }

    fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    /// A refusal from when every call is refused.
    pub(crate) fn refuse_if_ending(&self) -> Result<(), Refusal> {
        if self.is_refusing() {
            return Err(shutting_down());
        }
        Ok(())
    }

    /// The largest body.
    pub(crate) fn max_body(&self) -> usize {
        self.max_body
    }

    /// How long a client may take for a body.
    pub(crate) fn body_timeout(&self) -> Duration {
        self.body_timeout
    }

    /// A method, looked up.
    pub(crate) fn method(&self, plugin: &str, name: &str) -> Result<Method, Refusal> {
        let method = self.host.method(plugin, name);
        method.map_err(|error| refusal(&error))
    }

    /// Calls on a thread of the library's, or none while an `async` method is pending, and waits for the answer as long as
    /// calls may take.
    pub(crate) async fn call_elsewhere(
        &self,
        method: &Method,
        arguments: bytes::Bytes,
    ) -> Result<Reply, Refusal> {
        let (answer, answered) = oneshot::channel();
        // The receiver may be gone by then: a client who left.
        let answer = move |result| drop(answer.send(result));
        let begun = if method.is_async() {
            self.begin(method, &arguments, answer)
        } else {
            method.call_queued(arguments, answer)
        };
        begun.map_err(|error| not_queued(&error))?;
        let whither = || format!("{}.{}", method.plugin(), method.name());
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(answered)) => answered.map_err(|error| refusal(&error)),
            Ok(Err(_)) => Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "failed",
                format!(
                    "the call to {} was lost, and its outcome is unknown",
                    whither()
                ),
            )),
            Err(_) => Err(Refusal::new(
                StatusCode::GATEWAY_TIMEOUT,
                "timed_out",
                format!(
                    "{} has not answered within {}: the call was not taken back, and its outcome is unknown",
                    whither(),
                    humantime::format_duration(self.timeout)
                ),
            )),
        }
    }

    /// Begins an `async` method, which takes no thread while it is pending.
    fn begin(
        &self,
        method: &Method,
        arguments: &[u8],
        answer: impl FnOnce(Result<Reply, CallError>) + Send + 'static,
    ) -> Result<(), CallError> {
        let place = Arc::clone(&self.pending)
            .try_acquire_owned()
            .map_err(|_full| {
                CallError::Busy("too many calls are pending; this one was not executed".to_owned())
            })?;
        let call = self
            .host
            .call_async(method.plugin(), method.name(), arguments);
        tokio::spawn(async move {
            answer(call.await);
            drop(place);
        });
        Ok(())
    }

    /// The routes.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/call/{plugin}/{method}", post(call))
            .route("/readyz", get(ready))
            .route("/livez", get(alive))
            .with_state(self)
    }
}

async fn alive() -> Response {
    json(StatusCode::OK, &serde_json::json!({ "alive": true }))
}

async fn ready(State(calls): State<Calls>) -> Response {
    if calls.is_refusing() {
        return shutting_down().into_response();
    }
    json(StatusCode::OK, &serde_json::json!({ "ready": true }))
}

async fn call(
    State(calls): State<Calls>,
    Path((plugin, method)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    calls.refuse_if_ending()?;
    let arguments = body_of(request, calls.max_body, calls.body_timeout).await?;
    let method = calls.method(&plugin, &method)?;
    calls.call_elsewhere(&method, arguments).await.map(result)
}

fn result(reply: Reply) -> Response {
    let mut response = json_text(StatusCode::OK, reply.result);
    let headers = response.headers_mut();
    headers.insert(GENERATION_HEADER, HeaderValue::from(reply.generation));
    if let Ok(version) = HeaderValue::from_str(&reply.version) {
        headers.insert(VERSION_HEADER, version);
    }
    response
}

fn shutting_down() -> Refusal {
    let message = "the host is shutting down and takes no more calls";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_serving", message).retry_after(1)
}

/// What a call error is in HTTP, unless the call was not even queued.
pub(crate) fn refusal(error: &CallError) -> Refusal {
    let status = match error {
        CallError::BadArguments(_) => StatusCode::BAD_REQUEST,
        CallError::UnknownPlugin { .. } | CallError::UnknownMethod { .. } => StatusCode::NOT_FOUND,
        CallError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        CallError::Panicked(_) | CallError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        CallError::NotServing(_) | CallError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        CallError::TimedOut(_) | CallError::Cancelled(_) => StatusCode::GATEWAY_TIMEOUT,
    };
    let refusal = Refusal::new(status, error.kind(), error.to_string());
    match error {
        CallError::NotServing(_) | CallError::Busy(_) => refusal.retry_after(1),
        _ => refusal,
    }
}

/// What a call error is in HTTP when the call was not even queued: as above, but that a full queue is the callers' doing.
fn not_queued(error: &CallError) -> Refusal {
    let mut refusal = refusal(error);
    if matches!(error, CallError::Busy(_)) {
        refusal.status = StatusCode::TOO_MANY_REQUESTS;
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(error: CallError) -> u16 {
        refusal(&error).status.as_u16()
    }

    #[test]
    fn each_call_error_has_its_status() {
        let text = String::new;
        let plugin = text();
        assert_eq!(status(CallError::BadArguments(text())), 400);
        assert_eq!(status(CallError::UnknownPlugin { plugin }), 404);
        assert_eq!(status(CallError::Refused(text())), 422);
        assert_eq!(status(CallError::Panicked(text())), 500);
        assert_eq!(status(CallError::Failed(text())), 500);
        assert_eq!(status(CallError::NotServing(text())), 503);
        assert_eq!(status(CallError::Busy(text())), 503);
        assert_eq!(status(CallError::TimedOut(text())), 504);
    }

    #[test]
    fn a_full_queue_is_429_and_says_when_to_come_back() {
        let refusal = not_queued(&CallError::Busy("1024 calls wait already".to_owned()));
        assert_eq!(refusal.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refusal.kind, "busy");
        assert_eq!(refusal.retry_after, Some(1));
    }
}
