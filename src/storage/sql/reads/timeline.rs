//! Timelines of orders.

use sqlx_macros::FromRow;

use crate::domain::ids::OrderId;
use crate::domain::order::Party;
use crate::domain::time::Timestamp;
use crate::storage::commands::MarkKind;
use crate::storage::error::StoreError;
use crate::storage::ports::{TimelineEntry, TimelineEvent};
use crate::storage::sql::rows::{corrupt, number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

pub(super) mod deliveries;

static MOVES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_events"),
        "SELECT from_status, to_status, party, user_id, reason, at FROM order_events WHERE order_id = $1 \
         ORDER BY version",
    )
});

// However many devices and events there were, nobody reads more of them than this.
static ACKS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_acks"),
        "SELECT device, user_id, at FROM order_acks WHERE order_id = $1 ORDER BY device LIMIT 500",
    )
});

static MARKS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("device_marks"),
        "SELECT device, user_id, kind, at FROM device_marks WHERE order_id = $1 ORDER BY at, device LIMIT 500",
    )
});

static EDITS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_edits"),
        "SELECT fields, party, user_id, at FROM order_edits WHERE order_id = $1 ORDER BY edit LIMIT 500",
    )
});

static LIFE: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("orders"),
        "SELECT o.deadline_at, s.rings, s.first_ring_at, s.last_ring_at FROM orders o \
         LEFT JOIN order_sagas s ON s.order_id = o.id WHERE o.id = $1",
    )
});

static RUNGS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("intents"),
        "SELECT channel, rung, state, created_at FROM intents WHERE order_id = $1 ORDER BY created_at, rung, channel LIMIT 500",
    )
});

static PAYMENTS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("payments"),
        "SELECT id, way, state, amount_minor, captured_minor, user_id, created_at FROM payments WHERE order_id = $1 \
         ORDER BY created_at, id LIMIT 500",
    )
});

static REFUNDS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("refunds"),
        "SELECT id, amount_minor, cause, way, state, attempt, reason, user_id, created_at FROM refunds WHERE order_id = $1 \
         ORDER BY created_at, id LIMIT 500",
    )
});

static MESSAGES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("payment_messages"),
        "SELECT state, attempts, created_at FROM payment_messages WHERE order_id = $1 ORDER BY created_at, id LIMIT 500",
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&LazyStatement] =
    &[&MOVES, &ACKS, &MARKS, &EDITS, &LIFE, &RUNGS, &PAYMENTS, &REFUNDS, &MESSAGES];

#[derive(FromRow)]
struct MoveRow {
    from_status: Option<String>,
    to_status: String,
    party: String,
    user_id: Option<String>,
    reason: Option<String>,
    at: i64,
}

#[derive(FromRow)]
struct AckRow {
    device: String,
    user_id: Option<String>,
    at: i64,
}

#[derive(FromRow)]
struct MarkRow {
    device: String,
    user_id: String,
    kind: String,
    at: i64,
}

#[derive(FromRow)]
struct EditRow {
    fields: String,
    party: String,
    user_id: Option<String>,
    at: i64,
}

#[derive(FromRow)]
struct LifeRow {
    deadline_at: Option<i64>,
    rings: Option<i64>,
    first_ring_at: Option<i64>,
    last_ring_at: Option<i64>,
}

#[derive(FromRow)]
struct RungRow {
    channel: String,
    rung: String,
    state: String,
    created_at: i64,
}

#[derive(FromRow)]
struct PaymentRead {
    id: String,
    way: String,
    state: String,
    amount_minor: i64,
    captured_minor: i64,
    user_id: String,
    created_at: i64,
}

#[derive(FromRow)]
struct RefundRead {
    id: String,
    amount_minor: i64,
    cause: String,
    way: String,
    state: String,
    attempt: i64,
    reason: Option<String>,
    user_id: Option<String>,
    created_at: i64,
}

#[derive(FromRow)]
struct MessageRead {
    state: String,
    attempts: i64,
    created_at: i64,
}

