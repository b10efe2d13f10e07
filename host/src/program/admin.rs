//! The admin API: what an operator asks of a running host, over HTTP on its Unix socket and, where configured, on TCP.
//!
//! It has a thread and a runtime of its own, so that it answers however busy the calls are, and until the end of a drain.
//! What takes its time in the library (load, unload, rollback, history) runs on threads made for waiting.

use super::{
    calls::Calls,
    connection::{self, Limits},
    datasets,
    failure::Failure,
    happenings::Followers,
    http::{self, Refusal, body_of, json},
    releases,
    token::Token,
};
use axum::{
    Router,
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use host::{Host, RollbackTarget, SwapError};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    io, net::TcpListener, os::unix::net::UnixListener, path::PathBuf, thread::JoinHandle,
    time::Duration,
};
use tokio::sync::watch;

/// How long requests in flight may take once the host has ended.
const GRACE: Duration = Duration::from_secs(1);
/// The largest body of a request.
const MAX_BODY: usize = 1 << 20;
/// What its doors allow.
pub(crate) const LIMITS: Limits = Limits {
    connections: 256,
    head_size: 64 << 10,
    head: Duration::from_secs(10),
    body: Duration::from_secs(30),
    idle: Duration::from_secs(60),
};
/// Records of a history where nobody says how many.
pub(crate) const DEFAULT_HISTORY: usize = 50;

/// The running admin side of a host.
pub(crate) struct AdminSide {
    ended: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// What the admin side listens to; all of it not blocking.
pub(crate) struct Doors {
    /// The socket: who reaches it may do everything.
    pub(crate) socket: UnixListener,
    /// A TCP address, and what callers must bring there.
    pub(crate) tcp: Option<(TcpListener, Token)>,
}

impl AdminSide {
    /// Starts to answer.
    pub(crate) fn start(host: Host, calls: Calls, doors: Doors) -> Result<Self, Failure> {
        let (ended, when_ended) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("host-admin".to_owned())
            .spawn(move || {
                if let Err(error) = answer(host, calls, doors, &when_ended) {
                    tracing::error!(%error, "the admin side has ended");
                }
            })
            .map_err(|error| Failure::failed("failed", format!("starting a thread: {error}")))?;
        Ok(AdminSide { ended, thread })
    }

