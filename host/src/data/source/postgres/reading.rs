//! The reading: the statement that gives the truth as one content, and the number of the last change in it.
//!
//! The server makes JSON of the rows, counts its bytes, and sends no more than is allowed. Content and number are read in
//! one snapshot.

use super::{
    changes::CHANGES,
    Delivery, Format, Inbox, Mistake, Settings,
    server::{self, Server, name, text},
};
use crate::data::publisher::too_large;
use anyhow::{Context, Result};
use tokio_postgres::{
    Statement,
    error::{DbError, ErrorPosition},
    types::ToSql,
};

/// The trigger of a table, and its function in the schema.
pub(super) const TRIGGER: &str = "host_note_change";
/// The longest name of a channel.
const LONGEST_CHANNEL: usize = 63;

/// Finds the table, and what the server has for those who follow it. The arguments of a trigger end in a zero byte each.
const FIND: &str = "select n.nspname::text, c.relname::text, c.relkind::text, pg_is_in_recovery(), \
    coalesce(has_table_privilege(to_regclass(quote_ident(n.nspname) || '.host_changes'), 'select'), false), \
    (select convert_from(substring(g.tgargs for length(g.tgargs) - 1), getdatabaseencoding()) from pg_catalog.pg_trigger g \
     where g.tgrelid = c.oid and g.tgname = 'host_note_change' and g.tgenabled in ('O', 'A') \
     and g.tgnargs = 1) \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where c.oid = to_regclass($1)";

/// A table as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    /// What kind of relation it is: `r` an ordinary table, `p` a partitioned one, `v` a view.
    pub(super) kind: String,
    /// Where its changes are told.
    pub(super) channel: String,
    /// Whether its change table can be read.
    pub(super) is_counted: bool,
    /// Whether the server is a standby, which gives no notices.
    is_standby: bool,
    /// The channel that its trigger tells, if it has one that is in force.
    told: Option<String>,
}

impl Table {
    /// The table of the settings; the inner error says why there is none.
    pub(super) async fn find(
        server: &Server,
        settings: &Settings,
    ) -> Result<Result<Table, Mistake>> {
        let finding = |word: &DbError| {
            let table = &settings.table;
            Mistake::of_all(format!(
                "finding the table {table}: {}",
                server::told(word)
            ))
        };
        let given: &[&(dyn ToSql + Sync)] = &[&settings.table];
        let row = match server.asks(server.client.query_opt(FIND, given)).await? {
            Ok(Some(row)) => row,
            Ok(None) => {
                let reason = format!(
                    "there is no table {}, or it is in a schema that is not searched: write schema.table, names as in SQL",
                    settings.table
                );
                return Ok(Err(Mistake::of_all(reason)));
            }
            Err(word) => return Ok(Err(finding(&word))),
        };
        let (schema, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let own = format!("host.{schema}.{table}");
        let channel = settings.channel.clone().unwrap_or(own);
        if channel.len() > LONGEST_CHANNEL {
            let reason = format!("the channel {channel} has too long a name; set a shorter channel");
            return Ok(Err(Mistake::of_all(reason)));
        }
        Ok(Ok(Table {
            schema,
            name: table,
            kind: row.try_get(2)?,
            channel,
            is_standby: row.try_get(3)?,
            is_counted: row.try_get(4)?,
            told: row.try_get(5)?,
        }))
    }

    /// Its name with its schema, as a part of a statement.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", name(&self.schema), name(&self.name))
    }

    /// What is to be said of how its changes are noticed.
    fn remark(&self) -> Option<String> {
        let Table { schema, name, .. } = self;
        if self.is_standby {
            return Some(format!(
                "the server is a standby and gives no notices: {schema}.{name} is read every `poll` only"
            ));
        }
        match &self.told {
            None => Some(format!(
                "no trigger tells of changes of {schema}.{name}: it is read every `poll` only; \
                 `host data install-triggers` installs it"
            )),
            Some(told) if *told != self.channel => Some(format!(
                "the trigger of {schema}.{name} tells the channel {told}, and this source listens to {}: it is read every \
                 `poll` only; `host data install-triggers` has it tell this one",
                self.channel
            )),
            Some(_) if !self.is_counted => Some(format!(
                "the role may not read {schema}.{CHANGES}: whether a server is behind cannot be told"
            )),
            Some(_) => None,
        }
    }
}

/// How the truth is read.
pub(super) struct Reading {
    table: Table,
    statement: Statement,
}

