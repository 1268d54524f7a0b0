//! Leases of businesses that can be reached, and the pauses that follow from them.
//!
//! Nothing here waits for a row that another transaction holds: what is passed over is found a few seconds later.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::business::{BrakeVerdict, Business, Unreachables};
use crate::domain::event::Announcement;
use crate::domain::hold::{HeldAction, Hold, is_held};
use crate::domain::ids::{BusinessId, EventId, NotificationId};
use crate::domain::json::JsonObject;
use crate::domain::ops::{Alarm, ChangeIds, business_updated};
use crate::domain::saga::{Clocks, OpsAlarm};
use crate::domain::time::Timestamp;
use crate::storage::commands::{LeaseHistory, LeasesRenewed, PauseUnreachable, RenewLeases};
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{BUSINESS_COLUMNS, BUSINESS_IN_USE, BusinessRow, is_in_use, number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::audit::{self, AuditEntry};
use super::execute::{Context, Execute};
use super::nodes;

/// Most businesses that one transaction pauses; the next one is a few seconds later.
const PAUSES_A_TRANSACTION: usize = 200;

/// Most businesses without a device that are looked at: beyond them the brake holds anyway.
const LOOKED_AT: i64 = 10_000;

/// A statement whose locks are `locks` on Postgres; SQLite has one writer, who needs none.
fn locking(operation: Operation, text: &str, locks: &str) -> Statement {
    let postgres = text.replace("{locks}", locks);
    Statement::apart(operation, "", &postgres, &text.replace("{locks}", ""))
}

const UNLESS_LOCKED: &str = "FOR NO KEY UPDATE OF b SKIP LOCKED";

// Businesses whose first device this is, and those that were paused for having none.
static RETURNED: LazyStatement = LazyStatement::new(|| {
    let text = format!(
        "SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id = {{any}} \
         AND (b.can_ring_since IS NULL OR b.unreachable_since IS NOT NULL) ORDER BY b.id {{locks}}"
    );
    locking(Operation::Select("businesses"), &text, UNLESS_LOCKED)
});

static UPDATE: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("businesses"),
        "id text, pauses text, can_ring_since int, unreachable_since int, version int, updated_at int",
        "UPDATE businesses SET pauses = r.pauses, can_ring_since = r.can_ring_since, \
             unreachable_since = r.unreachable_since, version = r.version, updated_at = r.updated_at \
         FROM {rows} WHERE businesses.id = r.id",
    )
});

static RENEW: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("reach_leases"),
        "business text, devices int",
        "INSERT INTO reach_leases (business_id, node, devices, until) \
         SELECT r.business, $2, r.devices, $3 FROM {rows} WHERE true ORDER BY r.business \
         ON CONFLICT (business_id, node) DO UPDATE SET devices = excluded.devices, until = excluded.until",
    )
});

// Another node that says the same at this moment says it for all. The grace after an outage is that of `outage.rs`.
static ALIVE: LazyStatement = LazyStatement::new(|| {
    let text = "UPDATE hub SET alive_at = CASE WHEN alive_at > $1 THEN alive_at ELSE $1 END, \
             outage_ended_at = CASE WHEN alive_at < $2 THEN $1 ELSE outage_ended_at END, \
             grace_until = CASE WHEN alive_at < $2 THEN $3 ELSE grace_until END, \
             leases_since = CASE WHEN leases_since IS NULL OR leases_at < $4 OR $5 THEN $1 ELSE leases_since END, \
             leases_at = $1 \
         WHERE id IN (SELECT h.id FROM hub h WHERE h.id = 1 {locks})";
    locking(Operation::Update("hub"), text, "FOR NO KEY UPDATE SKIP LOCKED")
});

static DEVICES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("reach_leases"),
        "SELECT l.business_id, CAST(SUM(l.devices) AS BIGINT) AS devices FROM reach_leases l \
         WHERE l.business_id = {any} AND l.until > $2 GROUP BY l.business_id",
    )
});

// Those of which a device could ring once, and none can now.
static UNREACHABLE: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!(
            "SELECT {BUSINESS_COLUMNS}, (SELECT MAX(l.until) FROM reach_leases l WHERE l.business_id = b.id) AS last_lease, \
                 {} AS in_use FROM businesses b WHERE b.can_ring_since IS NOT NULL AND b.unreachable_since IS NULL \
             AND b.state <> 'closed' AND b.reach = 'devices' \
             AND NOT EXISTS (SELECT 1 FROM reach_leases l WHERE l.business_id = b.id AND l.until > $1) \
             ORDER BY b.id LIMIT $2",
            is_in_use("$3")
        ),
    )
});

