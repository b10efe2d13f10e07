//! The smallest HTTP client that does: one request, one answer, one connection.

use crate::waiting::LIMIT;
use std::{
    io::{self, Read, Write},
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
}

/// Sends a request to `address` (with or without `http://`), and waits for the answer.
///
/// # Errors
/// What is wrong with the connection, or with the answer.
pub fn request(address: &str, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let address = address.trim_start_matches("http://");
    let mut line = TcpStream::connect(address)?;
    line.set_read_timeout(Some(LIMIT))?;
    write!(
        line,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    line.read_to_string(&mut text)?;
    understand(&text).ok_or_else(|| io::Error::other(format!("this is no HTTP answer: {text:?}")))
}

fn understand(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Some(Answer {
        status,
        headers,
        body: body.to_owned(),
    })
}