impl Reading {
    /// Finds out how the truth is read, and listens to its changes; `before` is what was found before on this connection.
    /// The inner error says why it cannot be read.
    pub(super) async fn find(
        server: &Server,
        settings: &Settings,
        before: Option<Reading>,
        inbox: &Inbox,
    ) -> Result<Result<Reading, Mistake>> {
        let table = match Table::find(server, settings).await? {
            Ok(table) => table,
            Err(mistake) => return Ok(Err(mistake)),
        };
        match table.remark() {
            Some(remark) => inbox.remark(&remark),
            None => inbox.no_remark(),
        }
        let before = before.map(|before| before.table);
        if !table.is_standby && before.as_ref().map(|it| &it.channel) != Some(&table.channel) {
            let listen = format!("unlisten *; listen {}", name(&table.channel));
            let listens = server.asks(server.client.batch_execute(&listen)).await?;
            listens.map_err(|word| anyhow::anyhow!("listening: {}", server::told(&word)))?;
        }
        // The query as it was written: its mistakes stand where the operator sees them.
        let own = match server.asks(server.client.prepare(&settings.query)).await? {
            Ok(own) => own,
            Err(word) => return Ok(Err(failed(&word, 0))),
        };
        if let Some(mistake) = unfit(&own, settings) {
            return Ok(Err(mistake));
        }
        let (before, after) = around(&table, settings);
        let whole = format!("{before}{}{after}", settings.query);
        Ok(match server.asks(server.client.prepare(&whole)).await? {
            Ok(statement) => Ok(Reading { table, statement }),
            Err(word) => Err(failed(&word, before.chars().count())),
        })
    }

    /// Reads the truth; the inner error says why it cannot be read.
    pub(super) async fn read(
        &self,
        server: &Server,
        settings: &Settings,
    ) -> Result<Result<Delivery, Mistake>> {
        let most = i64::try_from(settings.max_bytes).unwrap_or(i64::MAX);
        let given: &[&(dyn ToSql + Sync)] = &[&most];
        let asked = server.client.query_one(&self.statement, given);
        let row = match server.asks(asked).await? {
            Ok(row) => row,
            Err(word) => {
                let (before, _) = around(&self.table, settings);
                return Ok(Err(failed(&word, before.chars().count())));
            }
        };
        let content: Option<String> = row.try_get(0)?;
        let (length, twice): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        let change: Option<i64> = row.try_get(3)?;
        if twice > 0 {
            let key = settings.key.as_deref().unwrap_or_default();
            let reason = format!("{twice} rows have a \"{key}\" that another row has; it is to be the key");
            return Ok(Err(Mistake::of_all(reason)));
        }
        let Some(content) = content else {
            let length = u64::try_from(length).context("a length is negative")?;
            return Ok(Err(too_large(length, settings.max_bytes)));
        };
        Ok(Ok(Delivery {
            content: content.into_bytes(),
            format: Some(Format::Json),
            cursor: change.map(|change| change.to_string()),
        }))
    }
}

/// What the statement has before the query, and after it.
fn around(table: &Table, settings: &Settings) -> (String, String) {
    let (content, twice) = match &settings.key {
        None => (
            "coalesce(json_agg(host_row), '[]')".to_owned(),
            "0".to_owned(),
        ),
        Some(key) => {
            let key = name(key);
            (
                format!("coalesce(json_object_agg(host_row.{key}, host_row), '{{}}')"),
                format!("count(*) - count(distinct host_row.{key}::text)"),
            )
        }
    };
    let change = match table.is_counted {
        true => format!(
            "(select coalesce(max(id), 0) from {}.{CHANGES} where \"table\" = {})",
            name(&table.schema),
            text(&table.name)
        ),
        false => "null::bigint".to_owned(),
    };
    let before = format!(
        "select case when octet_length(content) <= $1::bigint then content end, octet_length(content)::bigint, \
         twice::bigint, {change} from (select {content}::text, {twice} from (\n"
    );
    (
        before,
        "\n) host_row) host_content(content, twice)".to_owned(),
    )
}

/// What is wrong with the columns of the query.
fn unfit(query: &Statement, settings: &Settings) -> Option<Mistake> {
    let columns: Vec<&str> = query.columns().iter().map(|column| column.name()).collect();
    if !query.params().is_empty() {
        return Some(Mistake::of_all(
            "the query has parameters, which nobody gives it",
        ));
    }
    for (index, column) in columns.iter().enumerate() {
        if columns.iter().take(index).any(|other| other == column) {
            return Some(Mistake::of_all(format!(
                "the query gives two columns \"{column}\"; name one otherwise by `as`"
            )));
        }
    }
    let key = settings.key.as_deref()?;
    (!columns.contains(&key)).then(|| {
        Mistake::of_all(format!(
            "the key \"{key}\" is none of the query's columns: {}",
            columns.join(", ")
        ))
    })
}

/// Why the query failed; so many characters stand before it in what was asked.
fn failed(error: &DbError, before: usize) -> Mistake {
    let position = match error.position() {
        Some(ErrorPosition::Original(position)) => (*position as usize)
            .checked_sub(before)
            .filter(|it| *it > 0),
        _ => None,
    };
    let at = position.map_or(String::new(), |at| format!(" at character {at}"));
    Mistake::of_all(format!("the query fails{at}: {}", server::told(error)))
}
