//! The store's identity: whether it still has what this node was told is committed, and new epochs for rooms where it
//! has not. A standby that was promoted without the last commits gives the same numbers to other events; in a new epoch
//! no position from before passes for one of now.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::cursor::{Cursor, Epoch};
use crate::domain::ids::EventId;
use crate::domain::room::RoomId;
use crate::storage::commands::{EpochChange, RotateRoom};
use crate::storage::error::StoreError;
use crate::storage::sql::committed_heads::{CommittedHead, CommittedHeads};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{corrupt, cursor, parse, seq_column};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::telemetry::metrics::Metrics;

use super::execute::{Context, Execute};

/// Rooms compared in one statement, some milliseconds.
const COMPARED_AT_ONCE: usize = 1_000;

/// Rooms named in the log.
const NAMED: usize = 5;

// Another epoch than the one remembered was given by somebody who noticed before. An event that is no longer kept says
// nothing, and a room whose numbers have reached the one remembered has it unless another id stands there.
static COMPARE: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Select("room_seq"),
        "room text, epoch int, seq int, id text",
        "SELECT r.room AS room, s.seq AS seq FROM {rows} LEFT JOIN room_seq s ON s.room = r.room \
         WHERE s.room IS NULL OR (s.epoch = r.epoch AND (s.seq < r.seq OR EXISTS (SELECT 1 FROM room_events e \
         WHERE e.room = r.room AND e.epoch = r.epoch AND e.seq = r.seq AND e.id <> r.id)))",
    )
});

static HUB: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("hub"), "UPDATE hub SET epoch = $2 WHERE id = 1 AND epoch = $1")
});

// Locked upwards, as everybody locks rooms.
static LOCK: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("room_seq"),
        "SELECT s.room FROM room_seq s WHERE s.room = {any} ORDER BY s.room {for_update}",
    )
});

static MOVE: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("room_seq"),
        "room text, epoch int",
        "UPDATE room_seq SET epoch = $2 FROM {rows} WHERE room_seq.room = r.room AND room_seq.epoch = r.epoch \
         RETURNING room_seq.room AS room",
    )
});

static HEAD: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("hub"),
        "SELECT COALESCE(s.epoch, h.epoch) AS epoch, COALESCE(s.seq, 0) AS seq FROM hub h \
         LEFT JOIN room_seq s ON s.room = $1 WHERE h.id = 1",
    )
});

#[derive(Serialize)]
struct KnownRow {
    room: RoomId,
    epoch: u32,
    seq: i64,
    id: EventId,
}

#[derive(FromRow)]
struct FoundRead {
    room: String,
    seq: Option<i64>,
}

#[derive(Serialize)]
struct SeenRow {
    room: RoomId,
    epoch: u32,
}

#[derive(FromRow)]
struct RoomRead {
    room: String,
}

#[derive(FromRow)]
struct CursorRead {
    epoch: i64,
    seq: i64,
}

/// Events of a room that the store lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// It ends before what is remembered.
    OlderHead,
    /// It is not there.
    Absent,
    /// Another event has the number.
    OtherEvent,
}

impl Lack {
    /// The word in the metric.
    const fn cause(self) -> &'static str {
        match self {
            Self::OlderHead | Self::Absent => "store_behind",
            Self::OtherEvent => "other_event",
        }
    }
}

/// Compares everything this node was told is committed with what a new connection finds, before it gives a number.
/// Rooms that the store has less of are put into a new epoch, each once however many lanes and nodes notice.
pub(super) async fn compare(
    connection: &mut Connection,
    acknowledged: &CommittedHeads,
    metrics: &Metrics,
) -> Result<(), TxError> {
    let known = acknowledged.all(Instant::now());
    let Some((_, first)) = known.first() else { return Ok(()) };
    let epoch = first.cursor.epoch.successor();
    for piece in known.chunks(COMPARED_AT_ONCE) {
        let lacking = find(connection, piece).await?;
        if lacking.is_empty() {
            continue;
        }
        let names: Vec<String> = lacking.iter().take(NAMED).map(|(room, ..)| room.to_string()).collect();
        // Said before anything is done about it: nobody else may find it later.
        tracing::error!(
            rooms = lacking.len(),
            %epoch,
            some = %names.join(" "),
            "the database lacks events that were acknowledged: it is an older copy. Its rooms go on in a new epoch and \
             clients list anew; orders that were answered with 201 may be gone"
        );
        let seen: Vec<(RoomId, Epoch)> =
            lacking.iter().map(|(room, position, _)| (*room, position.cursor.epoch)).collect();
        connection.begin().await?;
        let moved = rotate(connection, &seen, epoch).await?;
        for (room, _, lack) in &lacking {
            if moved.has(*room, *lack) {
                metrics.epoch_rotations_total.with_label_values(&[lack.cause()]).inc();
            }
        }
        // Nothing of the batch has happened yet: whatever becomes of this, it is looked at again.
        connection.commit().await.map_err(|failure| StoreError::Unavailable(failure.error.to_string()))?;
        let ended: Vec<_> = lacking.into_iter().map(|(room, position, _)| (room, position)).collect();
        acknowledged.forget(&ended);
    }
    Ok(())
}

