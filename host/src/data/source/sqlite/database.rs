//! The database: a connection that only reads, and the content that its query gives.

use super::{
    Delivery, Format, Mistake, Settings,
    changes::CHANGES,
};
use crate::data::publisher::too_large;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row, Transaction,
    limits::Limit,
    types::ValueRef,
};
use serde_json::{Map, Number, Value};
use std::{
    collections::HashSet,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// How long one step waits for a writer; who waits longer looks again.
const PATIENCE: Duration = Duration::from_millis(50);
/// After how many steps of a query its time is looked at.
const STEPS: i32 = 10_000;
/// The shortest limit for what one row or text may have; the schema is read under it too.
const LEAST_LENGTH: u64 = 1 << 20;
/// Triggers that a table needs.
pub(super) const EVENTS: [&str; 3] = ["insert", "update", "delete"];

/// What a look has found.
pub(super) enum Found {
    /// Nothing that is new.
    Same,
    /// Content.
    Content(Delivery),
    /// It cannot be read.
    Unfit(Mistake),
    /// A writer keeps it out.
    Locked,
}

/// What changes when a file of the database is written, or another one is put in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Looks {
    file: OfFile,
    log: Option<OfFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct OfFile {
    identity: (u64, u64),
    length: u64,
    written: Option<SystemTime>,
}

impl Looks {
    /// How the files look now; `None` if there is none.
    pub(super) fn of(path: &Path) -> Option<Looks> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let of = |metadata: Metadata| OfFile {
            identity: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            written: metadata.modified().ok(),
        };
        Some(Looks {
            file: of(fs::metadata(path).ok()?),
            log: fs::metadata(log).ok().map(of),
        })
    }

    /// Whether these are the same files, whatever is in them. A log that comes into being is no other one.
    pub(super) fn is_same_file(&self, later: &Looks) -> bool {
        let identity = |log: &Option<OfFile>| log.as_ref().map(|log| log.identity);
        let is_same_log = self.log.is_none() || identity(&self.log) == identity(&later.log);
        self.file.identity == later.file.identity && is_same_log
    }

    /// Whether nobody has written the file itself.
    pub(super) fn has_same_content(&self, other: &Looks) -> bool {
        self.file == other.file
    }

    /// Whether they were written no longer ago than this.
    pub(super) fn are_younger_than(&self, limit: Duration) -> bool {
        let now = SystemTime::now();
        [Some(&self.file), self.log.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|file| now.duration_since(file.written?).ok())
            .any(|age| age < limit)
    }
}

/// How a database stands on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gate {
    /// Grows with each change by others.
    version: i64,
    /// What else tells whether the query has to be read.
    content: Option<(i64, i64)>,
}

/// A connection.
pub(super) struct Database {
    connection: Connection,
    /// When what is asked is to end, in milliseconds since `opened`.
    deadline: Arc<AtomicU64>,
    opened: Instant,
}

impl Database {
    /// Opens it.
    pub(super) fn open(settings: &Settings) -> Result<Database, Found> {
        let failed = |error| found(error, settings);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(&settings.path, flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        let length = (settings.max_bytes + 1).max(LEAST_LENGTH);
        let length = i32::try_from(length).unwrap_or(i32::MAX);
        let limited = connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, length);
        limited.map_err(failed)?;
        let (opened, deadline) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
        let until = Arc::clone(&deadline);
        let is_over = move || millis(opened.elapsed()) > until.load(Ordering::Relaxed);
        connection
            .progress_handler(STEPS, Some(is_over))
            .map_err(failed)?;
        Ok(Database {
            connection,
            deadline,
            opened,
        })
    }

    /// Reads what has changed since it stood like this, and how it stands now.
    pub(super) fn find(&mut self, settings: &Settings, last: Option<&Gate>) -> (Found, Option<Gate>) {
        let until = millis(self.opened.elapsed() + settings.timeout);
        self.deadline.store(until, Ordering::Relaxed);
        // In this order: what changes in between changes the version once more.
        let version = self
            .connection
            .pragma_query_value(None, "data_version", |row| row.get(0));
        let version = match version {
            Ok(version) => version,
            Err(error) => return (found(error, settings), None),
        };
        if last.is_some_and(|last| last.version == version) {
            return (Found::Same, None);
        }
        match self.read(settings, last) {
            Ok((found, content)) => (found, Some(Gate { version, content })),
            Err(error) => {
                let gate = Gate {
                    version,
                    content: None,
                };
                (found(error, settings), Some(gate))
            }
        }
    }

    fn read(
        &mut self,
        settings: &Settings,
        last: Option<&Gate>,
    ) -> rusqlite::Result<(Found, Option<(i64, i64)>)> {
        let transaction = self.connection.transaction()?;
        let schema = transaction.pragma_query_value(None, "schema_version", |row| row.get(0))?;
        let change = last_change(&transaction, &settings.table)?;
        let content = change.map(|change| (schema, change));
        if content.is_some() && last.is_some_and(|last| last.content == content) {
            return Ok((Found::Same, content));
        }
        let found = match rows(&transaction, settings)? {
            Ok(bytes) => Found::Content(Delivery {
                content: bytes,
                format: Some(Format::Json),
                cursor: change.map(|change| change.to_string()),
            }),
            Err(mistake) => Found::Unfit(mistake),
        };
        Ok((found, content))
    }
}

