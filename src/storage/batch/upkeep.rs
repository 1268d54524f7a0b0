//! Taking out what has run out, a bounded number of rows at a time, so that orders wait for no clean-up.

use std::collections::HashMap;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::business::Zone;
use crate::domain::ids::{CommandId, NotificationId};
use crate::domain::time::Timestamp;
use crate::storage::command::{Advanced, Outcome, Purgeable, RowKey, Sweepable};
use crate::storage::connection::Connection;
use crate::storage::error::StoreError;
use crate::storage::failure::Failure;
use crate::storage::rows::{number, parse};
use crate::storage::search::{self, Document, Searched};
use crate::storage::statement::{Arg, Dialect, LazyStatement, Statement};

use super::orders::{INSERT_TERMS, NEXT_SEARCH_ROW};

/// A deletion of at most `$2` rows, in whatever order the index has them. Rows that another lane holds are left for
/// the next time: waiting for them in another order than that lane could be waiting in a circle.
fn deletion(table: &str, key: &str, old: &str) -> Statement {
    let text = |lock: &str| {
        format!(
            "DELETE FROM {table} WHERE ({key}) IN \
             (SELECT {key} FROM {table} WHERE {old} LIMIT $2 {lock})"
        )
    };
    Statement::apart("", &text("FOR UPDATE SKIP LOCKED"), &text(""))
}

static TICKETS: LazyStatement = LazyStatement::new(|| deletion("tickets", "jti", "expires_at < $1"));

static SESSIONS: LazyStatement =
    LazyStatement::new(|| deletion("sessions", "id", "(expires_at < $1 OR ended_at < $1)"));

static IDEMPOTENCY_KEYS: LazyStatement =
    LazyStatement::new(|| deletion("idempotency_keys", "scope, key", "created_at < $1"));

// Ids follow time: the old ones are those before the first of a moment.
static COMMANDS: LazyStatement = LazyStatement::new(|| deletion("commands", "id", "id < $1"));

static NOTIFICATIONS: LazyStatement = LazyStatement::new(|| deletion("notifications", "id", "id < $1"));

static INVITATIONS: LazyStatement = LazyStatement::new(|| deletion("invitations", "id", "expires_at < $1"));

static ROOM_EVENTS: LazyStatement =
    LazyStatement::new(|| deletion("room_events", "room, epoch, seq", "at < $1"));

static DEVICE_MARKS: LazyStatement =
    LazyStatement::new(|| deletion("device_marks", "room, device, epoch, seq, kind", "at < $1"));

static ORDER_ACKS: LazyStatement =
    LazyStatement::new(|| deletion("order_acks", "order_id, device", "at < $1"));

/// Lets devices go that were not seen since, at most `$2` of them.
static UNSEEN: LazyStatement = LazyStatement::new(|| {
    let text = |lock: &str| {
        format!(
            "UPDATE devices SET gone_at = $1 WHERE (user_id, device) IN \
             (SELECT user_id, device FROM devices WHERE seen_at < $1 AND gone_at IS NULL LIMIT $2 {lock})"
        )
    };
    Statement::apart("", &text("FOR UPDATE SKIP LOCKED"), &text(""))
});

/// A deletion of at most `$1` rows that belong to devices that have gone.
fn deletion_of_gone(table: &str, key: &[&str]) -> Statement {
    let list = |of: &str| key.iter().map(|column| format!("{of}{column}")).collect::<Vec<_>>().join(", ");
    let text = |lock: &str| {
        format!(
            "DELETE FROM {table} WHERE ({}) IN (SELECT {} FROM devices d \
             JOIN {table} t ON t.user_id = d.user_id AND t.device = d.device \
             WHERE d.gone_at IS NOT NULL LIMIT $1 {lock})",
            list(""),
            list("t.")
        )
    };
    Statement::apart("", &text("FOR UPDATE OF t SKIP LOCKED"), &text(""))
}

static ACKS_OF_GONE: LazyStatement =
    LazyStatement::new(|| deletion_of_gone("device_acks", &["room", "device"]));

static MARKS_OF_GONE: LazyStatement =
    LazyStatement::new(|| deletion_of_gone("device_marks", &["room", "device", "epoch", "seq", "kind"]));

static GONE: LazyStatement = LazyStatement::new(|| {
    let text = |lock: &str| {
        format!(
            "DELETE FROM devices WHERE (user_id, device) IN \
             (SELECT user_id, device FROM devices WHERE gone_at IS NOT NULL LIMIT $1 {lock})"
        )
    };
    Statement::apart("", &text("FOR UPDATE SKIP LOCKED"), &text(""))
});

/// The next `$3` rows in the order of their keys.
fn next_rows(table: &str, first: &str, second: &str) -> Statement {
    Statement::new(&format!(
        "SELECT {first} AS first, {second} AS second FROM {table} WHERE ({first}, {second}) > ($1, $2) \
         ORDER BY {first}, {second} LIMIT $3"
    ))
}

