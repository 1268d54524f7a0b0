//! The delivery in the timeline of an order: how it stands, who was asked, and what was reported.

use sqlx_macros::FromRow;

use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
use crate::storage::ports::{TimelineEntry, TimelineEvent};
use crate::storage::sql::rows::{number, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};
use crate::storage::sql::store::SqlStore;

static DELIVERY: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("deliveries"),
        "SELECT id, status, driver_id, reason, created_at FROM deliveries WHERE order_id = $1",
    )
});

static OFFERS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("offers"),
        "SELECT driver_id, wave, state, reason, created_at, ended_at FROM offers WHERE order_id = $1 \
         ORDER BY created_at, id LIMIT 500",
    )
});

static STEPS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("delivery_steps"),
        "SELECT step, party, user_id, at, said_at, late, far_m, reason, proof FROM delivery_steps WHERE order_id = $1 \
         ORDER BY n LIMIT 500",
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(in crate::storage::sql::reads) const STATEMENTS: &[&LazyStatement] = &[&DELIVERY, &OFFERS, &STEPS];

#[derive(FromRow)]
struct DeliveryRead {
    id: String,
    status: String,
    driver_id: Option<String>,
    reason: Option<String>,
    created_at: i64,
}

#[derive(FromRow)]
struct OfferRead {
    driver_id: String,
    wave: i64,
    state: String,
    reason: Option<String>,
    created_at: i64,
    ended_at: Option<i64>,
}

#[derive(FromRow)]
struct StepRead {
    step: String,
    party: String,
    user_id: Option<String>,
    at: i64,
    said_at: Option<i64>,
    late: bool,
    far_m: Option<i64>,
    reason: Option<String>,
    proof: Option<String>,
}

/// Its delivery, the offers of it, and the steps.
pub(super) async fn delivery(store: &SqlStore, args: &[Arg]) -> Result<Vec<TimelineEntry>, StoreError> {
    let mut entries = Vec::new();
    let entry = |at, what| TimelineEntry { at: Timestamp::from_micros(at), what };
    let Some(row) = store.fetch_first::<DeliveryRead>(&DELIVERY, args).await? else { return Ok(entries) };
    let what = TimelineEvent::Delivery {
        delivery: parse("deliveries.id", &row.id)?,
        status: parse("deliveries.status", &row.status)?,
        driver: row.driver_id.map(|driver| parse("deliveries.driver_id", &driver)).transpose()?,
        reason: row.reason.map(|reason| parse("deliveries.reason", &reason)).transpose()?,
    };
    entries.push(entry(row.created_at, what));
    for row in store.fetch::<OfferRead>(&OFFERS, args).await? {
        let what = TimelineEvent::Offered {
            driver: parse("offers.driver_id", &row.driver_id)?,
            wave: number("offers.wave", row.wave)?,
            state: parse("offers.state", &row.state)?,
            reason: row.reason,
            ended_at: row.ended_at.map(Timestamp::from_micros),
        };
        entries.push(entry(row.created_at, what));
    }
    for row in store.fetch::<StepRead>(&STEPS, args).await? {
        let what = TimelineEvent::Stepped {
            step: parse("delivery_steps.step", &row.step)?,
            party: parse("delivery_steps.party", &row.party)?,
            user: row.user_id.map(|user| parse("delivery_steps.user_id", &user)).transpose()?,
            said_at: row.said_at.map(Timestamp::from_micros),
            late: row.late,
            far_m: row.far_m,
            reason: row.reason,
            proof: row.proof,
        };
        entries.push(entry(row.at, what));
    }
    Ok(entries)
}
