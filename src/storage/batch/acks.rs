//! What devices say about the events they got.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::room::RoomId;
use crate::storage::command::{DeviceMark, Outcome, Reach, ReceivedAck};
use crate::storage::connection::Connection;
use crate::storage::failure::Failure;
use crate::storage::rows::seq_column;
use crate::storage::statement::{Arg, LazyStatement, Statement};

/// Events one acknowledgement is about at most: more than a device catches up without acknowledging, and few enough
/// for one transaction.
const MAX_REACH: i64 = 10_000;

const ROW: &str = "room text, device text, user_id text, epoch int, seq int, at int, since int, resumed bool";

// Runs before the positions move: they say what was acknowledged before. Only what can have been sent to the device
// counts: a room's history must not be claimed by whoever joins at its end.
static ORDERS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        ROW,
        "INSERT INTO order_acks (order_id, device, at) \
         SELECT e.order_id, r.device, r.at FROM {rows} \
         LEFT JOIN device_acks a ON a.room = r.room AND a.device = r.device AND a.epoch = r.epoch \
         JOIN room_events e ON e.room = r.room AND e.epoch = r.epoch AND e.seq <= r.seq \
             AND e.seq > r.seq - $2 AND e.seq > COALESCE(a.seq, r.since) AND (r.resumed OR e.seq > r.since) \
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
    since: i64,
    resumed: bool,
}

impl<'a> AckRow<'a> {
    fn of(ReceivedAck { ack, reach }: &'a ReceivedAck) -> Self {
        let (since, resumed) = match reach {
            Reach::After(since) => (since, false),
            Reach::Resumed(since) => (since, true),
        };
        Self {
            room: ack.room,
            device: &ack.device,
            user_id: ack.user.to_string(),
            epoch: ack.cursor.epoch.value(),
            seq: seq_column(ack.cursor.seq),
            at: ack.at.as_micros(),
            since: seq_column(*since),
            resumed,
        }
    }
}

/// Stores how far devices are, and when each had each new order of its business for the first time.
pub(super) async fn store(connection: &mut Connection, acks: &[ReceivedAck]) -> Result<(), Failure> {
    let of_businesses: Vec<AckRow<'_>> =
        furthest(acks, |ReceivedAck { ack, reach }| (ack.room, &ack.device, *reach))
            .filter(|received| matches!(received.ack.room, RoomId::Business(_)))
            .map(AckRow::of)
            .collect();
    if !of_businesses.is_empty() {
        connection.execute(&ORDERS, &[Arg::rows(&of_businesses), Arg::Int(MAX_REACH)]).await?;
    }
    // One row a device and room: a statement cannot write a row twice.
    let rows: Vec<AckRow<'_>> =
        furthest(acks, |ReceivedAck { ack, .. }| (ack.room, &ack.device)).map(AckRow::of).collect();
    if rows.is_empty() {
        return Ok(());
    }
    connection.execute(&POSITIONS, &[Arg::rows(&rows)]).await.map(drop)
}

/// The one that says most of those with the same key, in the order of the keys; of two epochs the later one in `acks`.
fn furthest<'a, K: Ord>(
    acks: &'a [ReceivedAck],
    key: impl Fn(&'a ReceivedAck) -> K,
) -> impl Iterator<Item = &'a ReceivedAck> {
    let mut furthest: BTreeMap<K, &ReceivedAck> = BTreeMap::new();
    for received in acks {
        let last = furthest.entry(key(received)).or_insert(received);
        let (cursor, known) = (received.ack.cursor, last.ack.cursor);
        if cursor.epoch != known.epoch || cursor.seq > known.seq {
            *last = received;
        }
    }
    furthest.into_values()
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
