//! Deletion of expired rows, a bounded number at a time, so that orders do not wait for it.

use sqlx_macros::FromRow;

use crate::domain::business::Timezone;
use crate::domain::ids::{CommandId, NotificationId};
use crate::domain::time::Timestamp;
use crate::storage::commands::{Analyze, Expirable, MaintenanceProgress, Purge, RowKey, Sweep, Sweepable};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, Dialect, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};

/// A deletion of at most `$2` rows, in whatever order the index has them. Rows that another lane holds are left for
/// the next time: waiting for them in another order than that lane could be waiting in a circle.
fn deletion(table: &'static str, key: &str, old: &str) -> Statement {
    let text = |lock: &str| {
        format!(
            "DELETE FROM {table} WHERE ({key}) IN \
             (SELECT {key} FROM {table} WHERE {old} LIMIT $2 {lock})"
        )
    };
    Statement::apart(Operation::Delete(table), "", &text("FOR UPDATE SKIP LOCKED"), &text(""))
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

// The rows of one room stand together in the key.
static CONTROL_EVENTS: LazyStatement =
    LazyStatement::new(|| deletion("room_events", "room, epoch, seq", "room = 'control' AND at < $1"));

static DEVICE_MARKS: LazyStatement =
    LazyStatement::new(|| deletion("device_marks", "room, device, epoch, seq, kind", "at < $1"));

static ORDER_ACKS: LazyStatement =
    LazyStatement::new(|| deletion("order_acks", "order_id, device", "at < $1"));

static ORDER_SAGAS: LazyStatement =
    LazyStatement::new(|| deletion("order_sagas", "order_id", "created_at < $1 AND due_at IS NULL"));

static INTENTS: LazyStatement =
    LazyStatement::new(|| deletion("intents", "id", "created_at < $1 AND due_at IS NULL"));

// One that waits for somebody stays, however old it is.
static PAYMENT_MESSAGES: LazyStatement =
    LazyStatement::new(|| deletion("payment_messages", "id", "created_at < $1 AND state = 'done'"));

static DEAD_LETTERS: LazyStatement =
    LazyStatement::new(|| deletion("dead_letters", "id", "created_at < $1 AND state = 'done'"));

// What nobody can answer any more; an open one is closed first.
static OFFERS: LazyStatement =
    LazyStatement::new(|| deletion("offers", "id", "created_at < $1 AND state <> 'open'"));

static DELIVERY_STEPS: LazyStatement =
    LazyStatement::new(|| deletion("delivery_steps", "order_id, n", "created_at < $1"));

static REACH_LEASES: LazyStatement =
    LazyStatement::new(|| deletion("reach_leases", "business_id, node", "until < $1"));

static NODES: LazyStatement = LazyStatement::new(|| deletion("nodes", "node", "until < $1"));

static HOLDS: LazyStatement = LazyStatement::new(|| deletion("holds", "what, scope", "until < $1"));

static AUDIT: LazyStatement = LazyStatement::new(|| deletion("audit", "id", "at < $1"));

/// Lets devices go that were not seen since, at most `$2` of them.
static UNSEEN: LazyStatement = LazyStatement::new(|| {
    let text = |lock: &str| {
        format!(
            "UPDATE devices SET gone_at = $1 WHERE (user_id, device) IN \
             (SELECT user_id, device FROM devices WHERE seen_at < $1 AND gone_at IS NULL LIMIT $2 {lock})"
        )
    };
    Statement::apart(Operation::Update("devices"), "", &text("FOR UPDATE SKIP LOCKED"), &text(""))
});

/// A deletion of at most `$1` rows that belong to devices that have gone.
fn deletion_of_gone(table: &'static str, key: &[&str]) -> Statement {
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
    Statement::apart(Operation::Delete(table), "", &text("FOR UPDATE OF t SKIP LOCKED"), &text(""))
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
    Statement::apart(Operation::Delete("devices"), "", &text("FOR UPDATE SKIP LOCKED"), &text(""))
});

/// The next `$3` rows in the order of their keys.
fn next_rows(table: &'static str, first: &str, second: &str) -> Statement {
    Statement::new(
        Operation::Select(table),
        &format!(
            "SELECT {first} AS first, {second} AS second FROM {table} WHERE ({first}, {second}) > ($1, $2) \
         ORDER BY {first}, {second} LIMIT $3"
        ),
    )
}

/// A deletion of those between two keys that are old.
fn sweeping(table: &'static str, first: &str, second: &str, old: &str) -> Statement {
    let text = |lock: &str| {
        format!(
            "DELETE FROM {table} WHERE ({first}, {second}) IN (SELECT {first}, {second} FROM {table} \
             WHERE ({first}, {second}) > ($1, $2) AND ({first}, {second}) <= ($3, $4) AND {old} {lock})"
        )
    };
    Statement::apart(Operation::Delete(table), "", &text("FOR UPDATE SKIP LOCKED"), &text(""))
}

static NEXT_ACKS: LazyStatement = LazyStatement::new(|| next_rows("device_acks", "room", "device"));