/// A deletion of those between two keys that are old.
fn sweeping(table: &str, first: &str, second: &str, old: &str) -> Statement {
    let text = |lock: &str| {
        format!(
            "DELETE FROM {table} WHERE ({first}, {second}) IN (SELECT {first}, {second} FROM {table} \
             WHERE ({first}, {second}) > ($1, $2) AND ({first}, {second}) <= ($3, $4) AND {old} {lock})"
        )
    };
    Statement::apart("", &text("FOR UPDATE SKIP LOCKED"), &text(""))
}

static NEXT_ACKS: LazyStatement = LazyStatement::new(|| next_rows("device_acks", "room", "device"));
static OLD_ACKS: LazyStatement = LazyStatement::new(|| sweeping("device_acks", "room", "device", "at < $5"));
static NEXT_COUNTERS: LazyStatement =
    LazyStatement::new(|| next_rows("order_counters", "business_id", "day"));
static OLD_COUNTERS: LazyStatement =
    LazyStatement::new(|| sweeping("order_counters", "business_id", "day", "day < $5"));

static UNINDEXED: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "SELECT search_below AS first, '' AS second FROM hub WHERE id = 1 AND search_below IS NOT NULL",
    )
});

// From the last one down. Locked upwards all the same, as everybody locks them. New orders are in the index when they are
// stored: on Postgres they only get the same terms again, on SQLite they have a row of it.
static LOCK_UNINDEXED: LazyStatement = LazyStatement::new(|| {
    let text = |indexed: &str| {
        format!(
            "SELECT o.id, o.business_id, o.order_number, o.customer_name, o.created_at, {indexed} AS indexed FROM orders o \
             WHERE o.id IN (SELECT b.id FROM orders b WHERE b.id < $1 ORDER BY b.id DESC LIMIT $2) \
             ORDER BY o.id {{for_update}}"
        )
    };
    Statement::apart("", &text("CAST(0 AS BIGINT)"), &text("o.search_row IS NOT NULL"))
});

static SKUS: LazyStatement = LazyStatement::new(|| {
    Statement::new("SELECT i.order_id AS first, i.sku AS second FROM order_items i WHERE i.order_id = {any}")
});

static INDEX: LazyStatement = LazyStatement::new(|| {
    Statement::apart(
        "id text, terms text, words text",
        "UPDATE orders SET search = array_to_tsvector(string_to_array(r.terms, ' ')) FROM {rows} WHERE orders.id = r.id",
        &format!(
            "UPDATE orders SET words = n.words, search_row = n.search_row FROM \
             (SELECT r.id, r.words, {NEXT_SEARCH_ROW} AS search_row FROM {{rows}}) n WHERE orders.id = n.id"
        ),
    )
});

static INDEXED_TO: LazyStatement =
    LazyStatement::new(|| Statement::new("UPDATE hub SET search_below = $1 WHERE id = 1"));

// Reads a sample of each index: some milliseconds however large the file is.
static SAMPLE: LazyStatement = LazyStatement::new(|| Statement::new("PRAGMA analysis_limit = 400"));
static ANALYZE: LazyStatement = LazyStatement::new(|| Statement::new("ANALYZE"));

/// What every id made at or after `at` is not less than.
fn first_id_of(prefix: &str, at: Timestamp) -> Arg {
    let millis = u64::try_from(at.as_micros().max(0) / 1_000).unwrap_or(0);
    Arg::Text(format!("{prefix}{millis:012x}"))
}

/// Deletes at most `limit` rows and tells how many.
pub(super) async fn purge(
    connection: &mut Connection,
    what: Purgeable,
    before: Timestamp,
    limit: u32,
) -> Result<Outcome, Failure> {
    let time = Arg::Int(before.as_micros());
    let (statement, bound) = match what {
        Purgeable::Tickets => (&TICKETS, time),
        Purgeable::Sessions => (&SESSIONS, time),
        Purgeable::IdempotencyKeys => (&IDEMPOTENCY_KEYS, time),
        Purgeable::Commands => (&COMMANDS, first_id_of(CommandId::PREFIX, before)),
        Purgeable::Notifications => (&NOTIFICATIONS, first_id_of(NotificationId::PREFIX, before)),
        Purgeable::RoomEvents => (&ROOM_EVENTS, time),
        Purgeable::Invitations => (&INVITATIONS, time),
        Purgeable::DeviceMarks => (&DEVICE_MARKS, time),
        Purgeable::OrderAcks => (&ORDER_ACKS, time),
        Purgeable::Devices => return purge_devices(connection, time, limit).await,
    };
    connection.execute(statement, &[bound, Arg::Int(limit.into())]).await.map(Outcome::Purged)
}

