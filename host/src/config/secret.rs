//! The secret: a text that an operator has set and nobody else should read, such as a URL with a password.
//!
//! It is never shown: what formats it writes three asterisks, and [`Secret::redact`] takes it out of what others have
//! written. Only who connects with it [exposes](Secret::expose) it.

use std::fmt;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret that is this text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret that is this text with each `${VARIABLE}` replaced by the variable of the environment.
    ///
    /// # Errors
    /// A variable is not set, or a brace is not closed. The error does not show the text.
    pub fn expanded(text: &str) -> Result<Self, String> {
        Secret::expanded_by(text, |name| std::env::var(name).ok())
    }

    fn expanded_by(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or("a `${` is not closed; write ${VARIABLE}")?;
            expanded.push_str(before);
            expanded.push_str(&lookup(name).ok_or_else(|| {
                format!("the variable {name} of the environment is not set, or is no text")
            })?);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(Secret(expanded))
    }

    /// The text itself, for who connects with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text with this secret hidden wherever it stands: all of it, and the passwords in it, as they are written and as
    /// they are meant.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let named = self.0.split("password=").skip(1).filter_map(|rest| {
            let end = |it: char| it == '&' || it.is_whitespace();
            rest.split(end).next().map(|it| it.trim_matches('\''))
        });
        let passwords: Vec<&str> = self.password().into_iter().chain(named).collect();
        let meant = passwords.iter().map(|password| decoded(password));
        let mut hidden: Vec<String> = meant.collect();
        hidden.extend(passwords.into_iter().map(str::to_owned));
        hidden.push(self.0.clone());
        hidden.retain(|hidden| !hidden.is_empty());
        // What is a part of another one comes after it.
        hidden.sort_by_key(|hidden| std::cmp::Reverse(hidden.len()));
        let hide = |text: String, hidden: &String| text.replace(hidden, HIDDEN);
        hidden.iter().fold(text.to_owned(), hide)
    }

    /// The password of a URL: `scheme://user:password@host`.
    fn password(&self) -> Option<&str> {
        let (_, rest) = self.0.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A password may hold such a character, though it should not: the last `@` counts then.
        let (login, _) = rest
            .get(..end)?
            .rsplit_once('@')
            .or(rest.rsplit_once('@'))?;
        login.split_once(':').map(|(_, password)| password)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// A part of a URL with each `%XX` replaced by what it stands for.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("redis://ada:pass/word@host/0");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(
            secret.redact("no route to redis://ada:pass/word@host/0; pass/word was tried"),
            "no route to ***; *** was tried"
        );
        let secret = Secret::new("postgres://ada:hidden@host/db");
        assert_eq!(secret.redact("hidden at host"), "*** at host");
        let secret = Secret::new("postgres://host/db?user=ada&password=a%20w%6frd%&port=1");
        assert_eq!(secret.redact("a word% or a%20w%6frd%"), "*** or ***");
        let secret = Secret::new("host=db password='hidden' user=ada");
        assert_eq!(secret.redact("hidden at db"), "*** at db");
        assert_eq!(Secret::new("").redact("as it is"), "as it is");
    }

    #[test]
    fn variables_are_expanded_and_a_missing_one_is_named() {
        let lookup = |name: &str| (name == "PASSWORD").then(|| "s3cret".to_owned());
        let expanded = |text| Secret::expanded_by(text, lookup);
        let secret = expanded("amqp://ada:${PASSWORD}@host").expect("it is set");
        assert_eq!(secret.expose(), "amqp://ada:s3cret@host");
        let error = expanded("amqp://ada:visible@${HOST_NAME}").expect_err("it is not set");
        assert!(error.contains("HOST_NAME") && !error.contains("visible"));
        assert!(expanded("${PASSWORD").is_err());
        assert_eq!(expanded("$5 {}").expect("no variable").expose(), "$5 {}");
    }
}