static STANDING: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("hub"),
        &format!(
            "SELECT h.leases_since, h.brake_alarmed_at, \
                 (SELECT COUNT(*) FROM businesses b WHERE b.state IN ('open', 'busy') AND b.pauses IS NULL AND {in_use}) AS open, \
                 (SELECT COUNT(*) FROM businesses b WHERE b.unreachable_since > $1 AND {in_use}) AS recent \
             FROM hub h WHERE h.id = 1",
            in_use = is_in_use("$2")
        ),
    )
});

// A pause that has ended by time stays in the row until the next change: whether it holds is decided here.
static PAUSED: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!(
            "SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.state <> 'closed' \
             AND (b.pauses IS NOT NULL OR b.state = 'paused') AND {} ORDER BY b.id LIMIT $2",
            is_in_use("$1")
        ),
    )
});

static HOLDS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("holds"),
        "SELECT h.scope, h.until FROM holds h WHERE h.what = $1 AND h.until > $2",
    )
});

static STILL: LazyStatement = LazyStatement::new(|| {
    let text = format!(
        "SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id = {{any}} AND b.unreachable_since IS NULL \
         AND NOT EXISTS (SELECT 1 FROM reach_leases l WHERE l.business_id = b.id AND l.until > $2) \
         ORDER BY b.id {{locks}}"
    );
    locking(Operation::Select("businesses"), &text, UNLESS_LOCKED)
});

static BRAKED: LazyStatement = LazyStatement::new(|| {
    let text = "UPDATE hub SET brake_alarmed_at = $1 \
         WHERE id IN (SELECT h.id FROM hub h WHERE h.id = 1 AND h.brake_alarmed_at IS NULL {locks})";
    locking(Operation::Update("hub"), text, "FOR NO KEY UPDATE SKIP LOCKED")
});

static RELEASED: LazyStatement = LazyStatement::new(|| {
    let text = "UPDATE hub SET brake_alarmed_at = NULL \
         WHERE id IN (SELECT h.id FROM hub h WHERE h.id = 1 AND h.brake_alarmed_at IS NOT NULL {locks})";
    locking(Operation::Update("hub"), text, "FOR NO KEY UPDATE SKIP LOCKED")
});

#[derive(Serialize)]
struct ReachRow {
    id: BusinessId,
    pauses: Option<String>,
    can_ring_since: Option<i64>,
    unreachable_since: Option<i64>,
    version: i64,
    updated_at: i64,
}

#[derive(FromRow)]
struct DevicesRow {
    business_id: String,
    devices: i64,
}

#[derive(FromRow)]
struct UnreachableRow {
    #[sqlx(flatten)]
    business: BusinessRow,
    last_lease: Option<i64>,
    in_use: bool,
}

#[derive(FromRow)]
struct StandingRow {
    leases_since: Option<i64>,
    brake_alarmed_at: Option<i64>,
    open: i64,
    recent: i64,
}

#[derive(FromRow)]
struct HoldRow {
    scope: String,
    until: i64,
}

impl Execute for RenewLeases {
    type Output = LeasesRenewed;

    async fn execute(&self, cx: Context<'_>) -> Result<LeasesRenewed, TxError> {
        let Context { connection, now, told, .. } = cx;
        let named: Vec<BusinessId> = self.leases.iter().map(|lease| lease.business).collect();
        if !named.is_empty() {
            welcome(connection, &named, now, told).await?;
            let until = now.plus(self.lease).as_micros();
            let args = [Arg::rows(&self.leases), Arg::text(self.node), Arg::Int(until)];
            connection.execute(&RENEW, &args).await?;
        }
        let broken = self.history == LeaseHistory::Broken;
        let alive = [
            Arg::Int(now.as_micros()),
            Arg::Int(now.minus(self.clocks.outage).as_micros()),
            Arg::Int(now.plus(self.clocks.grace).as_micros()),
            Arg::Int(now.minus(self.lease).as_micros()),
            Arg::Bool(broken),
        ];
        connection.execute(&ALIVE, &alive).await?;
        let asked = named.iter().chain(&self.lapsed);
        let asked = [Arg::texts(asked), Arg::Int(now.as_micros())];
        let mut devices = HashMap::new();
        for row in connection.fetch::<DevicesRow>(&DEVICES, &asked).await? {
            let business = parse("reach_leases.business_id", &row.business_id)?;
            devices.insert(business, number("reach_leases.devices", row.devices)?);
        }
        let hub = match &self.beat {
            Some(beat) => Some(Box::new(nodes::beat(connection, self.node, beat, self.lease, now).await?)),
            None => None,
        };
        Ok(LeasesRenewed { devices: Some(devices), hub })
    }
}

