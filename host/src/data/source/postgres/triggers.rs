//! The triggers: the statements that have a table note and tell its changes, and those that take all of it away.
//!
//! A schema has one change table and one function, a table one trigger, which acts once a statement. The function acts
//! with the rights of who has installed it, so that writers of the table need none of their own.

use super::{
    Settings,
    changes::{self, CHANGES}, reading::{TRIGGER, Table},
    server::{self, Server, name, text},
};
use crate::data::triggers::TriggerOrder;
use anyhow::{Result, anyhow, bail};
use tokio_postgres::types::ToSql;

/// How many changes of a table are kept.
const KEPT: u32 = 1_000;
/// How many of a hundred statements look for older ones.
const PRUNING: f32 = 0.01;
/// How long the statements wait for those who use the table.
const PATIENCE: &str = "5s";

/// Does what was ordered, in one transaction, and gives the statements.
pub(super) async fn execute(settings: &Settings, order: &TriggerOrder) -> Result<String> {
    let server = Server::to(settings).await?;
    let found = Table::find(&server, settings).await?;
    let table = found.map_err(|mistake| anyhow!("{mistake}"))?;
    if !["r", "p"].contains(&table.kind.as_str()) {
        bail!(
            "{}.{} is no table; name the table that the query depends on",
            table.schema,
            table.name
        );
    }
    let statements = match order.uninstall {
        true => uninstall(&table, is_shared(&server, &table).await?),
        false => install(&table, goes_on_from(&server, &table, order).await?),
    };
    let sql =
        format!("begin;\nset local lock_timeout = '{PATIENCE}';\n{statements}commit;\n");
    if !order.dry_run {
        let done = server.asks(server.client.batch_execute(&sql)).await?;
        done.map_err(|word| {
            anyhow!(
                "{}; `--dry-run` writes the statements, for somebody who may execute them",
                server::told(&word)
            )
        })?;
    }
    Ok(sql)
}

/// Whether other tables of the schema have the trigger too.
async fn is_shared(server: &Server, table: &Table) -> Result<bool> {
    let given: &[&(dyn ToSql + Sync)] = &[&TRIGGER, &table.schema, &table.name];
    let asked = server.client.query_one(
        "select exists (select from pg_catalog.pg_trigger g \
         join pg_catalog.pg_proc p on p.oid = g.tgfoid \
         join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
         join pg_catalog.pg_class c on c.oid = g.tgrelid \
         where p.proname = $1 and n.nspname = $2 and c.relname <> $3 and not g.tgisinternal)",
        given,
    );
    let row = server.asks(asked).await?;
    Ok(row
        .map_err(|word| anyhow!(server::told(&word)))?
        .try_get(0)?)
}

/// The number after which changes are to be counted, if the database has not come so far.
async fn goes_on_from(server: &Server, table: &Table, order: &TriggerOrder) -> Result<Option<i64>> {
    let Some(brought) = changes::number(order.cursor.as_deref()) else {
        return Ok(None);
    };
    if !table.is_counted {
        return Ok(Some(brought));
    }
    let last = format!(
        "select coalesce(max(id), 0) from {}.{CHANGES}",
        name(&table.schema)
    );
    let row = server.asks(server.client.query_one(&last, &[])).await?;
    let last: i64 = row
        .map_err(|word| anyhow!(server::told(&word)))?
        .try_get(0)?;
    Ok((last < brought).then_some(brought))
}

fn install(table: &Table, from: Option<i64>) -> String {
    let (schema, changes) = (name(&table.schema), format!("{}.{CHANGES}", name(&table.schema)));
    let (quoted, own, channel) = (table.quoted(), text(&table.name), text(&table.channel));
    let goes_on = from.map_or(String::new(), |from| {
        format!(
            "lock table {changes} in share row exclusive mode;\n\
             select setval({}, greatest({from}, (select last_value from {changes}_id_seq)));\n",
            text(format!("{changes}_id_seq"))
        )
    });
    format!(
        "create table if not exists {changes} (
    id bigserial primary key,
    \"table\" text not null,
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default clock_timestamp()
);
create index if not exists {CHANGES}_of_table on {changes} (\"table\", id);
-- Numbers and times, for whoever follows the table.
grant select on {changes} to public;
create or replace function {schema}.{TRIGGER}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $host$
declare
    change bigint;
begin
    insert into {changes} (\"table\") values (tg_table_name) returning id into change;
    perform pg_notify(tg_argv[0], change::text);
    -- Now and then the old ones go. Where somebody else removes them too, it is left to him; where that could fail a
    -- writer's transaction whatever is done here, it is left to others.
    if random() < {PRUNING} and current_setting('transaction_isolation') <> 'serializable' then
        begin
            delete from {changes} where id in (
                select id from {changes} where \"table\" = tg_table_name and id < change - {KEPT}
                for update skip locked);
        exception when serialization_failure then
        end;
    end if;
    return null;
end
$host$;
revoke all on function {schema}.{TRIGGER}() from public;
create or replace trigger {TRIGGER} after insert or update or delete or truncate on {quoted}
for each statement execute function {schema}.{TRIGGER}({channel});
{goes_on}insert into {changes} (\"table\") values ({own});
delete from {changes} where \"table\" = {own} and id < (select max(id) from {changes} where \"table\" = {own}) - {KEPT};
select pg_notify({channel}, max(id)::text) from {changes};
"
    )
}

fn uninstall(table: &Table, shared: bool) -> String {
    let schema = name(&table.schema);
    let trigger = format!("drop trigger if exists {TRIGGER} on {};\n", table.quoted());
    if shared {
        // Other tables need the rest.
        return trigger;
    }
    format!(
        "{trigger}drop function if exists {schema}.{TRIGGER}();\ndrop table if exists {schema}.{CHANGES};\n"
    )
}