/// Lets unseen devices go; then deletes at most `limit` rows: what is known of devices that have gone, and in the end them.
async fn purge_devices(connection: &mut Connection, unseen: Arg, limit: u32) -> Result<Outcome, Failure> {
    connection.execute(&UNSEEN, &[unseen, Arg::Int(limit.into())]).await?;
    let mut deleted = 0;
    for statement in [&ACKS_OF_GONE, &MARKS_OF_GONE, &GONE] {
        let left = u64::from(limit).saturating_sub(deleted);
        if left == 0 {
            break;
        }
        deleted +=
            connection.execute(statement, &[Arg::Int(i64::try_from(left).unwrap_or(i64::MAX))]).await?;
    }
    Ok(Outcome::Purged(deleted))
}

#[derive(FromRow)]
struct PairRow {
    first: String,
    second: String,
}

/// Looks at the next `limit` rows and deletes the old ones of them.
pub(super) async fn sweep(
    connection: &mut Connection,
    what: Sweepable,
    before: Timestamp,
    after: Option<&RowKey>,
    limit: u32,
) -> Result<Outcome, Failure> {
    let (next, old, bound) = match what {
        Sweepable::DeviceAcks => (&NEXT_ACKS, &OLD_ACKS, Arg::Int(before.as_micros())),
        Sweepable::OrderCounters => (&NEXT_COUNTERS, &OLD_COUNTERS, Arg::Text(Zone::utc().day(before))),
    };
    let (first, second) = after.map_or(("", ""), |row| (row.first.as_str(), row.second.as_str()));
    let from = [Arg::text(first), Arg::text(second)];
    let rows: Vec<PairRow> =
        connection.fetch(next, &[from.clone().as_slice(), &[Arg::Int(limit.into())]].concat()).await?;
    let Some(PairRow { first, second }) = rows.into_iter().next_back() else {
        return Ok(Outcome::Advanced(Advanced { changed: 0, last: None }));
    };
    let to = [Arg::text(&first), Arg::text(&second), bound];
    let changed = connection.execute(old, &[from.as_slice(), &to].concat()).await?;
    Ok(Outcome::Advanced(Advanced { changed, last: Some(RowKey { first, second }.to_text()) }))
}

#[derive(FromRow)]
struct UnindexedRow {
    id: String,
    business_id: String,
    order_number: i64,
    customer_name: String,
    created_at: i64,
    indexed: i64,
}

#[derive(Serialize)]
struct TermsRow {
    id: String,
    terms: String,
    words: String,
}

/// Puts the next orders into the index.
pub(super) async fn index_orders(connection: &mut Connection, limit: u32) -> Result<Outcome, Failure> {
    let dialect = connection.dialect();
    let below: Option<PairRow> = connection.fetch_first(&UNINDEXED, &[]).await?;
    let Some(PairRow { first: below, .. }) = below else {
        return Ok(Outcome::Advanced(Advanced { changed: 0, last: None }));
    };
    let args = [Arg::Text(below), Arg::Int(limit.into())];
    let rows: Vec<UnindexedRow> = connection.fetch(&LOCK_UNINDEXED, &args).await?;
    let last = rows.first().map(|row| row.id.clone());
    let rows: Vec<UnindexedRow> = rows.into_iter().filter(|row| row.indexed == 0).collect();
    let items: Vec<PairRow> = connection.fetch(&SKUS, &[Arg::texts(rows.iter().map(|row| &row.id))]).await?;
    let mut skus: HashMap<String, Vec<String>> = HashMap::new();
    for PairRow { first, second } in items {
        skus.entry(first).or_default().push(second);
    }
    let rows: Vec<TermsRow> = rows
        .into_iter()
        .map(|row| {
            let skus = skus.remove(&row.id).unwrap_or_default();
            let searched = Searched {
                business: parse("orders.business_id", &row.business_id)?,
                number: number("orders.order_number", row.order_number)?,
                customer_name: &row.customer_name,
                skus: skus.iter().map(String::as_str).collect(),
                created_at: Timestamp::from_micros(row.created_at),
            };
            let Document { terms, words } = search::document(&searched, dialect);
            Ok(TermsRow { id: row.id, terms, words })
        })
        .collect::<Result<_, StoreError>>()?;
    let changed = connection.execute(&INDEX, &[Arg::rows(&rows)]).await?;
    if dialect == Dialect::Sqlite {
        connection.execute(&INSERT_TERMS, &[Arg::rows(&rows)]).await?;
    }
    connection.execute(&INDEXED_TO, &[Arg::OptText(last.clone())]).await?;
    Ok(Outcome::Advanced(Advanced { changed, last }))
}

/// Tells the planner of SQLite how the data is spread; Postgres does so by itself.
pub(super) async fn analyze(connection: &mut Connection) -> Result<Outcome, Failure> {
    if connection.dialect() == Dialect::Sqlite {
        connection.execute(&SAMPLE, &[]).await?;
        connection.execute(&ANALYZE, &[]).await?;
    }
    Ok(Outcome::Done)
}
