//! A client: one question to a running host over its admin socket, and the answer.

use super::{failure::Failure, socket, state_dir::HOW_TO_START};
use bytes::Bytes;
use host::report::HostStatus;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, body::Incoming, client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a host may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(2);

/// Asks the host behind one socket.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

/// What a host answered when it did what it was asked.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The head.
    pub(crate) headers: HeaderMap,
    /// The body: JSON.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body, read.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::failed(
                "unreadable",
                format!("the host's answer is not understood (is it of another version?): {error}"),
            )
        })
    }
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    kind: String,
    message: String,
}

impl Client {
    /// A client of the host with this socket.
    pub(crate) fn at(socket: &Path) -> Self {
        Client {
            socket: socket.to_path_buf(),
        }
    }

    /// Asks, and waits for the outcome however long it takes: the host has the limits.
    pub(crate) fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Answer, Failure> {
        runtime()?.block_on(async {
            let response = self.send(method, path, body).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| self.gone(&error))?;
            let body = body.to_bytes();
            if head.status.is_success() {
                let headers = head.headers;
                return Ok(Answer { headers, body });
            }
            Err(refused(head.status, &body))
        })
    }

    /// Follows a stream of server-sent events: `on_data` gets the data of each. Ends only when the host does.
    pub(crate) fn follow(
        &self,
        path: &str,
        mut on_data: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        runtime()?.block_on(async {
            let mut response = self.send(Method::GET, path, Vec::new()).await?;
            if !response.status().is_success() {
                let status = response.status();
                let body = response.into_body().collect().await;
                let body = body.map_err(|error| self.gone(&error))?.to_bytes();
                return Err(refused(status, &body));
            }
            let mut lines = Lines::default();
            while let Some(frame) = response.frame().await {
                let frame = frame.map_err(|error| self.gone(&error))?;
                let Some(data) = frame.data_ref() else {
                    continue;
                };
                for line in lines.take(data) {
                    if let Some(data) = line.strip_prefix("data:") {
                        on_data(data.trim_start())?;
                    }
                }
            }
            Err(Failure::no_host(format!(
                "the host at {} tells no more events: it has gone, or this reader was too slow for it",
                self.socket.display()
            )))
        })
    }

    /// Who the host is, as far as it says so in time.
    pub(crate) fn describe_host(&self) -> String {
        let status = runtime().and_then(|runtime| {
            let ask = async {
                let response = self.send(Method::GET, "/status", Vec::new()).await?;
                let body = response.into_body().collect().await;
                let body = body.map_err(|error| self.gone(&error))?.to_bytes();
                let headers = HeaderMap::new();
                Answer { headers, body }.read::<HostStatus>()
            };
            runtime.block_on(async {
                tokio::time::timeout(INTRODUCTION, ask)
                    .await
                    .unwrap_or_else(|_| Err(Failure::out_of_time("it does not say who it is")))
            })
        });
        match status {
            Ok(status) => format!(
                "a host (process {}, state folder {})",
                status.pid,
                status.state_dir.display()
            ),
            Err(_) => "a process that does not say who it is".to_owned(),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Failure> {
        let stream = socket::connect(&self.socket).map_err(|error| self.unreachable(&error))?;
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| tokio::net::UnixStream::from_std(stream))
            .map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.gone(&error))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, "host")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::usage(format!("this cannot be asked: {error}")))?;
        sender
            .send_request(request)
            .await
            .map_err(|error| self.gone(&error))
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        let socket = self.socket.display();
        if socket::is_nobody(error) {
            Failure::no_host(format!("no host answers at {socket}. {HOW_TO_START}"))
        } else {
            Failure::no_host(format!("the host at {socket} cannot be reached: {error}"))
        }
    }

    fn gone(&self, error: &impl std::fmt::Display) -> Failure {
        Failure::no_host(format!(
            "the host at {} has gone before the end of its answer ({error}); what was asked of it may have been done",
            self.socket.display()
        ))
    }
}

fn refused(status: StatusCode, body: &[u8]) -> Failure {
    match serde_json::from_slice::<ErrorAnswer>(body) {
        Ok(ErrorAnswer { error }) => Failure::answered(&error.kind, error.message),
        Err(_) => Failure::failed(
            "unreadable",
            format!("the host answered {status} and did not say why"),
        ),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("failed", format!("preparing to ask: {error}")))
}

/// Lines out of pieces of a stream.
#[derive(Default)]
struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    fn take(&mut self, piece: &[u8]) -> Vec<String> {
        self.unfinished.extend_from_slice(piece);
        let mut lines = Vec::new();
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unfinished.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        lines
    }
}

/// A word as one segment of a path.
pub(crate) fn segment(word: &str) -> String {
    word.bytes().fold(String::new(), |mut segment, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            segment.push(byte.into());
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
        segment
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::failure::Ending;

    #[test]
    fn a_word_stays_one_segment() {
        assert_eq!(segment("counter-2_a"), "counter-2_a");
        assert_eq!(segment("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }

    #[test]
    fn lines_are_whole_however_the_stream_is_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"data: {\"a\""), Vec::<String>::new());
        assert_eq!(lines.take(b":1}\n\nda"), ["data: {\"a\":1}", ""]);
        assert_eq!(lines.take(b"ta: 2\r\n"), ["data: 2"]);
    }

    #[test]
    fn an_answered_error_keeps_its_kind_and_ends_by_it() {
        let body = br#"{"error":{"kind":"out_of_time","message":"3 calls are inside"}}"#;
        let failure = refused(StatusCode::GATEWAY_TIMEOUT, body);
        assert_eq!(failure.ending, Ending::OutOfTime);
        assert_eq!(failure.message, "3 calls are inside");
        assert_eq!(
            refused(StatusCode::BAD_GATEWAY, b"<html>").ending,
            Ending::Failed
        );
    }

    #[test]
    fn where_nobody_listens_there_is_no_host() {
        let folder = tempfile::tempdir().unwrap();
        let client = Client::at(&folder.path().join("host.sock"));
        let failure = client.ask(Method::GET, "/status", Vec::new()).unwrap_err();
        assert_eq!(failure.ending, Ending::NoHost);
    }
}
