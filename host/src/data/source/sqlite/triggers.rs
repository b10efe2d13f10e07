//! The triggers: the statements that have a table count its changes, and those that take all of it away.
//!
//! The change table has a row for each table, with the number of its last change: writers follow each other, so that
//! numbers and changes come in the same order.

use super::{
    Settings,
    changes::{self, CHANGES},
    database::EVENTS,
};
use crate::data::triggers::TriggerOrder;
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

/// When a change was made.
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ')";

/// Does what was ordered, in one transaction, and gives the statements.
pub(super) fn execute(settings: &Settings, order: &TriggerOrder) -> Result<String> {
    let opening = || format!("opening {}", settings.path.display());
    let flags = if order.dry_run {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let connection = Connection::open_with_flags(&settings.path, flags).with_context(opening)?;
    connection
        .busy_timeout(settings.timeout)
        .with_context(opening)?;
    let table = table(&connection, settings).with_context(opening)?;
    let statements = match order.uninstall {
        true => uninstall(&table, is_shared(&connection, &table)?),
        false => install(&table, changes::number(order.cursor.as_deref())),
    };
    let sql = format!("begin immediate;\n{statements}commit;\n");
    if !order.dry_run {
        connection
            .execute_batch(&sql)
            .with_context(|| format!("changing {}", settings.path.display()))?;
    }
    Ok(sql)
}

/// The table's name as it was created.
fn table(connection: &Connection, settings: &Settings) -> Result<String> {
    let found: Option<(String, String)> = connection
        .query_row(
            "select name, type || ' ' || coalesce(sql, '') from sqlite_schema \
             where name = ?1 collate nocase and type in ('table', 'view')",
            [&settings.table],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match found {
        None => bail!("there is no table {}", settings.table),
        Some((name, kind)) => {
            let kind = kind.to_ascii_lowercase();
            if kind.starts_with("view") || kind.starts_with("table create virtual") {
                bail!("{name} is no table that can have triggers; name the table that the query depends on");
            }
            Ok(name)
        }
    }
}

/// Whether other tables are counted too.
fn is_shared(connection: &Connection, table: &str) -> Result<bool> {
    let others = connection.query_row(
        "select count(*) from sqlite_schema where type = 'trigger' and tbl_name <> ?1 \
         and name like 'host\\_note\\_%' escape '\\'",
        [table],
        |row| row.get::<_, i64>(0),
    );
    Ok(others? > 0)
}

fn install(table: &str, brought: Option<i64>) -> String {
    let own = text(table);
    let next = match brought {
        // What was brought before is to be older.
        Some(brought) => format!("max(id, {brought}) + 1"),
        None => "id + 1".to_owned(),
    };
    let first = brought.unwrap_or(0) + 1;
    let triggers = EVENTS.map(|event| {
        let (trigger, table) = (trigger(table, event), name(table));
        format!(
            "drop trigger if exists {trigger};
create trigger {trigger} after {event} on {table} begin
    update {CHANGES} set id = id + 1, at = {NOW} where \"table\" = {own};
end;
"
        )
    });
    format!(
        "create table if not exists {CHANGES} (\"table\" text primary key, id integer not null, at text not null);
insert into {CHANGES} values ({own}, {first}, {NOW})
on conflict (\"table\") do update set id = {next}, at = {NOW};
{}",
        triggers.concat()
    )
}

fn uninstall(table: &str, shared: bool) -> String {
    let triggers = EVENTS.map(|event| format!("drop trigger if exists {};\n", trigger(table, event)));
    let rest = match shared {
        true => format!("delete from {CHANGES} where \"table\" = {};\n", text(table)),
        false => format!("drop table if exists {CHANGES};\n"),
    };
    triggers.concat() + &rest
}

fn trigger(table: &str, event: &str) -> String {
    name(&format!("host_note_{event}_{table}"))
}

fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
