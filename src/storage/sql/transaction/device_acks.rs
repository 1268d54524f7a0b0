//! Acknowledgements and marks of devices.

mod plan;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::access::Role;
use crate::domain::cursor::Epoch;
use crate::domain::event::EventType;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{DeviceMark, MarkKind, ScopedAck};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{number, parse, seq_column};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement, words};

use super::devices;
use super::execute::{Context, Execute};
use super::sagas::Sagas;
pub(super) use plan::Left;
use plan::{Known, Plan, Span};

/// Events that the acknowledgements of one transaction are about at most: some ten milliseconds of a database, which whoever
/// shares the transaction waits for. What is beyond is left for the next one.
const EVENTS_A_TRANSACTION: u64 = 1_000;

const ROW: &str = "room text, device text, user_id text, epoch int, seq int, at int";

// Read before the positions move: they say what was acknowledged before.
static KNOWN: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Select("device_acks"),
        "room text, device text",
        "SELECT a.room, a.device, a.epoch, a.seq FROM {rows} \
         JOIN device_acks a ON a.room = r.room AND a.device = r.device",
    )
});

// Only what can have been sent to the device counts: a room's history must not be claimed by whoever joins at its end.
static ORDERS: LazyStatement = LazyStatement::new(|| {
    let ringing = words(EventType::ALL.into_iter().filter(|event| event.rings()).map(EventType::as_str));
    Statement::over(
        Operation::Insert("order_acks"),
        "room text, device text, user_id text, epoch int, after int, upto int, at int",
        &format!(
            "INSERT INTO order_acks (order_id, device, user_id, at) \
             SELECT e.order_id, r.device, r.user_id, r.at FROM {{rows}} \
             JOIN room_events e ON e.room = r.room AND e.epoch = r.epoch AND e.seq > r.after AND e.seq <= r.upto \
             WHERE e.kind IN ({ringing}) AND e.order_id IS NOT NULL \
             ORDER BY e.order_id, r.device \
             ON CONFLICT (order_id, device) DO NOTHING RETURNING order_id"
        ),
    )
});

static POSITIONS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("device_acks"),
        ROW,
        "INSERT INTO device_acks (room, device, user_id, epoch, seq, at) \
         SELECT r.room, r.device, r.user_id, r.epoch, r.seq, r.at FROM {rows} WHERE true ORDER BY r.room, r.device \
         ON CONFLICT (room, device) DO UPDATE SET user_id = excluded.user_id, epoch = excluded.epoch, \
             seq = excluded.seq, at = excluded.at \
             WHERE device_acks.epoch <> excluded.epoch OR device_acks.seq < excluded.seq",
    )
});

// Of an event that is there and about an order: of others nobody reads a mark, and there are as many as somebody makes up.
static MARK: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("device_marks"),
        "INSERT INTO device_marks (room, device, epoch, seq, kind, user_id, at, order_id) \
         SELECT e.room, $2, e.epoch, e.seq, $5, $6, $7, e.order_id FROM room_events e \
         WHERE e.room = $1 AND e.epoch = $3 AND e.seq = $4 AND e.order_id IS NOT NULL \
         ON CONFLICT (room, device, epoch, seq, kind) DO NOTHING",
    )
});

#[derive(Serialize)]
struct DeviceRow<'a> {
    room: RoomId,
    device: &'a str,
}

#[derive(FromRow)]
struct KnownRow {
    room: String,
    device: String,
    epoch: i64,
    seq: i64,
}

#[derive(FromRow)]
struct AckedRead {
    order_id: String,
}

#[derive(Serialize)]
struct SpanRow<'a> {
    room: RoomId,
    device: &'a str,
    user_id: String,
    epoch: u32,
    after: i64,
    upto: i64,
    at: i64,
}

#[derive(Serialize)]
struct PositionRow<'a> {
    room: RoomId,
    device: &'a str,
    user_id: String,
    epoch: u32,
    seq: i64,
    at: i64,
}

/// Stores how far devices are, and when each had each new order of its business for the first time: as much of it as one
/// transaction may be about, and tells what is left.
pub(super) async fn store<'a>(
    connection: &mut Connection,
    acks: &[&'a ScopedAck],
    sagas: &mut Sagas,
    now: Timestamp,
) -> Result<Left<'a>, TxError> {
    if acks.is_empty() {
        return Ok(Left::default());
    }
    let devices: Vec<DeviceRow<'_>> =
        plan::devices_of_businesses(acks).map(|(room, device)| DeviceRow { room, device }).collect();
    let known = if devices.is_empty() { Known::new() } else { known(connection, &devices).await? };
    let Plan { spans, positions, left } = plan::plan(acks, &known, EVENTS_A_TRANSACTION);
    let spans: Vec<SpanRow<'_>> = spans.iter().map(SpanRow::of).collect();
    if !spans.is_empty() {
        let first: Vec<AckedRead> = connection.fetch(&ORDERS, &[Arg::rows(&spans)]).await?;
        let orders = first.into_iter().map(|row| row.order_id).collect();
        sagas.acknowledged(connection, &orders, now).await?;
    }
    // One row a device and room: a statement cannot write a row twice.
    let positions: Vec<PositionRow<'_>> = positions
        .into_iter()
        .map(|(received, seq)| PositionRow {
            room: received.ack.room,
            device: &received.ack.device,
            user_id: received.ack.user.to_string(),
            epoch: received.ack.cursor.epoch.value(),
            seq: seq_column(seq),
            at: received.ack.at.as_micros(),
        })
        .collect();
    if !positions.is_empty() {
        connection.execute(&POSITIONS, &[Arg::rows(&positions)]).await?;
    }
    Ok(left)
}

async fn known(connection: &mut Connection, devices: &[DeviceRow<'_>]) -> Result<Known, TxError> {
    let rows: Vec<KnownRow> = connection.fetch(&KNOWN, &[Arg::rows(devices)]).await?;
    let mut known = Known::new();
    for row in rows {
        let epoch = Epoch::new(number("device_acks.epoch", row.epoch)?);
        let seq = number("device_acks.seq", row.seq)?;
        known.insert((parse("device_acks.room", &row.room)?, row.device), (epoch, seq));
    }
    Ok(known)
}

impl<'a> SpanRow<'a> {
    fn of(span: &Span<'a>) -> Self {
        let ack = &span.received.ack;
        Self {
            room: ack.room,
            device: &ack.device,
            user_id: ack.user.to_string(),
            epoch: ack.cursor.epoch.value(),
            after: seq_column(span.after),
            upto: seq_column(span.upto),
            at: ack.at.as_micros(),
        }
    }
}

impl Execute for DeviceMark {
    type Output = ();

    /// Stores that an event about an order was shown or acted upon; a second time changes nothing, nor does one of another event.
    /// That an operator acted ends no alert of the business and is not stored.
    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let mark = self;
        if mark.kind == MarkKind::Acted && mark.role == Role::Admin {
            return Ok(());
        }
        // By the store's time, as far as the request is old: alerts compare it with their own.
        let at = cx.now.minus(cx.at.since(mark.at));
        let args = [
            Arg::text(mark.room),
            Arg::text(&mark.device),
            Arg::Int(mark.cursor.epoch.value().into()),
            Arg::Int(seq_column(mark.cursor.seq)),
            Arg::text(mark.kind.as_str()),
            Arg::text(mark.user),
            Arg::Int(at.as_micros()),
        ];
        if cx.connection.execute(&MARK, &args).await? > 0 {
            devices::seen(cx.connection, std::iter::once((mark.user, mark.device.as_str(), mark.at))).await?;
        }
        Ok(())
    }
}
