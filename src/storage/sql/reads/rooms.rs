//! Histories of rooms and the positions of devices in them.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::cursor::{Epoch, Head};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::RoomEvent;
use crate::storage::commands::DeviceAck;
use crate::storage::error::StoreError;
use crate::storage::ports::RoomReads;
use crate::storage::sql::rows::{
    RoomEventRow, corrupt, cursor, number, parse, report_unreadable, seq_column,
};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

static EPOCH: LazyStatement =
    LazyStatement::new(|| Statement::new(Operation::Select("hub"), "SELECT epoch FROM hub WHERE id = 1"));

// The event at the head is found by its key, for one room at a time: a join could read every event there is.
static HEADS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("hub"),
        "SELECT h.epoch AS hub, s.room AS room, s.epoch AS epoch, s.seq AS seq, \
         (SELECT e.id FROM room_events e WHERE e.room = s.room AND e.epoch = s.epoch AND e.seq = s.seq) AS last \
         FROM hub h LEFT JOIN room_seq s ON s.room = {any} WHERE h.id = 1",
    )
});

// Only of the room's present epoch: numbers of another one count something else.
static EVENTS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("room_seq"),
        "SELECT e.room, e.epoch, e.seq, e.id, e.kind, e.at, e.data, e.order_id FROM room_seq s \
         JOIN room_events e ON e.room = s.room AND e.epoch = s.epoch \
         WHERE s.room = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3",
    )
});

static ACK: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("device_acks"),
        "SELECT user_id, epoch, seq, at FROM device_acks WHERE room = $1 AND device = $2",
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] = &[&EPOCH, &HEADS, &EVENTS, &ACK];

#[derive(FromRow)]
struct EpochRow {
    epoch: i64,
}

/// A room's head, or nothing of a room when none of them has a row.
#[derive(FromRow)]
struct HeadRow {
    hub: i64,
    room: Option<String>,
    epoch: Option<i64>,
    seq: Option<i64>,
    last: Option<String>,
}

#[derive(FromRow)]
struct AckRead {
    user_id: String,
    epoch: i64,
    seq: i64,
    at: i64,
}

#[async_trait]
impl RoomReads for SqlStore {
    async fn epoch(&self) -> Result<Epoch, StoreError> {
        let row: Option<EpochRow> = self.fetch_first(&EPOCH, &[]).await?;
        let row = row.ok_or_else(|| corrupt("hub"))?;
        Ok(Epoch::new(number("hub.epoch", row.epoch)?))
    }

    async fn head(&self, room: RoomId) -> Result<Head, StoreError> {
        self.heads(&[room]).await?.pop().map(|(_, head)| head).ok_or_else(|| corrupt("hub"))
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Head)>, StoreError> {
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<HeadRow> = self.fetch(&HEADS, &[Arg::texts(rooms)]).await?;
        let hub = rows.first().ok_or_else(|| corrupt("hub"))?.hub;
        let mut found: HashMap<RoomId, Head> = HashMap::with_capacity(rows.len());
        for row in rows {
            let (Some(room), Some(epoch), Some(seq)) = (row.room, row.epoch, row.seq) else { continue };
            // An id that cannot be read is not known, as that of an event past its retention: it keeps nobody out of the room.
            let last = row.last.and_then(|id| id.parse().ok());
            found.insert(parse("room_seq.room", &room)?, Head { cursor: cursor(epoch, seq)?, last });
        }
        // A room that has no row yet begins in the hub's epoch.
        let begin = Head { cursor: cursor(hub, 0)?, last: None };
        Ok(rooms.iter().map(|room| (*room, found.get(room).copied().unwrap_or(begin))).collect())
    }

    async fn events_after(&self, room: RoomId, after: u64, limit: u32) -> Result<Vec<RoomEvent>, StoreError> {
        let args = [Arg::text(room), Arg::Int(seq_column(after)), Arg::Int(limit.into())];
        let rows: Vec<RoomEventRow> = self.fetch(&EVENTS, &args).await?;
        // Retention takes the oldest: what does not follow on `after` has a hole before it.
        rows.into_iter()
            .zip(after.saturating_add(1)..)
            .take_while(|(row, expected)| row.seq == seq_column(*expected))
            .map(|(row, _)| {
                let seq = row.seq;
                let (event, unreadable) = row.into_event(room)?;
                if let Some(error) = unreadable {
                    report_unreadable(&self.metrics, "room_events", &format!("{room} {seq}"), &error);
                }
                Ok(event)
            })
            .collect()
    }

    async fn device_ack(&self, room: RoomId, device: &str) -> Result<Option<DeviceAck>, StoreError> {
        let row: Option<AckRead> = self.fetch_first(&ACK, &[Arg::text(room), Arg::text(device)]).await?;
        row.map(|row| {
            Ok(DeviceAck {
                room,
                device: device.to_owned(),
                user: parse("device_acks.user_id", &row.user_id)?,
                cursor: cursor(row.epoch, row.seq)?,
                at: Timestamp::from_micros(row.at),
            })
        })
        .transpose()
    }
}