pub(in crate::storage::sql) async fn timeline(
    store: &SqlStore,
    order: OrderId,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let args = [Arg::text(order)];
    let mut entries = Vec::new();
    for row in store.fetch::<MoveRow>(&MOVES, &args).await? {
        let party = Party::ALL.into_iter().find(|party| party.as_str() == row.party);
        let what = TimelineEvent::Moved {
            from: row.from_status.map(|from| parse("order_events.from_status", &from)).transpose()?,
            to: parse("order_events.to_status", &row.to_status)?,
            party: party.ok_or_else(|| corrupt("order_events.party"))?,
            user: row.user_id.map(|user| parse("order_events.user_id", &user)).transpose()?,
            reason: row.reason,
        };
        entries.push(TimelineEntry { at: Timestamp::from_micros(row.at), what });
    }
    for row in store.fetch::<AckRow>(&ACKS, &args).await? {
        let user = row.user_id.map(|user| parse("order_acks.user_id", &user)).transpose()?;
        let what = TimelineEvent::Acknowledged { device: row.device, user };
        entries.push(TimelineEntry { at: Timestamp::from_micros(row.at), what });
    }
    for row in store.fetch::<MarkRow>(&MARKS, &args).await? {
        let kind = [MarkKind::Shown, MarkKind::Acted].into_iter().find(|kind| kind.as_str() == row.kind);
        let what = TimelineEvent::Marked {
            kind: kind.ok_or_else(|| corrupt("device_marks.kind"))?,
            device: row.device,
            user: parse("device_marks.user_id", &row.user_id)?,
        };
        entries.push(TimelineEntry { at: Timestamp::from_micros(row.at), what });
    }
    entries.extend(edits(store, &args).await?);
    entries.extend(alert(store, &args).await?);
    entries.extend(deliveries::delivery(store, &args).await?);
    entries.extend(money(store, &args).await?);
    // Stable: moves of one moment stay in the order of their versions.
    entries.sort_by_key(|entry| entry.at);
    Ok(entries)
}

/// Its rings, the use of channels, and the next deadline.
async fn alert(store: &SqlStore, args: &[Arg]) -> Result<Vec<TimelineEntry>, StoreError> {
    let mut entries = Vec::new();
    let entry = |at, what| TimelineEntry { at: Timestamp::from_micros(at), what };
    if let Some(row) = store.fetch_first::<LifeRow>(&LIFE, args).await? {
        if let (Some(rings), Some(first), Some(last)) = (row.rings, row.first_ring_at, row.last_ring_at) {
            let rings = number("order_sagas.rings", rings)?;
            entries.push(entry(first, TimelineEvent::Rang { rings, last: Timestamp::from_micros(last) }));
        }
        entries.extend(row.deadline_at.map(|at| entry(at, TimelineEvent::Deadline)));
    }
    for row in store.fetch::<RungRow>(&RUNGS, args).await? {
        if let (Ok(channel), Ok(rung)) = (row.channel.parse(), row.rung.parse()) {
            entries.push(entry(row.created_at, TimelineEvent::Reached { channel, rung, state: row.state }));
        }
    }
    Ok(entries)
}

/// Changes without a transition.
async fn edits(store: &SqlStore, args: &[Arg]) -> Result<Vec<TimelineEntry>, StoreError> {
    let mut entries = Vec::new();
    for row in store.fetch::<EditRow>(&EDITS, args).await? {
        let what = TimelineEvent::Changed {
            // A word that only a newer release knows is left out.
            fields: row.fields.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
            party: parse("order_edits.party", &row.party)?,
            user: row.user_id.map(|user| parse("order_edits.user_id", &user)).transpose()?,
        };
        entries.push(TimelineEntry { at: Timestamp::from_micros(row.at), what });
    }
    Ok(entries)
}

/// Its payments and refunds, and what the provider said.
async fn money(store: &SqlStore, args: &[Arg]) -> Result<Vec<TimelineEntry>, StoreError> {
    let mut entries = Vec::new();
    let entry = |at, what| TimelineEntry { at: Timestamp::from_micros(at), what };
    for row in store.fetch::<PaymentRead>(&PAYMENTS, args).await? {
        let what = TimelineEvent::Payment {
            payment: parse("payments.id", &row.id)?,
            way: parse("payments.way", &row.way)?,
            state: parse("payments.state", &row.state)?,
            amount_minor: row.amount_minor,
            captured_minor: row.captured_minor,
            user: parse("payments.user_id", &row.user_id)?,
        };
        entries.push(entry(row.created_at, what));
    }
    for row in store.fetch::<RefundRead>(&REFUNDS, args).await? {
        let what = TimelineEvent::Refund {
            refund: parse("refunds.id", &row.id)?,
            amount_minor: row.amount_minor,
            cause: parse("refunds.cause", &row.cause)?,
            way: parse("refunds.way", &row.way)?,
            state: parse("refunds.state", &row.state)?,
            attempts: number("refunds.attempt", row.attempt)?,
            reason: row.reason,
            user: row.user_id.map(|user| parse("refunds.user_id", &user)).transpose()?,
        };
        entries.push(entry(row.created_at, what));
    }
    for row in store.fetch::<MessageRead>(&MESSAGES, args).await? {
        let attempts = number("payment_messages.attempts", row.attempts)?;
        entries.push(entry(row.created_at, TimelineEvent::Message { state: row.state, attempts }));
    }
    Ok(entries)
}