    /// Answers what is in flight, and ends.
    pub(crate) fn end(self) {
        self.ended.send_replace(true);
        if self.thread.join().is_err() {
            tracing::error!("the admin side has panicked");
        }
    }
}

fn answer(host: Host, calls: Calls, doors: Doors, ended: &watch::Receiver<bool>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("host-admin-wait")
        .build()?;
    let admin = Admin {
        host,
        followers: Followers::until(ended.clone()),
    };
    let router = http::with_refusals(router(admin).merge(calls.router()));
    runtime.block_on(async {
        let end = |mut ended: watch::Receiver<bool>| async move {
            // An error means that the sender is gone, which is the end too.
            let _ = ended.wait_for(|ended| *ended).await;
        };
        let socket = tokio::net::UnixListener::from_std(doors.socket)?;
        let serving = |router: Router| move |_| TowerToHyperService::new(router.clone());
        let on_socket = connection::serve(
            socket,
            serving(router.clone()),
            LIMITS,
            end(ended.clone()),
            GRACE,
        );
        let Some((listener, token)) = doors.tcp else {
            on_socket.await;
            return Ok(());
        };
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let guarded = router.layer(middleware::from_fn_with_state(token, guard));
        let on_tcp = connection::serve(
            listener,
            serving(guarded),
            LIMITS,
            end(ended.clone()),
            GRACE,
        );
        tokio::join!(on_socket, on_tcp);
        io::Result::Ok(())
    })?;
    // A load that hangs is not waited for.
    runtime.shutdown_background();
    Ok(())
}

async fn guard(State(token): State<Token>, request: Request, next: Next) -> Response {
    let brought = request.headers().get(header::AUTHORIZATION);
    if brought.is_some_and(|value| token.is_brought_by(value.as_bytes())) {
        return next.run(request).await;
    }
    let message = "bring the token of [admin] token_file: `authorization: Bearer TOKEN`";
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
    ([(header::WWW_AUTHENTICATE, "Bearer")], refusal).into_response()
}

/// What every request needs.
#[derive(Clone)]
pub(crate) struct Admin {
    /// The host that is asked.
    pub(crate) host: Host,
    followers: Followers,
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/plugins", get(plugins).post(load))
        .route("/plugins/{plugin}", get(plugin).delete(unload))
        .route("/plugins/{plugin}/history", get(history))
        .route("/plugins/{plugin}/rollback", post(rollback))
        .route("/events", get(events))
        .route("/rescan", post(rescan))
        .merge(datasets::router())
        .merge(releases::router())
        .with_state(admin)
}

/// What a request comes to.
pub(crate) type Answer = Result<Response, Refusal>;

async fn status(State(admin): State<Admin>) -> Response {
    json(StatusCode::OK, &admin.host.status())
}

async fn plugins(State(admin): State<Admin>) -> Response {
    let plugins = admin.host.status().plugins;
    json(StatusCode::OK, &serde_json::json!({ "plugins": plugins }))
}

async fn plugin(State(admin): State<Admin>, Path(name): Path<String>) -> Answer {
    let plugin = admin
        .host
        .plugin(&name)
        .ok_or_else(|| unknown_plugin(&name))?;
    Ok(json(StatusCode::OK, &plugin))
}

#[derive(Deserialize)]
struct HistoryQuery {
    limit: Option<usize>,
}

async fn history(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Answer {
    let limit = query.limit.unwrap_or(DEFAULT_HISTORY);
    let (plugin, host) = (name.clone(), admin.host.clone());
    let records = waiting(move || host.history(&plugin, limit))
        .await?
        .map_err(|error| failed(format!("reading the journal: {error:#}")))?;
    if records.is_empty() && admin.host.plugin(&name).is_none() {
        return Err(unknown_plugin(&name));
    }
    let history = serde_json::json!({ "plugin": name, "records": records });
    Ok(json(StatusCode::OK, &history))
}

async fn load(State(admin): State<Admin>, request: Request) -> Answer {
    let file = file_of(request, "{\"file\": \"/path/to/libname.so\"}").await?;
    let report = waiting(move || admin.host.load(&file)).await?;
    Ok(json(
        StatusCode::OK,
        &report.map_err(|error| ended(&error))?,
    ))
}

async fn unload(State(admin): State<Admin>, Path(name): Path<String>) -> Answer {
    if admin.host.plugin(&name).is_none() {
        return Err(unknown_plugin(&name));
    }
    let report = waiting(move || admin.host.unload(&name)).await?;
    Ok(json(
        StatusCode::OK,
        &report.map_err(|error| ended(&error))?,
    ))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RollbackRequest {
    to: Option<To>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum To {
    Generation(u64),
    Version(String),
}

async fn rollback(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    if admin.host.plugin(&name).is_none() {
        return Err(unknown_plugin(&name));
    }
    let shape = "{\"to\": \"1.2.0\"} for a version, {\"to\": 7} for a generation, or nothing";
    let RollbackRequest { to } = object_of(request, shape).await?;
    let to = to.map(|to| match to {
        To::Generation(generation) => RollbackTarget::Generation(generation),
        To::Version(version) => RollbackTarget::Version(version),
    });
    let report = waiting(move || admin.host.rollback(&name, to.as_ref())).await?;
    Ok(json(
        StatusCode::OK,
        &report.map_err(|error| ended(&error))?,
    ))
}

#[derive(Deserialize)]
struct EventsQuery {
    #[serde(default)]
    follow: bool,
}

async fn events(
    State(admin): State<Admin>,
    Query(query): Query<EventsQuery>,
    request: Request,
) -> Answer {
    let accepted = request.headers().get(header::ACCEPT);
    let wants_stream = accepted.is_some_and(|value| value == "text/event-stream");
    if !(query.follow || wants_stream) {
        return Ok(json(StatusCode::OK, &admin.host.events()));
    }
    match admin.followers.follow(admin.host) {
        Some(following) => Ok(following.into_response()),
        None => Err(Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "busy",
            "too many follow the events already",
        )),
    }
}

async fn rescan(State(admin): State<Admin>) -> Answer {
    waiting(move || admin.host.rescan()).await?;
    let accepted = serde_json::json!({ "rescan": "begun" });
    Ok(json(StatusCode::ACCEPTED, &accepted))
}

/// The object in the body; an empty body is an empty object.
pub(crate) async fn object_of<T: DeserializeOwned>(
    request: Request,
    shape: &str,
) -> Result<T, Refusal> {
    object_up_to(MAX_BODY, request, shape).await
}

/// The object in a body of at most so many bytes; an empty body is an empty object.
pub(crate) async fn object_up_to<T: DeserializeOwned>(
    limit: usize,
    request: Request,
    shape: &str,
) -> Result<T, Refusal> {
    let body = body_of(request, limit, LIMITS.body).await?;
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(text).map_err(|error| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "bad_arguments",
            format!("the body is not understood: {error}; write {shape}"),
        )
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRequest {
    file: PathBuf,
}

/// The file that a request names, by its whole path.
pub(crate) async fn file_of(request: Request, shape: &str) -> Result<PathBuf, Refusal> {
    let FileRequest { file } = object_of(request, shape).await?;
    if !file.is_absolute() {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "bad_arguments",
            format!(
                "{} is relative, and the host may stand elsewhere; give the whole path",
                file.display()
            ),
        ));
    }
    Ok(file)
}

/// Runs what takes its time on a thread made for that. It goes on if the client leaves.
pub(crate) async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| failed(format!("the host failed on its way: {error}")))
}

