//! Statements that read drivers, deliveries and offers.

use crate::domain::access::Role;
use crate::domain::delivery::OfferState;
use crate::storage::sql::rows::{DELIVERY_COLUMNS, DRIVER_COLUMNS, OFFER_COLUMNS, ORDER_COLUMNS};
use crate::storage::sql::statement::{LazyStatement, Operation, Statement};

// A driver may have an account and no row yet.
fn drivers(which: &str) -> Statement {
    let role = Role::Driver.as_str();
    Statement::new(
        Operation::Select("users"),
        &format!(
            "SELECT {DRIVER_COLUMNS} FROM users u LEFT JOIN drivers d ON d.user_id = u.id \
             WHERE u.role = '{role}' AND {which}"
        ),
    )
}

pub(super) static DRIVER: LazyStatement = LazyStatement::new(|| drivers("u.id = $1"));

pub(super) static DRIVERS: LazyStatement = LazyStatement::new(|| {
    drivers(
        "u.id > $1 AND ($3 = '' OR EXISTS (SELECT 1 FROM driver_zones z WHERE z.zone = $3 AND z.user_id = u.id)) \
         AND ($4 IS NULL OR COALESCE(d.online, FALSE) = $4) \
         AND (NOT $5 OR NOT u.approved OR d.wanted_zones IS NOT NULL) ORDER BY u.id LIMIT $2",
    )
});

// One look into the index for each zone, however many drivers it has.
pub(super) static ZONES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("driver_zones"),
        "WITH RECURSIVE found(zone) AS (SELECT (SELECT MIN(z.zone) FROM driver_zones z) UNION ALL \
             SELECT (SELECT MIN(z.zone) FROM driver_zones z WHERE z.zone > found.zone) FROM found WHERE found.zone IS NOT NULL) \
         SELECT found.zone FROM found WHERE found.zone IS NOT NULL LIMIT $1",
    )
});

fn pool(from: &str, which: &str) -> Statement {
    let open = OfferState::Open.as_str();
    Statement::new(
        Operation::Select("drivers"),
        &format!(
            "SELECT {DRIVER_COLUMNS}, EXISTS (SELECT 1 FROM offers f WHERE f.driver_id = d.user_id AND f.state = '{open}' {{one}}) AS is_asked \
             FROM {from} JOIN users u ON u.id = d.user_id WHERE {which}"
        ),
    )
}

pub(super) static POOL: LazyStatement = LazyStatement::new(|| {
    pool(
        "driver_zones z JOIN drivers d ON d.user_id = z.user_id",
        "z.zone = $1 AND d.online ORDER BY z.user_id LIMIT $2",
    )
});

pub(super) static CHANGED: LazyStatement =
    LazyStatement::new(|| pool("drivers d", "d.updated_at >= $1 ORDER BY d.updated_at, d.user_id LIMIT $2"));

/// What drivers carry, as far as it ranks them.
pub(super) static JOBS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("deliveries"),
        "SELECT v.driver_id, v.status, o.id, o.business_id, o.ready_at, o.address, v.created_at FROM deliveries v \
         JOIN orders o ON o.id = v.order_id WHERE v.driver_id = {any} AND v.counts ORDER BY v.order_id",
    )
});

fn deliveries(which: &str) -> Statement {
    let text = format!("SELECT {DELIVERY_COLUMNS} FROM deliveries v WHERE {which}");
    Statement::new(Operation::Select("deliveries"), &text)
}

pub(super) static DELIVERY: LazyStatement = LazyStatement::new(|| deliveries("v.id = $1"));

pub(super) static DELIVERIES: LazyStatement = LazyStatement::new(|| deliveries("v.id = {any}"));

pub(super) static CARRIED: LazyStatement =
    LazyStatement::new(|| deliveries("v.driver_id = $1 AND v.counts ORDER BY v.assigned_at, v.id"));

pub(super) static PAST: LazyStatement = LazyStatement::new(|| {
    deliveries(
        "v.driver_id = $1 AND v.ended_at IS NOT NULL AND (v.assigned_at, v.id) < ($2, $3) \
         ORDER BY v.assigned_at DESC, v.id DESC LIMIT $4",
    )
});

// By the end of each; nobody has one for longer than two days.
pub(super) static EARNINGS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("deliveries"),
        "SELECT v.currency, COUNT(*) AS deliveries, CAST(SUM(v.payout_minor) AS BIGINT) AS payout_minor, \
             CAST(COALESCE(SUM(v.collected_minor), 0) AS BIGINT) AS collected_minor FROM deliveries v \
         WHERE v.driver_id = $1 AND v.assigned_at >= $4 AND v.assigned_at < $3 AND v.ended_at >= $2 AND v.ended_at < $3 \
         GROUP BY v.currency ORDER BY v.currency",
    )
});

pub(super) static OFFER: LazyStatement = LazyStatement::new(|| {
    let text = format!("SELECT {OFFER_COLUMNS} FROM offers f WHERE f.id = $1");
    Statement::new(Operation::Select("offers"), &text)
});

pub(super) static OPEN_OFFERS: LazyStatement = LazyStatement::new(|| {
    let open = OfferState::Open.as_str();
    Statement::new(
        Operation::Select("offers"),
        &format!(
            "SELECT {OFFER_COLUMNS} FROM offers f WHERE f.driver_id = $1 AND f.state = '{open}' \
             ORDER BY f.deadline_at, f.id LIMIT 100"
        ),
    )
});

pub(super) static ORDERS: LazyStatement = LazyStatement::new(|| {
    let text = format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = {{any}}");
    Statement::new(Operation::Select("orders"), &text)
});

// From the drivers who are on to their zones, in this order on SQLite.
pub(super) static ONLINE: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("drivers"),
        "SELECT z.zone, COUNT(*) AS drivers FROM drivers d CROSS JOIN driver_zones z \
         WHERE d.online AND z.user_id = d.user_id GROUP BY z.zone ORDER BY z.zone LIMIT $1",
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(in crate::storage::sql::reads) const STATEMENTS: &[&LazyStatement] = &[
    &DRIVER,
    &DRIVERS,
    &ZONES,
    &POOL,
    &CHANGED,
    &JOBS,
    &DELIVERY,
    &DELIVERIES,
    &CARRIED,
    &PAST,
    &EARNINGS,
    &OFFER,
    &OPEN_OFFERS,
    &ORDERS,
    &ONLINE,
];
