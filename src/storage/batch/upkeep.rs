//! Taking out what has run out, a bounded number of rows at a time, so that orders wait for no clean-up.

use crate::domain::ids::{CommandId, NotificationId};
use crate::domain::time::Timestamp;
use crate::storage::command::{Outcome, Purgeable};
use crate::storage::connection::Connection;
use crate::storage::failure::Failure;
use crate::storage::statement::{Arg, Dialect, LazyStatement, Statement};

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
    };
    connection.execute(statement, &[bound, Arg::Int(limit.into())]).await.map(Outcome::Purged)
}

/// Tells the planner of SQLite how the data is spread; Postgres does so by itself.
pub(super) async fn analyze(connection: &mut Connection) -> Result<Outcome, Failure> {
    if connection.dialect() == Dialect::Sqlite {
        connection.execute(&SAMPLE, &[]).await?;
        connection.execute(&ANALYZE, &[]).await?;
    }
    Ok(Outcome::Done)
}