/// The answer for a journey that ended before its switch.
fn ended(error: &SwapError) -> Refusal {
    let (status, kind) = if error.is_out_of_time() {
        (StatusCode::GATEWAY_TIMEOUT, "out_of_time")
    } else {
        (StatusCode::UNPROCESSABLE_ENTITY, error.step.word())
    };
    Refusal::new(status, kind, error.to_string())
}

fn unknown_plugin(name: &str) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "unknown_plugin",
        format!("no plugin \"{name}\" is known here"),
    )
}

/// The host itself failed.
pub(crate) fn failed(message: String) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::Step;

    fn stopped_at(step: Step) -> Refusal {
        ended(&SwapError {
            step,
            subject: "counter".to_owned(),
            cause: anyhow::anyhow!("for a reason"),
        })
    }

    #[test]
    fn a_journey_that_ended_is_422_by_its_step() {
        let refusal = stopped_at(Step::Vet);
        assert_eq!((refusal.status.as_u16(), refusal.kind), (422, "vet"));
        assert!(refusal.message.contains("for a reason"));
    }

    #[test]
    fn a_missed_drain_deadline_is_504_out_of_time() {
        let refusal = stopped_at(Step::Drain);
        assert_eq!(
            (refusal.status.as_u16(), refusal.kind),
            (504, "out_of_time")
        );
    }

    #[test]
    fn a_whole_number_is_a_generation_and_a_text_a_version() {
        let to = |text| serde_json::from_str::<RollbackRequest>(text).unwrap().to;
        assert!(matches!(to(r#"{"to":7}"#), Some(To::Generation(7))));
        assert!(matches!(to(r#"{"to":"7"}"#), Some(To::Version(version)) if version == "7"));
        assert!(to("{}").is_none());
    }
}
