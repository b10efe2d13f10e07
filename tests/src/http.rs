//! The smallest HTTP client that does: one request and its answer, or a connection that stays open for several.

use crate::waiting::LIMIT;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, with their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON, which it always is.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The kind of the error in the body.
    ///
    /// # Panics
    /// When there is none, or no message with it.
    #[must_use]
    pub fn error_kind(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["message"].is_string(), "{self:?}");
        let kind = error["kind"].as_str();
        kind.unwrap_or_else(|| panic!("no kind: {self:?}"))
            .to_owned()
    }
}

/// Sends a request to `address` (with or without `http://`), and waits for the answer.
///
/// # Errors
/// What is wrong with the connection, or with the answer.
pub fn request(address: &str, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let mut connection = Connection::open(address)?;
    connection.send(method, path, &[("connection", "close")], body)?;
    connection.receive()
}

/// A connection that stays open for as long as both sides like.
#[derive(Debug)]
pub struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `address` (with or without `http://`).
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(address: &str) -> io::Result<Self> {
        let address = address.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Connection {
            address,
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request with these headers beside the necessary ones, and does not wait for its answer.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<()> {
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let (address, length) = (&self.address, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        self.write(&request)
    }

    /// Sends this text as it is.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    /// What is wrong with the connection, or with the answer.
    pub fn receive(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::Error::other(format!(
                    "the connection ended behind {head:?}"
                )));
            }
        }
        let no_answer = || io::Error::other(format!("this is no HTTP answer: {head:?}"));
        let mut answer = understand(&head).ok_or_else(no_answer)?;
        let length = answer.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().map_err(|_| no_answer())?];
        self.stream.read_exact(&mut body)?;
        answer.body = String::from_utf8(body).map_err(|_| no_answer())?;
        Ok(answer)
    }
}

/// The answer with this head; its body is to come.
fn understand(head: &str) -> Option<Answer> {
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Some(Answer {
        status,
        headers,
        body: String::new(),
    })
}