/// Ends the pauses of businesses that are reachable again, and notes the first device of each.
async fn welcome(
    connection: &mut Connection,
    reachable: &[BusinessId],
    now: Timestamp,
    told: &mut Vec<Announcement>,
) -> Result<(), TxError> {
    let (mut returned, mut resumed) = (Vec::new(), Vec::new());
    for row in connection.fetch::<BusinessRow>(&RETURNED, &[Arg::texts(reachable)]).await? {
        let mut business = row.into_business_without_contact()?;
        business.alerts.can_ring_since.get_or_insert(now);
        if business.resume_as_reachable(now) {
            resumed.push(AuditEntry::trading(None, &business, now));
            told.push(updated(&business, now));
            let message = format!("A device of {} can ring again.", business.name);
            told.push(alarm(
                OpsAlarm::BusinessResumed,
                Some(&business),
                "Business reachable again",
                message,
                now,
            ));
        }
        returned.push(business);
    }
    store(connection, &returned, None).await?;
    audit::record(connection, resumed, now).await
}

/// Stores what this file changes of businesses; `since` is when they became unreachable.
async fn store(
    connection: &mut Connection,
    businesses: &[Business],
    since: Option<Timestamp>,
) -> Result<(), TxError> {
    if businesses.is_empty() {
        return Ok(());
    }
    let row = |business: &Business| ReachRow {
        id: business.id,
        pauses: (business.pauses.iter().next().is_some())
            .then(|| serde_json::to_string(&business.pauses).expect("pauses are words and times")),
        can_ring_since: business.alerts.can_ring_since.map(Timestamp::as_micros),
        unreachable_since: since.map(Timestamp::as_micros),
        version: business.version,
        updated_at: business.updated_at.as_micros(),
    };
    let rows: Vec<ReachRow> = businesses.iter().map(row).collect();
    connection.execute(&UPDATE, &[Arg::rows(&rows)]).await.map(drop)
}

fn updated(business: &Business, now: Timestamp) -> Announcement {
    business_updated(
        business,
        ChangeIds { in_business: EventId::generate(), in_ops: EventId::generate() },
        now,
    )
}

fn alarm(
    kind: OpsAlarm,
    business: Option<&Business>,
    title: &str,
    message: String,
    now: Timestamp,
) -> Announcement {
    let alarm = Alarm {
        kind,
        business: business.map(|business| business.id),
        title: title.to_owned(),
        message,
        data: JsonObject::default(),
    };
    alarm.announce(EventId::generate(), NotificationId::generate(), now)
}

impl Execute for PauseUnreachable {
    type Output = ();

    async fn execute(&self, cx: Context<'_>) -> Result<(), TxError> {
        let Context { connection, now, told, .. } = cx;
        let clocks = &self.clocks;
        if clocks.unreachable.is_zero() {
            return Ok(());
        }
        let Unreachable { at_risk, counted, due } = unreachable(connection, clocks.unreachable, now).await?;
        if due.is_empty() && at_risk < clocks.brake_least {
            // Nearly always: nothing to count.
            return connection.execute(&RELEASED, &[]).await.map(drop);
        }
        let since = Arg::Int(now.minus(clocks.unreachable).as_micros());
        let used_since = Arg::Int(now.minus(BUSINESS_IN_USE).as_micros());
        let standing: Option<StandingRow> = connection.fetch_first(&STANDING, &[since, used_since]).await?;
        let Some(standing) = standing else { return Ok(()) };
        let began = standing.leases_since.map(Timestamp::from_micros);
        let in_doubt = began.is_none_or(|began| now < began.plus(clocks.unreachable));
        let open: u32 = number("businesses", standing.open)?;
        let verdict = Unreachables {
            open: open.saturating_add(open_after_pauses(connection, now).await?),
            candidates: at_risk,
            recent: number("businesses", standing.recent)?,
            in_doubt,
        }
        .verdict(clocks);
        if in_doubt || verdict == BrakeVerdict::Brake {
            return brake(connection, clocks, at_risk, counted, now, told).await;
        }
        if standing.brake_alarmed_at.is_some() {
            connection.execute(&RELEASED, &[]).await?;
        }
        pause(connection, due, now, told).await
    }
}

