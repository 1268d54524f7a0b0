//! Statements that lock and write deliveries, offers and drivers.

use crate::domain::access::Role;
use crate::domain::delivery::OfferState;
use crate::domain::dispatch::Vehicle;
use crate::storage::sql::rows::{DELIVERY_COLUMNS, DRIVER_COLUMNS, OFFER_COLUMNS};
use crate::storage::sql::statement::{LazyStatement, Operation, Statement, words};

/// A statement whose rows are locked on Postgres; SQLite has one writer, who needs no locks.
fn locking(operation: Operation, columns: &str, text: &str, lock: &str) -> Statement {
    Statement::apart(operation, columns, &format!("{text} {lock}"), text)
}

// The rows of accounts that have said nothing about themselves yet, so that there is something to lock.
pub(super) static MAKE_DRIVERS: LazyStatement = LazyStatement::new(|| {
    let (role, vehicle) = (Role::Driver.as_str(), Vehicle::default().as_str());
    Statement::new(
        Operation::Insert("drivers"),
        &format!(
            "INSERT INTO drivers (user_id, vehicle, capacity, zones, takes_cash, updated_at) \
             SELECT u.id, '{vehicle}', 1, '', TRUE, $2 FROM users u WHERE u.id = {{any}} AND u.role = '{role}' \
             ORDER BY u.id ON CONFLICT (user_id) DO NOTHING"
        ),
    )
});

pub(super) static LOCK_DELIVERIES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("deliveries"),
        &format!(
            "SELECT {DELIVERY_COLUMNS} FROM deliveries v WHERE v.order_id = {{any}} ORDER BY v.id {{for_update}}"
        ),
    )
});

// Of an order, those that say who is asked and who is not asked again; of drivers, the open ones; and those that are answered. Which
// rows these are is found once (on Postgres as an array): a row that somebody has changed while it was waited for is locked and read as it
// is now, instead of being compared with the others again and lost.
pub(super) static LOCK_OFFERS: LazyStatement = LazyStatement::new(|| {
    let open = OfferState::Open.as_str();
    let counting =
        words([OfferState::Open, OfferState::Declined, OfferState::Accepted].map(OfferState::as_str));
    let which = format!(
        "SELECT a.id FROM offers a WHERE a.order_id IN (SELECT r.order_id FROM {{rows}} WHERE r.order_id IS NOT NULL) \
             AND a.state IN ({counting}) \
         UNION ALL SELECT b.id FROM offers b WHERE b.driver_id IN (SELECT r.driver_id FROM {{rows}} WHERE r.driver_id IS NOT NULL) \
             AND b.state = '{open}' \
         UNION ALL SELECT c.id FROM offers c WHERE c.id IN (SELECT r.offer_id FROM {{rows}} WHERE r.offer_id IS NOT NULL)"
    );
    Statement::apart(
        Operation::Select("offers"),
        "order_id text, driver_id text, offer_id text",
        &format!(
            "SELECT {OFFER_COLUMNS} FROM offers f WHERE f.id = ANY(ARRAY({which})) ORDER BY f.id FOR NO KEY UPDATE"
        ),
        &format!("SELECT {OFFER_COLUMNS} FROM offers f WHERE f.id IN ({which}) ORDER BY f.id"),
    )
});

pub(super) static LOCK_DRIVERS: LazyStatement = LazyStatement::new(|| {
    locking(
        Operation::Select("drivers"),
        "",
        &format!(
            "SELECT {DRIVER_COLUMNS} FROM drivers d JOIN users u ON u.id = d.user_id WHERE d.user_id = {{any}} ORDER BY d.user_id"
        ),
        "FOR NO KEY UPDATE OF d",
    )
});

// Drivers who can be set offline now. Rows that somebody holds are passed over: they are looked at again soon.
pub(super) static SILENT_DRIVERS: LazyStatement = LazyStatement::new(|| {
    locking(
        Operation::Select("drivers"),
        "",
        &format!(
            "SELECT {DRIVER_COLUMNS} FROM drivers d JOIN users u ON u.id = d.user_id \
             WHERE d.online AND d.alive_at < $1 ORDER BY d.alive_at LIMIT $2"
        ),
        "FOR NO KEY UPDATE OF d SKIP LOCKED",
    )
});

pub(super) static OPEN_OFFERS: LazyStatement = LazyStatement::new(|| {
    let open = OfferState::Open.as_str();
    locking(
        Operation::Select("offers"),
        "",
        &format!(
            "SELECT {OFFER_COLUMNS} FROM offers f WHERE f.driver_id = {{any}} AND f.state = '{open}' ORDER BY f.id"
        ),
        "FOR NO KEY UPDATE OF f SKIP LOCKED",
    )
});

// Read under the locks of the drivers, and not locked: nobody opens offers for them meanwhile.
pub(super) static ASKED: LazyStatement = LazyStatement::new(|| {
    let open = OfferState::Open.as_str();
    Statement::new(
        Operation::Select("offers"),
        &format!("SELECT f.id, f.driver_id FROM offers f WHERE f.driver_id = {{any}} AND f.state = '{open}'"),
    )
});

// Under the lock of the driver, so that nothing is added meanwhile.
pub(super) static CARRIED: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("deliveries"),
        "SELECT v.order_id, v.business_id FROM deliveries v WHERE v.driver_id = $1 AND v.counts",
    )
});

// Not locked: an offer that is over stays so.
pub(super) static IGNORED: LazyStatement = LazyStatement::new(|| {
    let expired = OfferState::Expired.as_str();
    Statement::new(
        Operation::Select("offers"),
        &format!(
            "SELECT DISTINCT f.order_id, f.driver_id FROM offers f WHERE f.order_id = {{any}} AND f.state = '{expired}'"
        ),
    )
});

