//! The devices of somebody, of which there is a bound: whoever makes up a new one each time does not fill the store.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

/// Devices one user has at most; of more, those seen least recently go, with what is known of them.
pub(super) const MAX_DEVICES: i64 = 50;

/// A device that is there all day is noted once: whoever acknowledges only looks it up.
const NOTED_EVERY: i64 = 24 * 60 * 60 * 1_000_000;

static SEEN: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("devices"),
        "user_id text, device text, at int",
        "INSERT INTO devices (user_id, device, seen_at) SELECT r.user_id, r.device, r.at FROM {rows} \
         LEFT JOIN devices d ON d.user_id = r.user_id AND d.device = r.device \
         WHERE d.device IS NULL OR d.gone_at IS NOT NULL OR d.seen_at < r.at - $2 ORDER BY r.user_id, r.device \
         ON CONFLICT (user_id, device) DO UPDATE SET seen_at = excluded.seen_at, gone_at = NULL \
         RETURNING user_id",
    )
});

static BOUND: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("devices"),
        "UPDATE devices SET gone_at = $2 WHERE gone_at IS NULL AND (user_id, device) IN \
         (SELECT n.user_id, n.device FROM (SELECT d.user_id, d.device, \
             row_number() OVER (PARTITION BY d.user_id ORDER BY d.seen_at DESC, d.device) AS nth \
             FROM devices d WHERE d.user_id = {any} AND d.gone_at IS NULL) n WHERE n.nth > $3)",
    )
});

#[derive(Serialize)]
struct SeenRow<'a> {
    user_id: UserId,
    device: &'a str,
    at: i64,
}

#[derive(FromRow)]
struct UserRow {
    user_id: String,
}

/// Notes that these devices of these users are there.
pub(super) async fn seen<'a>(
    connection: &mut Connection,
    devices: impl Iterator<Item = (UserId, &'a str, Timestamp)>,
) -> Result<(), TxError> {
    let mut latest: BTreeMap<(UserId, &str), Timestamp> = BTreeMap::new();
    for (user, device, at) in devices {
        let last = latest.entry((user, device)).or_insert(at);
        *last = at.max(*last);
    }
    let Some(now) = latest.values().max().copied() else { return Ok(()) };
    let rows: Vec<SeenRow<'_>> = latest
        .into_iter()
        .map(|((user_id, device), at)| SeenRow { user_id, device, at: at.as_micros() })
        .collect();
    let noted: Vec<UserRow> = connection.fetch(&SEEN, &[Arg::rows(&rows), Arg::Int(NOTED_EVERY)]).await?;
    if noted.is_empty() {
        return Ok(());
    }
    let users = Arg::texts(noted.iter().map(|row| &row.user_id));
    let args = [users, Arg::Int(now.as_micros()), Arg::Int(MAX_DEVICES)];
    connection.execute(&BOUND, &args).await.map(drop)
}
