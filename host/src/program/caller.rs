//! A caller: who is at the other end of a connection of the call listener, with the methods it has called of late.
//!
//! `POST /call/{plugin}/{method}` is answered here, without the router, since most calls take less time than a router
//! does; the router has everything else. A call that is known to be short runs right here, on the listener's own thread.
//! Other calls go to the library's threads: the listener never waits in a plugin, or for one.
//!
//! A call that runs here has taken one of a few [places](super::places): even if every method that was short so far hangs,
//! a thread is left to answer. A client whose own call is the one that hangs here waits for it, and gets no 504.

use super::{
    body,
    calls::{Calls, GENERATION_HEADER, VERSION_HEADER, refusal},
    connection::Progress,
    http::{JSON, Refusal, too_slow},
    places::Places,
};
use axum::{Router, body::Body, http::header, response::IntoResponse as _};
use bytes::Bytes;
use host::{Method, Reply};
use http_body_util::{Either, Full};
use hyper::{
    HeaderMap, Request, Response, body::Incoming, header::HeaderValue, service::Service as _,
};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use std::{convert::Infallible, sync::Arc};

/// Methods that are kept for a connection.
const MOST_KEPT: usize = 32;

/// An answer: a result as it is, or whatever the router says.
pub(crate) type Answer = Response<Either<Full<Bytes>, Body>>;

/// One connection's way to the plugins.
pub(crate) struct Caller {
    calls: Calls,
    router: TowerToHyperService<Router>,
    progress: Arc<Progress>,
    places: Arc<Places>,
    /// The last ones first.
    kept: Mutex<Vec<Kept>>,
}

/// A method with the headers of its last answer.
struct Kept {
    method: Method,
    generation: u64,
    headers: Option<(HeaderValue, HeaderValue)>,
}

impl Caller {
    /// Who calls on a new connection; `router` answers what is no call.
    pub(crate) fn new(
        calls: Calls,
        router: Router,
        progress: Arc<Progress>,
        places: Arc<Places>,
    ) -> Arc<Self> {
        Arc::new(Caller {
            calls,
            router: TowerToHyperService::new(router),
            progress,
            places,
            kept: Mutex::new(Vec::new()),
        })
    }

    /// The answer to a request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Answer, Infallible> {
        let (mut head, body) = request.into_parts();
        let headers = std::mem::take(&mut head.headers);
        let answered = match called(&head.method, head.uri.path()) {
            Some((plugin, method)) => self.call(plugin, method, headers, body).await,
            None => {
                head.headers = headers;
                let request = Request::from_parts(head, body);
                return Ok(self.router.call(request).await?.map(Either::Right));
            }
        };
        Ok(answered.unwrap_or_else(|refusal| refusal.into_response().map(Either::Right)))
    }

    async fn call(
        &self,
        plugin: &str,
        method: &str,
        headers: HeaderMap,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        self.calls.refuse_if_ending()?;
        let reading = body::read(body, &headers, self.calls.max_body());
        let arguments = self.progress.of_body(reading).await;
        let arguments = arguments.ok_or_else(|| too_slow(self.calls.body_timeout()))??;
        let method = self.method(plugin, method)?;
        let reply = match self.call_here(&method, &arguments) {
            Some(answered) => answered.map_err(|error| refusal(&error))?,
            None => self.calls.call_elsewhere(&method, arguments).await?,
        };
        Ok(self.result(&method, reply, headers))
    }

    /// The method of this name, looked up unless it is one of those last called.
    fn method(&self, plugin: &str, name: &str) -> Result<Method, Refusal> {
        let is_asked_for =
            |kept: &Kept| kept.method.name() == name && kept.method.plugin() == plugin;
        let mut kept = self.kept.lock();
        if let Some(place) = kept.iter().position(is_asked_for) {
            kept[..=place].rotate_right(1);
        } else {
            let method = self.calls.method(plugin, name)?;
            kept.truncate(MOST_KEPT - 1);
            let (generation, headers) = (0, None);
            kept.insert(
                0,
                Kept {
                    method,
                    generation,
                    headers,
                },
            );
        }
        Ok(kept[0].method.clone())
    }

    /// Calls it on this thread, if it is short.
    fn call_here(
        &self,
        method: &Method,
        arguments: &[u8],
    ) -> Option<Result<Reply, host::CallError>> {
        let _place = self.places.take()?;
        method.call_if_short(arguments)
    }

    /// The answer with a result. The map of the request's headers becomes that of the answer's.
    fn result(&self, method: &Method, reply: Reply, mut headers: HeaderMap) -> Answer {
        headers.clear();
        headers.insert(header::CONTENT_TYPE, JSON);
        let mut kept = self.kept.lock();
        if let Some(kept) = kept.first_mut().filter(|kept| kept.method.is(method)) {
            if kept.generation != reply.generation || kept.headers.is_none() {
                let version = HeaderValue::from_str(&reply.version).ok();
                kept.headers = version.map(|version| (version, reply.generation.into()));
                kept.generation = reply.generation;
            }
            if let Some((version, generation)) = &kept.headers {
                headers.insert(VERSION_HEADER, version.clone());
                headers.insert(GENERATION_HEADER, generation.clone());
            }
        }
        drop(kept);
        let mut answer = Response::new(Either::Left(Full::from(reply.result)));
        *answer.headers_mut() = headers;
        answer
    }
}

/// Plugin and method, if this is a call. `None` too where something is written with `%`: the router reads that.
fn called<'a>(method: &hyper::Method, path: &'a str) -> Option<(&'a str, &'a str)> {
    let (plugin, name) = path.strip_prefix("/call/")?.split_once('/')?;
    let is_plain = |part: &str| !part.is_empty() && !part.contains(['/', '%']);
    (method == hyper::Method::POST && is_plain(plugin) && is_plain(name)).then_some((plugin, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_path() {
        let post = hyper::Method::POST;
        assert_eq!(called(&post, "/call/a/b"), Some(("a", "b")));
        assert_eq!(called(&hyper::Method::GET, "/call/a/b"), None);
        for other in [
            "/",
            "/call",
            "/call/a",
            "/call/a/",
            "/call//b",
            "/call/a/b/c",
            "/call/a/b%20",
        ] {
            assert_eq!(called(&post, other), None, "{other}");
        }
    }
}