static OLD_ACKS: LazyStatement = LazyStatement::new(|| sweeping("device_acks", "room", "device", "at < $5"));

static NEXT_COUNTERS: LazyStatement =
    LazyStatement::new(|| next_rows("order_counters", "business_id", "day"));

static OLD_COUNTERS: LazyStatement =
    LazyStatement::new(|| sweeping("order_counters", "business_id", "day", "day < $5"));

// Reads a sample of each index: some milliseconds however large the file is.
static SAMPLE: LazyStatement =
    LazyStatement::new(|| Statement::new(Operation::Other, "PRAGMA analysis_limit = 400"));

static ANALYZE: LazyStatement = LazyStatement::new(|| Statement::new(Operation::Other, "ANALYZE"));

/// Lower bound of all ids made at or after `at`.
fn first_id_of(prefix: &str, at: Timestamp) -> Arg {
    let millis = u64::try_from(at.as_micros().max(0) / 1_000).unwrap_or(0);
    Arg::Text(format!("{prefix}{millis:012x}"))
}

impl Execute for Purge {
    type Output = u64;

    /// Deletes at most `limit` rows and tells how many.
    async fn execute(&self, cx: Context<'_>) -> Result<u64, TxError> {
        let Self { what, before, limit } = *self;
        let time = Arg::Int(before.as_micros());
        let (statement, bound) = match what {
            Expirable::Tickets => (&TICKETS, time),
            Expirable::Sessions => (&SESSIONS, time),
            Expirable::IdempotencyKeys => (&IDEMPOTENCY_KEYS, time),
            Expirable::Commands => (&COMMANDS, first_id_of(CommandId::PREFIX, before)),
            Expirable::Notifications => (&NOTIFICATIONS, first_id_of(NotificationId::PREFIX, before)),
            Expirable::RoomEvents => (&ROOM_EVENTS, time),
            Expirable::ControlEvents => (&CONTROL_EVENTS, time),
            Expirable::Invitations => (&INVITATIONS, time),
            Expirable::DeviceMarks => (&DEVICE_MARKS, time),
            Expirable::OrderAcks => (&ORDER_ACKS, time),
            Expirable::OrderSagas => (&ORDER_SAGAS, time),
            Expirable::Intents => (&INTENTS, time),
            Expirable::PaymentMessages => (&PAYMENT_MESSAGES, time),
            Expirable::DeadLetters => (&DEAD_LETTERS, time),
            Expirable::Offers => (&OFFERS, time),
            Expirable::DeliverySteps => (&DELIVERY_STEPS, time),
            Expirable::ReachLeases => (&REACH_LEASES, time),
            Expirable::Nodes => (&NODES, time),
            Expirable::Holds => (&HOLDS, time),
            Expirable::Audit => (&AUDIT, time),
            Expirable::Devices => return purge_devices(cx.connection, time, limit).await,
        };
        cx.connection.execute(statement, &[bound, Arg::Int(limit.into())]).await
    }
}

/// Lets unseen devices go; then deletes at most `limit` rows: what is known of devices that have gone, and in the end them.
async fn purge_devices(connection: &mut Connection, unseen: Arg, limit: u32) -> Result<u64, TxError> {
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
    Ok(deleted)
}

#[derive(FromRow)]
pub(super) struct PairRow {
    pub(super) first: String,
    pub(super) second: String,
}

impl Execute for Sweep {
    type Output = MaintenanceProgress;

    /// Looks at the next `limit` rows and deletes the old ones of them.
    async fn execute(&self, cx: Context<'_>) -> Result<MaintenanceProgress, TxError> {
        let Self { what, before, after, limit } = self;
        let (next, old, bound) = match what {
            Sweepable::DeviceAcks => (&NEXT_ACKS, &OLD_ACKS, Arg::Int(before.as_micros())),
            Sweepable::OrderCounters => {
                (&NEXT_COUNTERS, &OLD_COUNTERS, Arg::Text(Timezone::utc().day(*before)))
            }
        };
        let (first, second) =
            after.as_ref().map_or(("", ""), |row| (row.first.as_str(), row.second.as_str()));
        let from = [Arg::text(first), Arg::text(second)];
        let rows: Vec<PairRow> = cx
            .connection
            .fetch(next, &[from.clone().as_slice(), &[Arg::Int((*limit).into())]].concat())
            .await?;
        let Some(PairRow { first, second }) = rows.into_iter().next_back() else {
            return Ok(MaintenanceProgress { changed: 0, last: None });
        };
        let to = [Arg::text(&first), Arg::text(&second), bound];
        let changed = cx.connection.execute(old, &[from.as_slice(), &to].concat()).await?;
        Ok(MaintenanceProgress { changed, last: Some(RowKey { first, second }.to_text()) })
    }
}

impl Execute for Analyze {
    type Output = ();

    /// Tells the planner of SQLite how the data is spread; Postgres does so by itself.
    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        if cx.connection.dialect() == Dialect::Sqlite {
            cx.connection.execute(&SAMPLE, &[]).await?;
            cx.connection.execute(&ANALYZE, &[]).await?;
        }
        Ok(())
    }
}
