//! Renewing what is everywhere in the store, a bounded number of rows at a time: the keys that sealed values, and the
//! epoch that rooms count in. Rows are locked in the order in which orders lock them.

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::storage::commands::{MaintenanceProgress, Reseal, RotateEpoch, SealedColumn};
use crate::storage::crypto::cipher::Aad;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{AFTER_ALL, open, seal};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};
use super::idempotency::row_name;

const KEY: &str = "first text, second text";

fn lock_rows(column: SealedColumn) -> Statement {
    let (table, column) = column.place();
    let text = format!(
        "SELECT t.id AS first, '' AS second, t.{column} AS sealed FROM {table} t \
         WHERE t.id IN (SELECT r.first FROM {{rows}}) AND t.{column} IS NOT NULL ORDER BY t.id {{for_update}}"
    );
    Statement::over(Operation::Select(table), KEY, &text)
}

const ROW: &str = "first text, second text, old text, new text";

// Only what still is as it was read.
fn reseal_rows(column: SealedColumn) -> Statement {
    let (table, column) = column.place();
    let text = format!(
        "UPDATE {table} SET {column} = r.new FROM {{rows}} WHERE {table}.id = r.first AND {table}.{column} = r.old"
    );
    Statement::over(Operation::Update(table), ROW, &text)
}

static PHONES: LazyStatement = LazyStatement::new(|| lock_rows(SealedColumn::OrderPhone));
static RESEAL_PHONES: LazyStatement = LazyStatement::new(|| reseal_rows(SealedColumn::OrderPhone));
static ADDRESSES: LazyStatement = LazyStatement::new(|| lock_rows(SealedColumn::OrderAddress));
static RESEAL_ADDRESSES: LazyStatement = LazyStatement::new(|| reseal_rows(SealedColumn::OrderAddress));
static BUSINESS_EMAILS: LazyStatement = LazyStatement::new(|| lock_rows(SealedColumn::BusinessEmail));
static RESEAL_BUSINESS_EMAILS: LazyStatement =
    LazyStatement::new(|| reseal_rows(SealedColumn::BusinessEmail));
static BUSINESS_PHONES: LazyStatement = LazyStatement::new(|| lock_rows(SealedColumn::BusinessPhone));
static RESEAL_BUSINESS_PHONES: LazyStatement =
    LazyStatement::new(|| reseal_rows(SealedColumn::BusinessPhone));
static USER_PHONES: LazyStatement = LazyStatement::new(|| lock_rows(SealedColumn::UserPhone));
static RESEAL_USER_PHONES: LazyStatement = LazyStatement::new(|| reseal_rows(SealedColumn::UserPhone));
static MESSAGES: LazyStatement = LazyStatement::new(|| lock_rows(SealedColumn::PaymentMessage));
static RESEAL_MESSAGES: LazyStatement = LazyStatement::new(|| reseal_rows(SealedColumn::PaymentMessage));
static CODES: LazyStatement = LazyStatement::new(|| lock_rows(SealedColumn::DeliveryCode));
static RESEAL_CODES: LazyStatement = LazyStatement::new(|| reseal_rows(SealedColumn::DeliveryCode));

static BODIES: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Select("idempotency_keys"),
        KEY,
        "SELECT k.scope AS first, k.key AS second, k.body AS sealed FROM idempotency_keys k \
         WHERE (k.scope, k.key) IN (SELECT r.first, r.second FROM {rows}) AND k.body IS NOT NULL \
         ORDER BY k.scope, k.key {for_update}",
    )
});

static RESEAL_BODIES: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("idempotency_keys"),
        ROW,
        "UPDATE idempotency_keys SET body = r.new FROM {rows} \
         WHERE idempotency_keys.scope = r.first AND idempotency_keys.key = r.second AND idempotency_keys.body = r.old",
    )
});

static HUB: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("hub"), "UPDATE hub SET epoch = $1 WHERE id = 1 AND epoch <> $1")
});

