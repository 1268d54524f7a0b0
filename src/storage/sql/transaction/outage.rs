//! The sign of life of all nodes, and the grace after a time in which there was none.

use sqlx_macros::FromRow;

use crate::domain::saga::{Clocks, Grace};
use crate::domain::time::Timestamp;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::corrupt;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

static READ: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("hub"),
        "SELECT alive_at, outage_ended_at, grace_until, held_since FROM hub WHERE id = 1",
    )
});

// One transaction ends an outage: the others wait for it here, find the sign of life renewed, and read what it wrote.
static RENEW: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("hub"),
        "UPDATE hub SET alive_at = $1, \
             outage_ended_at = CASE WHEN alive_at < $3 THEN $1 ELSE outage_ended_at END, \
             grace_until = CASE WHEN alive_at < $3 THEN $4 ELSE grace_until END \
         WHERE id = 1 AND (alive_at IS NULL OR alive_at < $2)",
    )
});

#[derive(FromRow)]
struct HubRow {
    alive_at: Option<i64>,
    outage_ended_at: Option<i64>,
    grace_until: Option<i64>,
    held_since: Option<i64>,
}

/// What the row of the hub says to those who fire deadlines.
#[derive(Clone, Copy, Default)]
pub(super) struct HubFacts {
    /// The grace that holds since the last outage.
    pub(super) grace: Option<Grace>,
    /// The orders placed until then are those of a restored copy that is held.
    pub(super) held_since: Option<Timestamp>,
}

/// A sign of life is renewed when it is older than this part of the time that makes an outage: the row is one for all lanes.
const RENEWED_IN: u32 = 8;

/// Notes that a node writes at `now`, and gives what is to be known of the hub. It is the first lock a transaction takes.
pub(super) async fn alive(
    connection: &mut Connection,
    clocks: &Clocks,
    now: Timestamp,
) -> Result<HubFacts, TxError> {
    let mut hub = read(connection).await?;
    let renewed_before = now.minus(clocks.outage / RENEWED_IN);
    if hub.alive_at.is_none_or(|alive| Timestamp::from_micros(alive) < renewed_before) {
        let micros = |at: Timestamp| Arg::Int(at.as_micros());
        let outage_before = now.minus(clocks.outage);
        let args =
            [micros(now), micros(renewed_before), micros(outage_before), micros(now.plus(clocks.grace))];
        connection.execute(&RENEW, &args).await?;
        hub = read(connection).await?;
    }
    let grace = hub.outage_ended_at.zip(hub.grace_until).map(|(ended, until)| Grace {
        outage_ended_at: Timestamp::from_micros(ended),
        until: Timestamp::from_micros(until),
    });
    Ok(HubFacts { grace, held_since: hub.held_since.map(Timestamp::from_micros) })
}

async fn read(connection: &mut Connection) -> Result<HubRow, TxError> {
    let row: Option<HubRow> = connection.fetch_first(&READ, &[]).await?;
    Ok(row.ok_or_else(|| corrupt("hub"))?)
}
