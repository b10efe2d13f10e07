//! The token: what callers of the admin API must bring when they come over TCP.

use super::failure::Failure;
use std::{fmt, path::Path};

/// A bearer token. Only its hash is kept, and hashes are compared in constant time.
#[derive(Clone)]
pub(crate) struct Token(blake3::Hash);

impl Token {
    /// Reads the token from its file: all that is in it, but for white space around it.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::config(format!(
                "reading [admin] token_file {}: {error}",
                file.display()
            ))
        })?;
        Token::new(text.trim()).ok_or_else(|| {
            Failure::config(format!(
                "[admin] token_file {} is empty; write a token into it, from `openssl rand -hex 32` say",
                file.display()
            ))
        })
    }

    fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Token(blake3::hash(text.as_bytes())))
    }

    /// Whether this is the value of an `authorization` header that brings the token.
    pub(crate) fn is_brought_by(&self, authorization: &[u8]) -> bool {
        let Some((scheme, token)) = authorization.split_at_checked("bearer ".len()) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"bearer ") && blake3::hash(token.trim_ascii()) == self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_opens() {
        let token = Token::new("open sesame").unwrap();
        assert!(token.is_brought_by(b"Bearer open sesame"));
        assert!(token.is_brought_by(b"bearer open sesame "));
        for other in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer open",
            "Basic open sesame",
            "open sesame",
        ] {
            assert!(!token.is_brought_by(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn an_empty_token_is_none() {
        assert!(Token::new("").is_none());
    }
}
