//! Signs of life of nodes, and what each is told of the others by its own.

use std::time::Duration;

use sqlx_macros::FromRow;

use crate::domain::ids::NodeId;
use crate::domain::node::NodeState;
use crate::domain::time::Timestamp;
use crate::storage::commands::{HubSeen, LeaveHub, NodeBeat, ResetQuotas};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::execute::{Context, Execute};

/// Most businesses of which a node hears at once that a lease of another node has run out.
const LAPSED_AT_ONCE: i64 = 2_000;

/// A node that has been gone for this long has no leases left.
const GONE_FOR: Duration = Duration::from_secs(60);

static BEAT: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("nodes"),
        "INSERT INTO nodes (node, version, schema_version, state, sockets, rooms, started_at, until) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (node) DO UPDATE SET state = excluded.state, sockets = excluded.sockets, rooms = excluded.rooms, \
             until = excluded.until",
    )
});

static LEAVE: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Update("nodes"), "UPDATE nodes SET until = $2 WHERE node = $1 AND until > $2")
});

// With what every node has to know of the hub.
static NODES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("nodes"),
        "SELECT n.node, n.state, n.until, (SELECT h.quota_era FROM hub h WHERE h.id = 1) AS quota_era, \
             (SELECT MAX(m.version) FROM _sqlx_migrations m WHERE m.success) AS schema_version \
         FROM nodes n WHERE n.until > $1 ORDER BY n.node",
    )
});

static NEXT_LAPSE: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("reach_leases"),
        "SELECT MIN(l.until) AS until FROM reach_leases l WHERE l.until > $2 AND l.node = {any}",
    )
});

static LAPSED: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("reach_leases"),
        "SELECT DISTINCT l.business_id, \
             (SELECT CAST(COALESCE(SUM(o.devices), 0) AS BIGINT) FROM reach_leases o \
              WHERE o.business_id = l.business_id AND o.until > $3) AS devices \
         FROM reach_leases l WHERE l.until > $2 AND l.until <= $3 AND l.node = {any} LIMIT $4",
    )
});

static RESET: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("hub"),
        "UPDATE hub SET quota_era = quota_era + 1 WHERE id = 1 RETURNING quota_era",
    )
});

#[derive(FromRow)]
struct NodeRow {
    node: String,
    state: String,
    until: i64,
    quota_era: i64,
    schema_version: Option<i64>,
}

#[derive(FromRow)]
struct EraRow {
    quota_era: i64,
}

#[derive(FromRow)]
struct UntilRow {
    until: Option<i64>,
}

#[derive(FromRow)]
struct LapsedRow {
    business_id: String,
    devices: i64,
}

/// Writes what a node says of itself, for as long as its other leases hold, and reads the others.
pub(super) async fn beat(
    connection: &mut Connection,
    node: NodeId,
    beat: &NodeBeat,
    lease: Duration,
    now: Timestamp,
) -> Result<HubSeen, TxError> {
    let count = |count: u64| Arg::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let facts = &beat.facts;
    let row = [
        Arg::text(node),
        Arg::text(&facts.version),
        Arg::Int(facts.schema_version),
        Arg::text(facts.state),
        count(facts.sockets),
        count(facts.rooms),
        Arg::Int(facts.started_at.as_micros()),
        Arg::Int(now.plus(lease).as_micros()),
    ];
    connection.execute(&BEAT, &row).await?;
    let mut seen = HubSeen { at: now, ..HubSeen::default() };
    let mut late = Vec::new();
    for row in connection.fetch::<NodeRow>(&NODES, &[Arg::Int(now.minus(GONE_FOR).as_micros())]).await? {
        let (id, until) = (parse("nodes.node", &row.node)?, Timestamp::from_micros(row.until));
        seen.quota_era = row.quota_era;
        seen.schema_version = row.schema_version.unwrap_or_default();
        // A state that only a newer release knows counts as well: the node is there.
        if until > now && row.state != NodeState::Draining.as_str() {
            seen.nodes.push(id);
        }
        if id != node && until < now.plus(beat.late) {
            late.push(row.node);
        }
    }
    if !late.is_empty() {
        hear_of_late(connection, &late, beat, &mut seen).await?;
    }
    Ok(seen)
}

/// Reads which leases of these nodes run out next and which have.
async fn hear_of_late(
    connection: &mut Connection,
    late: &[String],
    beat: &NodeBeat,
    seen: &mut HubSeen,
) -> Result<(), TxError> {
    let (late, now) = (Arg::texts(late), Arg::Int(seen.at.as_micros()));
    let next: Option<UntilRow> = connection.fetch_first(&NEXT_LAPSE, &[late.clone(), now.clone()]).await?;
    seen.next_lapse = next.and_then(|row| row.until).map(Timestamp::from_micros);
    if let Some(since) = beat.looked_at {
        let asked = [late, Arg::Int(since.as_micros()), now, Arg::Int(LAPSED_AT_ONCE)];
        for row in connection.fetch::<LapsedRow>(&LAPSED, &asked).await? {
            let business = parse("reach_leases.business_id", &row.business_id)?;
            seen.lapsed.push((business, number("reach_leases.devices", row.devices)?));
        }
    }
    Ok(())
}

impl Execute for LeaveHub {
    type Output = ();

    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let args = [Arg::text(self.node), Arg::Int(cx.now.as_micros())];
        cx.connection.execute(&LEAVE, &args).await.map(drop)
    }
}

impl Execute for ResetQuotas {
    type Output = i64;

    async fn execute(&self, cx: Context<'_>) -> Result<i64, TxError> {
        let row: Option<EraRow> = cx.connection.fetch_first(&RESET, &[]).await?;
        Ok(row.map_or(0, |row| row.quota_era))
    }
}