/// The number of the last change of a table that has the triggers.
pub(super) fn last_change(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Option<i64>> {
    let triggers: i64 = connection.query_row(
        "select count(*) from sqlite_schema where type = 'trigger' and tbl_name = ?1 collate nocase \
         and name like 'host\\_note\\_%' escape '\\'",
        [table],
        |row| row.get(0),
    )?;
    if triggers < EVENTS.len() as i64 {
        return Ok(None);
    }
    let last = format!("select id from {CHANGES} where \"table\" = ?1 collate nocase");
    connection
        .query_row(&last, [table], |row| row.get(0))
        .optional()
}

/// The content that the query gives; the inner error says why it gives none.
fn rows(
    transaction: &Transaction<'_>,
    settings: &Settings,
) -> rusqlite::Result<Result<Vec<u8>, Mistake>> {
    let mut query = transaction.prepare(&settings.query)?;
    let columns: Vec<Column> = query
        .columns()
        .map(|column| Column {
            name: column.name().to_owned(),
            is_json: column
                .decl_type()
                .is_some_and(|word| word.eq_ignore_ascii_case("json")),
        })
        .collect();
    if let Some(reason) = unfit(&columns, query.parameter_count(), query.readonly(), settings) {
        return Ok(Err(Mistake::of_all(reason)));
    }
    let is_keyed = settings.key.is_some();
    let mut content = vec![if is_keyed { b'{' } else { b'[' }];
    let mut keys = HashSet::new();
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let object = match object(row, &columns)? {
            Ok(object) => object,
            Err(reason) => return Ok(Err(Mistake::of_all(reason))),
        };
        if content.len() > 1 {
            content.extend(b",\n");
        }
        if let Some(key) = &settings.key {
            let key = match object.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => return Ok(Err(Mistake::of_all(format!("a row has no \"{key}\", which is to be its key")))),
            };
            content.extend(Value::from(key.as_str()).to_string().as_bytes());
            content.push(b':');
            if let Some(key) = keys.replace(key) {
                let reason = format!("two rows have the key \"{key}\"");
                return Ok(Err(Mistake::of_all(reason)));
            }
        }
        content.extend(Value::Object(object).to_string().as_bytes());
        if content.len() as u64 >= settings.max_bytes {
            return Ok(Err(too_large(content.len() as u64 + 1, settings.max_bytes)));
        }
    }
    content.push(if is_keyed { b'}' } else { b']' });
    Ok(Ok(content))
}

struct Column {
    name: String,
    /// Whether it is declared to hold JSON.
    is_json: bool,
}

/// What is wrong with a query before it is read.
fn unfit(
    columns: &[Column],
    parameters: usize,
    only_reads: bool,
    settings: &Settings,
) -> Option<String> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    if !only_reads || names.is_empty() {
        return Some("the query is none that only reads rows; write `select ...`".to_owned());
    }
    if parameters > 0 {
        return Some("the query has parameters, which nobody gives it".to_owned());
    }
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|other| other == name) {
            return Some(format!(
                "the query gives two columns \"{name}\"; name one otherwise by `as`"
            ));
        }
    }
    let key = settings.key.as_deref()?;
    (!names.contains(&key)).then(|| {
        format!(
            "the key \"{key}\" is none of the query's columns: {}",
            names.join(", ")
        )
    })
}

/// A row as an object; the inner error says which value is none of JSON's.
fn object(
    row: &Row<'_>,
    columns: &[Column],
) -> rusqlite::Result<Result<Map<String, Value>, String>> {
    let mut object = Map::new();
    for (index, Column { name, is_json }) in columns.iter().enumerate() {
        let value = match row.get_ref(index)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(number) => Ok(Value::from(number)),
            ValueRef::Real(number) => Number::from_f64(number)
                .map(Value::Number)
                .ok_or(format!("{number}, which is no number that data can hold")),
            ValueRef::Blob(_) => Err("a blob; write hex(...) or the like in the query".to_owned()),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) if *is_json => serde_json::from_str(text)
                    .map_err(|error| format!("what is declared as JSON and is none: {error}")),
                Ok(text) => Ok(Value::from(text)),
                Err(_) => Err("text that is not in UTF-8".to_owned()),
            },
        };
        match value {
            Ok(value) => drop(object.insert(name.clone(), value)),
            Err(reason) => return Ok(Err(format!("column \"{name}\" has {reason}"))),
        }
    }
    Ok(Ok(object))
}

/// What an error means for the one who looks.
fn found(error: rusqlite::Error, settings: &Settings) -> Found {
    let path = settings.path.display();
    Found::Unfit(Mistake::of_all(match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return Found::Locked,
        Some(ErrorCode::OperationInterrupted) => {
            format!("the query takes longer than {:?}", settings.timeout)
        }
        Some(ErrorCode::TooBig) => {
            let most = bytesize::ByteSize(settings.max_bytes);
            format!("a value is too large; max_bytes of the dataset is {most}")
        }
        Some(ErrorCode::NotADatabase) => format!("{path} is no SQLite database"),
        Some(ErrorCode::ReadOnly) => format!(
            "{path} was left half written; it is read when a process that may write it has opened it: {error}"
        ),
        None | Some(ErrorCode::Unknown) => format!("the query fails: {error}"),
        _ => format!("{path} cannot be read: {error}"),
    }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
