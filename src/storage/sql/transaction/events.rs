//! The last thing a transaction does: give its events the next numbers of their rooms.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::control::ControlEvent;
use crate::domain::cursor::Cursor;
use crate::domain::event::{Announcement, EventKind, Notification, PendingEvent};
use crate::domain::ids::{EventId, OrderId};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::{EventData, RoomEvent};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{NotificationRow, RoomEventRow, corrupt, cursor, parse, seq_column};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

static NOTIFY: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("notifications"),
        "id text, business_id text, kind text, title text, message text, data text, priority text, created_at int",
        "INSERT INTO notifications (id, business_id, kind, title, message, data, priority, created_at) \
         SELECT r.id, r.business_id, r.kind, r.title, r.message, r.data, r.priority, r.created_at FROM {rows}",
    )
});

// Takes the rooms' locks in the order of their names: lanes that share rooms wait, and never in a circle.
static NUMBER: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("room_seq"),
        "room text, n int",
        "INSERT INTO room_seq (room, epoch, seq) \
         SELECT r.room, h.epoch, r.n FROM {rows} CROSS JOIN hub h WHERE true ORDER BY r.room \
         ON CONFLICT (room) DO UPDATE SET seq = room_seq.seq + excluded.seq \
         RETURNING room, epoch, seq",
    )
});

static INSERT: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("room_events"),
        "room text, epoch int, seq int, id text, kind text, at int, data text, order_id text",
        "INSERT INTO room_events (room, epoch, seq, id, kind, at, data, order_id) \
         SELECT r.room, r.epoch, r.seq, r.id, r.kind, r.at, r.data, r.order_id FROM {rows}",
    )
});

/// Everything a transaction tells, in the order of its commands.
#[derive(Default)]
pub(super) struct Emitted {
    pub(super) notifications: Vec<Notification>,
    pub(super) events: Vec<PendingEvent>,
}

impl Emitted {
    pub(super) fn add(&mut self, announcement: Announcement) {
        self.notifications.extend(announcement.notification);
        self.events.extend(announcement.events);
    }
}

#[derive(Serialize)]
struct RoomRow {
    room: RoomId,
    n: u64,
}

#[derive(FromRow)]
struct RoomRead {
    room: String,
    epoch: i64,
    seq: i64,
}

pub(super) async fn write_notifications(
    connection: &mut Connection,
    notifications: &[Notification],
) -> Result<(), TxError> {
    if notifications.is_empty() {
        return Ok(());
    }
    let rows: Vec<NotificationRow> = notifications.iter().map(NotificationRow::of).collect();
    connection.execute(&NOTIFY, &[Arg::rows(&rows)]).await.map(drop)
}

/// An event as it is stored, without its number.
struct Unnumbered {
    id: EventId,
    room: RoomId,
    kind: EventKind,
    at: Timestamp,
    data: EventData,
    order: Option<OrderId>,
}

impl From<PendingEvent> for Unnumbered {
    fn from(event: PendingEvent) -> Self {
        let (kind, data) = (event.payload.event_type().into(), EventData::from(&event.payload));
        let PendingEvent { id, room, at, order, .. } = event;
        Self { id, room, kind, at, data, order }
    }
}

impl From<&ControlEvent> for Unnumbered {
    fn from(event: &ControlEvent) -> Self {
        let ControlEvent { id, at, change } = *event;
        let (kind, data) = (change.kind().as_str().into(), EventData::from(change));
        Self { id, room: RoomId::Control, kind, at, data, order: None }
    }
}

/// Numbers and stores the events. Events of one room keep their order.
pub(super) async fn number(
    connection: &mut Connection,
    events: Vec<PendingEvent>,
    control: &[ControlEvent],
) -> Result<Vec<RoomEvent>, TxError> {
    if events.is_empty() && control.is_empty() {
        return Ok(Vec::new());
    }
    let events: Vec<Unnumbered> =
        events.into_iter().map(Into::into).chain(control.iter().map(Into::into)).collect();
    let mut next = reserve(connection, &events).await?;
    let (mut numbered, mut rows) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
    for event in events {
        let position = next.get_mut(&event.room).ok_or_else(|| corrupt("room_seq.room"))?;
        position.seq += 1;
        rows.push(RoomEventRow {
            room: event.room.to_string(),
            epoch: position.epoch.value().into(),
            seq: seq_column(position.seq),
            id: event.id.to_string(),
            kind: event.kind.as_str().to_owned(),
            at: event.at.as_micros(),
            data: event.data.as_str().to_owned(),
            order_id: event.order.map(|order| order.to_string()),
        });
        let Unnumbered { id, room, kind, at, data, .. } = event;
        numbered.push(RoomEvent { room, cursor: *position, id, kind, at, data });
    }
    connection.execute(&INSERT, &[Arg::rows(&rows)]).await?;
    Ok(numbered)
}

/// Takes numbers for these events, which locks their rooms, and returns the position before the first number of each room.
async fn reserve(
    connection: &mut Connection,
    events: &[Unnumbered],
) -> Result<HashMap<RoomId, Cursor>, TxError> {
    let mut counts: BTreeMap<RoomId, u64> = BTreeMap::new();
    for event in events {
        *counts.entry(event.room).or_default() += 1;
    }
    let rows: Vec<RoomRow> = counts.iter().map(|(room, n)| RoomRow { room: *room, n: *n }).collect();
    let mut next: HashMap<RoomId, Cursor> = HashMap::with_capacity(rows.len());
    for read in connection.fetch::<RoomRead>(&NUMBER, &[Arg::rows(&rows)]).await? {
        let room = parse("room_seq.room", &read.room)?;
        let last = cursor(read.epoch, read.seq)?;
        let taken = counts.get(&room).ok_or_else(|| corrupt("room_seq.room"))?;
        let before = last.seq.checked_sub(*taken).ok_or_else(|| corrupt("room_seq.seq"))?;
        next.insert(room, Cursor::new(last.epoch, before));
    }
    Ok(next)
}
