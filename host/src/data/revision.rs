//! The revision: one content of a dataset that was published, or hopes to be, with who brought it and when.
//!
//! Its number belongs to its dataset and is never used for another content, whatever is refused and however often the
//! host restarts; numbers grow, and may have gaps. A revision is immutable, and shared by all who read it.

use super::format::Format;
use crate::artifact::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// One content of a dataset.
#[derive(Debug, PartialEq)]
pub struct Revision {
    /// All about it but the content.
    pub record: RevisionRecord,
    /// The content, as it came.
    pub content: Vec<u8>,
    /// The parsed content; `None` where the format is `bytes`.
    pub parsed: Option<Value>,
}

/// All about a revision but its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionRecord {
    /// Its number, from 1.
    pub number: u64,
    /// When it was published: milliseconds since 1970.
    pub time: u64,
    /// Where it came from.
    pub origin: Origin,
    /// What its content is written in.
    pub format: Format,
    /// The BLAKE3 digest of its content.
    pub hash: Digest,
    /// The length of its content in bytes.
    pub length: u64,
}

/// Where content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Origin {
    /// The dataset's source brought it.
    Source {
        /// The kind of the source.
        kind: String,
        /// Where the source has it from: a path, a table, a queue.
        place: String,
        /// What tells this content from others there: a change's number, a message's, an offset.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
    },
    /// An operator put it.
    Operator {
        /// Who, as far as it is known.
        who: String,
    },
    /// A release brought it.
    Release {
        /// The release's number.
        release: u64,
        /// Who asked for it, as far as it is known.
        who: String,
    },
    /// An operator went back to it.
    Rollback {
        /// The revision whose content it is.
        to: u64,
        /// Who, as far as it is known.
        who: String,
    },
}

impl Origin {
    /// An operator of this name.
    pub fn operator(who: impl Into<String>) -> Self {
        Origin::Operator { who: who.into() }
    }

    /// Whether it is the dataset's source.
    #[must_use]
    pub fn is_source(&self) -> bool {
        matches!(self, Origin::Source { .. })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Source {
                kind,
                place,
                cursor,
            } => {
                write!(f, "{kind} {place}")?;
                match cursor {
                    Some(cursor) => write!(f, " at {cursor}"),
                    None => Ok(()),
                }
            }
            Origin::Operator { who } => f.write_str(who),
            Origin::Release { release, who } => write!(f, "release {release} by {who}"),
            Origin::Rollback { to, who } => write!(f, "rollback to {to} by {who}"),
        }
    }
}