// From the last one down: rooms of new orders come after it, where nobody has to go, since they begin in the new epoch.
// Locked upwards all the same, as everybody locks them.
static ROOMS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("room_seq"),
        "SELECT s.room FROM room_seq s WHERE s.room IN \
         (SELECT b.room FROM room_seq b WHERE b.room < $1 ORDER BY b.room DESC LIMIT $2) ORDER BY s.room {for_update}",
    )
});

static MOVE_ROOMS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("room_seq"),
        "UPDATE room_seq SET epoch = $2 WHERE room = {any} AND epoch <> $2",
    )
});

#[derive(FromRow)]
struct SealedRead {
    first: String,
    second: String,
    sealed: String,
}

#[derive(Serialize)]
struct ResealedRow {
    first: String,
    second: String,
    old: String,
    new: String,
}

#[derive(FromRow)]
struct RoomRead {
    room: String,
}

impl Execute for Reseal {
    type Output = u64;

    /// Seals those values of these rows anew that an older key still seals.
    async fn execute(&self, cx: Context<'_>) -> Result<u64, TxError> {
        let Self { column, rows } = self;
        let (lock, write) = match column {
            SealedColumn::OrderPhone => (&PHONES, &RESEAL_PHONES),
            SealedColumn::OrderAddress => (&ADDRESSES, &RESEAL_ADDRESSES),
            SealedColumn::BusinessEmail => (&BUSINESS_EMAILS, &RESEAL_BUSINESS_EMAILS),
            SealedColumn::BusinessPhone => (&BUSINESS_PHONES, &RESEAL_BUSINESS_PHONES),
            SealedColumn::UserPhone => (&USER_PHONES, &RESEAL_USER_PHONES),
            SealedColumn::PaymentMessage => (&MESSAGES, &RESEAL_MESSAGES),
            SealedColumn::DeliveryCode => (&CODES, &RESEAL_CODES),
            SealedColumn::StoredResponse => (&BODIES, &RESEAL_BODIES),
        };
        let found: Vec<SealedRead> = cx.connection.fetch(lock, &[Arg::rows(rows)]).await?;
        let mut renewed = Vec::new();
        for row in found {
            if cx.cipher.is_current(&row.sealed) {
                continue;
            }
            let name = match column {
                SealedColumn::OrderPhone
                | SealedColumn::OrderAddress
                | SealedColumn::BusinessEmail
                | SealedColumn::BusinessPhone
                | SealedColumn::UserPhone
                | SealedColumn::PaymentMessage
                | SealedColumn::DeliveryCode => row.first.clone(),
                SealedColumn::StoredResponse => row_name(&row.first, &row.second),
            };
            let (table, column) = column.place();
            let aad = Aad { table, column, row: &name };
            let new = seal(cx.cipher, aad, &open(cx.cipher, aad, &row.sealed)?)?;
            renewed.push(ResealedRow { first: row.first, second: row.second, old: row.sealed, new });
        }
        let changed =
            if renewed.is_empty() { 0 } else { cx.connection.execute(write, &[Arg::rows(&renewed)]).await? };
        Ok(changed)
    }
}

impl Execute for RotateEpoch {
    type Output = MaintenanceProgress;

    /// Puts the hub and the next `limit` rooms into `epoch`. Their numbers go on; what was before is another history.
    async fn execute(&self, cx: Context<'_>) -> Result<MaintenanceProgress, TxError> {
        let Self { epoch, below, limit } = self;
        let number = Arg::Int(epoch.value().into());
        cx.connection.execute(&HUB, std::slice::from_ref(&number)).await?;
        let below = Arg::text(below.as_deref().unwrap_or(AFTER_ALL));
        let rooms: Vec<RoomRead> = cx.connection.fetch(&ROOMS, &[below, Arg::Int((*limit).into())]).await?;
        let last = rooms.first().map(|row| row.room.clone());
        let names = Arg::texts(rooms.iter().map(|row| &row.room));
        let changed =
            if rooms.is_empty() { 0 } else { cx.connection.execute(&MOVE_ROOMS, &[names, number]).await? };
        Ok(MaintenanceProgress { changed, last })
    }
}