/// Businesses that take orders and that no device can ring for.
#[derive(Default)]
struct Unreachable {
    /// Those in use.
    at_risk: u32,
    /// Those in use among `due`.
    counted: usize,
    /// Those for which that has been so for long enough.
    due: Vec<Business>,
}

/// Looks for them; due are those without a device for `within`.
async fn unreachable(
    connection: &mut Connection,
    within: Duration,
    now: Timestamp,
) -> Result<Unreachable, TxError> {
    let used_since = Arg::Int(now.minus(BUSINESS_IN_USE).as_micros());
    let args = [Arg::Int(now.as_micros()), Arg::Int(LOOKED_AT), used_since];
    let mut found = Unreachable::default();
    for row in connection.fetch::<UnreachableRow>(&UNREACHABLE, &args).await? {
        let (in_use, business) = (row.in_use, row.business.into_business_without_contact()?);
        let Some(since) = business.unreachable_since(row.last_lease.map(Timestamp::from_micros), now) else {
            continue;
        };
        found.at_risk += u32::from(in_use);
        if since.plus(within) <= now {
            found.counted += usize::from(in_use);
            found.due.push(business);
        }
    }
    Ok(found)
}

/// How many businesses in use take orders again because their pauses have ended by time.
async fn open_after_pauses(connection: &mut Connection, now: Timestamp) -> Result<u32, TxError> {
    let args = [Arg::Int(now.minus(BUSINESS_IN_USE).as_micros()), Arg::Int(LOOKED_AT)];
    let mut open = 0;
    for row in connection.fetch::<BusinessRow>(&PAUSED, &args).await? {
        open += u32::from(row.into_business_without_contact()?.takes_orders(now).is_ok());
    }
    Ok(open)
}

/// Pauses none, and tells operators once, when some would have been paused. A few in doubt are not worth a word: they are paused
/// when the doubt is over.
async fn brake(
    connection: &mut Connection,
    clocks: &Clocks,
    at_risk: u32,
    due: usize,
    now: Timestamp,
    told: &mut Vec<Announcement>,
) -> Result<(), TxError> {
    if due == 0 || at_risk < clocks.brake_least {
        return Ok(());
    }
    if connection.execute(&BRAKED, &[Arg::Int(now.as_micros())]).await? > 0 {
        let message = format!(
            "{at_risk} businesses that take orders have no device that can ring. None is paused by machine meanwhile."
        );
        told.push(alarm(
            OpsAlarm::BusinessPaused,
            None,
            "Too many businesses unreachable at once",
            message,
            now,
        ));
    }
    Ok(())
}

/// Pauses those that nobody holds and that are still unreachable.
async fn pause(
    connection: &mut Connection,
    mut due: Vec<Business>,
    now: Timestamp,
    told: &mut Vec<Announcement>,
) -> Result<(), TxError> {
    if due.is_empty() {
        return Ok(());
    }
    let held = holds(connection, now).await?;
    due.retain(|business| !is_held(&held, HeldAction::AutoPause, business.id, &business.zone, now));
    due.truncate(PAUSES_A_TRANSACTION);
    let ids = due.iter().map(|business| business.id);
    let args = [Arg::texts(ids), Arg::Int(now.as_micros())];
    let mut paused = Vec::new();
    for row in connection.fetch::<BusinessRow>(&STILL, &args).await? {
        let mut business = row.into_business_without_contact()?;
        if business.takes_orders(now).is_err() {
            continue;
        }
        business.pause_as_unreachable(now);
        told.push(updated(&business, now));
        let message = format!("No device of {} can ring. It takes no orders until one can.", business.name);
        told.push(alarm(OpsAlarm::BusinessPaused, Some(&business), "Business unreachable", message, now));
        paused.push(business);
    }
    store(connection, &paused, Some(now)).await?;
    audit::record(connection, paused.iter().map(|business| AuditEntry::trading(None, business, now)), now)
        .await
}

async fn holds(connection: &mut Connection, now: Timestamp) -> Result<Vec<Hold>, TxError> {
    let what = HeldAction::AutoPause;
    let args = [Arg::text(what), Arg::Int(now.as_micros())];
    let rows: Vec<HoldRow> = connection.fetch(&HOLDS, &args).await?;
    let hold = |row: HoldRow| {
        let scope = parse("holds.scope", &row.scope)?;
        Ok(Hold { what, scope, until: Timestamp::from_micros(row.until), reason: String::new() })
    };
    rows.into_iter().map(hold).collect()
}