const DELIVERY: &str = "id text, status text, driver_id text, counts bool, attempt int, payout_minor int, code_tries int, \
     assigned_at int, at_pickup_at int, picked_up_at int, at_dropoff_at int, ended_at int, reason text, proof text, \
     collected_minor int, updated_at int";

const NEW: &str = "order_id text, business_id text, zone text, currency text, code text, created_at int";

fn names(columns: &str) -> Vec<&str> {
    columns.split(',').filter_map(|column| column.split_whitespace().next()).collect()
}

fn from_rows(columns: &[&str]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!("r.{column}")).collect();
    columns.join(", ")
}

fn settings(columns: &[&str], of: &str) -> String {
    let set: Vec<String> = columns.iter().map(|column| format!("{column} = {of}.{column}")).collect();
    set.join(", ")
}

pub(super) static INSERT_DELIVERIES: LazyStatement = LazyStatement::new(|| {
    let row = format!("{DELIVERY}, {NEW}");
    let columns = names(&row);
    let text = format!(
        "INSERT INTO deliveries ({}) SELECT {} FROM {{rows}}",
        columns.join(", "),
        from_rows(&columns)
    );
    Statement::over(Operation::Insert("deliveries"), &row, &text)
});

pub(super) static UPDATE_DELIVERIES: LazyStatement = LazyStatement::new(|| {
    let set = settings(&names(DELIVERY)[1..], "r");
    let text = format!("UPDATE deliveries SET {set} FROM {{rows}} WHERE deliveries.id = r.id");
    Statement::over(Operation::Update("deliveries"), DELIVERY, &text)
});

pub(super) static WRITE_OFFERS: LazyStatement = LazyStatement::new(|| {
    let row = "id text, delivery_id text, order_id text, business_id text, driver_id text, wave int, attempt int, state text, \
         distance_m int, payout_minor int, stacked bool, reason text, deadline_at int, created_at int, ended_at int";
    let columns = names(row);
    let text = format!(
        "INSERT INTO offers ({}) SELECT {} FROM {{rows}} WHERE true \
         ON CONFLICT (id) DO UPDATE SET {}",
        columns.join(", "),
        from_rows(&columns),
        settings(&["state", "reason", "ended_at"], "excluded")
    );
    Statement::over(Operation::Insert("offers"), row, &text)
});

// Positions are written by themselves, and signs of life never go back.
pub(super) static UPDATE_DRIVERS: LazyStatement = LazyStatement::new(|| {
    let row = "user_id text, vehicle text, capacity int, zones text, wanted_zones text, takes_cash bool, online bool, active int, \
         ignored int, waiting_since int, delivered int, on_time int, updated_at int, alive_at int";
    let columns = names(row);
    let set = settings(&columns[1..columns.len() - 1], "r");
    let text = format!(
        "UPDATE drivers SET {set}, alive_at = CASE WHEN drivers.alive_at > r.alive_at THEN drivers.alive_at \
         ELSE COALESCE(r.alive_at, drivers.alive_at) END FROM {{rows}} WHERE drivers.user_id = r.user_id"
    );
    Statement::over(Operation::Update("drivers"), row, &text)
});

pub(super) static DELETE_ZONES: LazyStatement = LazyStatement::new(|| {
    Statement::new(Operation::Delete("driver_zones"), "DELETE FROM driver_zones WHERE user_id = {any}")
});

pub(super) static INSERT_ZONES: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("driver_zones"),
        "zone text, user_id text",
        "INSERT INTO driver_zones (zone, user_id) SELECT r.zone, r.user_id FROM {rows} WHERE true ON CONFLICT DO NOTHING",
    )
});

// Under the lock of the order, so that numbers are given once.
pub(super) static INSERT_STEPS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("delivery_steps"),
        "order_id text, n int, step text, party text, user_id text, at int, said_at int, late bool, far_m int, reason text, \
         proof text, created_at int",
        "INSERT INTO delivery_steps (order_id, n, step, party, user_id, at, said_at, late, far_m, reason, proof, created_at) \
         SELECT r.order_id, r.n + COALESCE((SELECT MAX(s.n) FROM delivery_steps s WHERE s.order_id = r.order_id), 0), r.step, \
             r.party, r.user_id, r.at, r.said_at, r.late, r.far_m, r.reason, r.proof, r.created_at FROM {rows}",
    )
});

#[cfg(test)]
mod tests {
    use sqlx::{Connection, Row, SqliteConnection};

    use super::*;
    use crate::storage::sql::statement::Dialect;

    #[tokio::test]
    async fn on_sqlite_everything_that_is_locked_is_found_by_an_index() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx_macros::migrate!("migrations/sqlite").run_direct(None, &mut connection, false).await.unwrap();
        let finds: [&LazyStatement; 8] = [
            &LOCK_DELIVERIES,
            &LOCK_OFFERS,
            &LOCK_DRIVERS,
            &SILENT_DRIVERS,
            &OPEN_OFFERS,
            &ASKED,
            &IGNORED,
            &CARRIED,
        ];
        for statement in finds {
            let text = format!("EXPLAIN QUERY PLAN {}", statement.text(Dialect::Sqlite).as_str());
            let plan = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await.unwrap();
            for step in plan {
                let step: String = step.get("detail");
                let scan = step.starts_with("SCAN") && !step.contains("json_each") && step != "SCAN r";
                assert!(!scan, "{step}");
            }
        }
    }
}