/// Rooms that were put into a new epoch.
struct Moved {
    hub: bool,
    rooms: HashSet<RoomId>,
}

impl Moved {
    /// Whether the room counts in the new epoch now. One that has no row is in the hub's.
    fn has(&self, room: RoomId, lack: Lack) -> bool {
        self.rooms.contains(&room) || (lack == Lack::Absent && self.hub)
    }
}

async fn find(
    connection: &mut Connection,
    known: &[(RoomId, CommittedHead)],
) -> Result<Vec<(RoomId, CommittedHead, Lack)>, TxError> {
    let row = |(room, position): &(RoomId, CommittedHead)| KnownRow {
        room: *room,
        epoch: position.cursor.epoch.value(),
        seq: seq_column(position.cursor.seq),
        id: position.event,
    };
    let rows: Vec<KnownRow> = known.iter().map(row).collect();
    let mut lacking = Vec::new();
    for read in connection.fetch::<FoundRead>(&COMPARE, &[Arg::rows(&rows)]).await? {
        let room = parse("room_seq.room", &read.room)?;
        let at = known.binary_search_by_key(&room, |(room, _)| *room);
        let (_, position) = known[at.map_err(|_| corrupt("room_seq.room"))?];
        let lack = match read.seq {
            None => Lack::Absent,
            Some(seq) if seq < seq_column(position.cursor.seq) => Lack::OlderHead,
            Some(_) => Lack::OtherEvent,
        };
        lacking.push((room, position, lack));
    }
    Ok(lacking)
}

/// Puts those of the rooms that are still in the epoch seen, and the hub if it is, into `epoch`.
async fn rotate(
    connection: &mut Connection,
    seen: &[(RoomId, Epoch)],
    epoch: Epoch,
) -> Result<Moved, TxError> {
    let new = Arg::Int(epoch.value().into());
    let before: BTreeSet<u32> = seen.iter().map(|(_, epoch)| epoch.value()).collect();
    let mut hub = false;
    for epoch in before {
        hub |= connection.execute(&HUB, &[Arg::Int(epoch.into()), new.clone()]).await? > 0;
    }
    let names = Arg::texts(seen.iter().map(|(room, _)| room));
    connection.fetch::<RoomRead>(&LOCK, &[names]).await?;
    let rows: Vec<SeenRow> =
        seen.iter().map(|(room, epoch)| SeenRow { room: *room, epoch: epoch.value() }).collect();
    let moved: Vec<RoomRead> = connection.fetch(&MOVE, &[Arg::rows(&rows), new]).await?;
    let rooms = moved.iter().map(|row| parse("room_seq.room", &row.room)).collect::<Result<_, _>>()?;
    Ok(Moved { hub, rooms })
}

impl Execute for RotateRoom {
    type Output = EpochChange;

    /// Puts one room into `epoch` if it is still in the one seen. A room that has no row is in the hub's.
    async fn execute(&self, cx: Context<'_>) -> Result<EpochChange, TxError> {
        let Self { room, seen, epoch } = *self;
        let before = head(cx.connection, room).await?;
        if before.epoch != seen {
            return Ok(EpochChange::NotNeeded(before));
        }
        rotate(cx.connection, &[(room, seen)], epoch).await?;
        let after = head(cx.connection, room).await?;
        let made = after.epoch == epoch;
        Ok(if made { EpochChange::Made(after) } else { EpochChange::NotNeeded(after) })
    }
}

async fn head(connection: &mut Connection, room: RoomId) -> Result<Cursor, TxError> {
    let read: Option<CursorRead> = connection.fetch_first(&HEAD, &[Arg::text(room)]).await?;
    let read = read.ok_or_else(|| corrupt("hub"))?;
    Ok(cursor(read.epoch, read.seq)?)
}
