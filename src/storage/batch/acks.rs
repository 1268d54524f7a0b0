//! What devices say about the events they got.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::room::RoomId;
use crate::storage::command::{DeviceAck, DeviceMark, Outcome};
use crate::storage::connection::Connection;
use crate::storage::failure::Failure;
use crate::storage::rows::seq_column;
use crate::storage::statement::{Arg, LazyStatement, Statement};

/// How far back the first acknowledgement of an unknown device reaches: a ring buffer's worth. It cannot have been
/// sent more than it asked for, and a room's whole history must not be claimed by whoever joins at its end.
const FIRST_ACK_REACH: i64 = 1_000;

const ROW: &str = "room text, device text, user_id text, epoch int, seq int, at int";

// Runs before the positions move: they say what was acknowledged before.
static ORDERS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        ROW,
        "INSERT INTO order_acks (order_id, device, at) \
         SELECT e.order_id, r.device, r.at FROM {rows} \
         LEFT JOIN device_acks a ON a.room = r.room AND a.device = r.device AND a.epoch = r.epoch \
         JOIN room_events e ON e.room = r.room AND e.epoch = r.epoch AND e.seq <= r.seq \
             AND e.seq > COALESCE(a.seq, r.seq - $2) \
         WHERE e.kind = 'order_created' AND e.order_id IS NOT NULL \
         ORDER BY e.order_id, r.device \
         ON CONFLICT (order_id, device) DO NOTHING",
    )
});

static POSITIONS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        ROW,
        "INSERT INTO device_acks (room, device, user_id, epoch, seq, at) \
         SELECT r.room, r.device, r.user_id, r.epoch, r.seq, r.at FROM {rows} WHERE true ORDER BY r.room, r.device \
         ON CONFLICT (room, device) DO UPDATE SET user_id = excluded.user_id, epoch = excluded.epoch, \
             seq = excluded.seq, at = excluded.at \
             WHERE device_acks.epoch <> excluded.epoch OR device_acks.seq < excluded.seq",
    )
});

static MARK: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        "INSERT INTO device_marks (room, device, epoch, seq, kind, user_id, at, order_id) VALUES ($1, $2, $3, $4, $5, $6, $7, \
             (SELECT e.order_id FROM room_events e WHERE e.room = $1 AND e.epoch = $3 AND e.seq = $4)) \
         ON CONFLICT (room, device, epoch, seq, kind) DO NOTHING",
    )
});

#[derive(Serialize)]
struct AckRow<'a> {
    room: RoomId,
    device: &'a str,
    user_id: String,
    epoch: u32,
    seq: i64,
    at: i64,
}

impl<'a> AckRow<'a> {
    fn of(ack: &'a DeviceAck) -> Self {
        Self {
            room: ack.room,
            device: &ack.device,
            user_id: ack.user.to_string(),
            epoch: ack.cursor.epoch.value(),
            seq: seq_column(ack.cursor.seq),
            at: ack.at.as_micros(),
        }
    }
}

/// Stores how far devices are, and when each had each new order of its business for the first time.
pub(super) async fn store(connection: &mut Connection, acks: &[DeviceAck]) -> Result<(), Failure> {
    // One row a device and room: a statement cannot write a row twice.
    let mut furthest: BTreeMap<(RoomId, &str), &DeviceAck> = BTreeMap::new();
    for ack in acks {
        let last = furthest.entry((ack.room, &ack.device)).or_insert(ack);
        if ack.cursor.epoch != last.cursor.epoch || ack.cursor.seq > last.cursor.seq {
            *last = ack;
        }
    }
    if furthest.is_empty() {
        return Ok(());
    }
    let of_businesses: Vec<AckRow<'_>> = furthest
        .values()
        .filter(|ack| matches!(ack.room, RoomId::Business(_)))
        .map(|ack| AckRow::of(ack))
        .collect();
    if !of_businesses.is_empty() {
        connection.execute(&ORDERS, &[Arg::rows(&of_businesses), Arg::Int(FIRST_ACK_REACH)]).await?;
    }
    let rows: Vec<AckRow<'_>> = furthest.values().map(|ack| AckRow::of(ack)).collect();
    connection.execute(&POSITIONS, &[Arg::rows(&rows)]).await.map(drop)
}

/// Stores that an event was shown or acted upon; a second time changes nothing.
pub(super) async fn store_mark(connection: &mut Connection, mark: &DeviceMark) -> Result<Outcome, Failure> {
    let args = [
        Arg::text(mark.room),
        Arg::text(&mark.device),
        Arg::Int(mark.cursor.epoch.value().into()),
        Arg::Int(seq_column(mark.cursor.seq)),
        Arg::text(mark.kind.as_str()),
        Arg::text(mark.user),
        Arg::Int(mark.at.as_micros()),
    ];
    connection.execute(&MARK, &args).await?;
    Ok(Outcome::Done)
}
