//! Statements and rows that read and store orders in a transaction.

use serde::Serialize;

use crate::domain::ids::{OrderId, UserId};
use crate::domain::order::{Order, OrderChange, OrderEdit, OrderStep, Status};
use crate::storage::sql::rows::{CourseRow, ORDER_COLUMNS};
use crate::storage::sql::statement::{LazyStatement, Operation, Statement};

pub(super) static LOCK: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("orders"),
        &format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = {{any}} ORDER BY o.id {{for_update}}"),
    )
});

pub(super) static READ: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("orders"),
        &format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = {{any}}"),
    )
});

/// The lines of the orders whose ids are given.
pub(in crate::storage::sql) static ITEMS_OF_ORDERS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_items"),
        "SELECT order_id, line, sku, name, qty, price_minor FROM order_items WHERE order_id = {any} \
         ORDER BY order_id, line",
    )
});

const ROW: &str = "id text, order_number int, business_id text, customer_id text, customer_name text, phone text, \
     address text, fulfilment text, status text, payment_method text, payment_status text, total_minor int, \
     currency text, notes text, table_no int, prep_minutes int, version int, created_at int, updated_at int, \
     ready_at int, delivered_by text, ended_code text, ended_text text, delivery_version int, payment_version int, \
     placed_by text, placed_at int, answered_at int, deadline_at int, terms text, words text";

pub(super) static INSERT: LazyStatement = LazyStatement::new(|| {
    let into = "id, order_number, business_id, customer_id, customer_name, phone, address, fulfilment, status, \
         payment_method, payment_status, total_minor, currency, notes, table_no, prep_minutes, version, created_at, \
         updated_at, ready_at, delivered_by, ended_code, ended_text, delivery_version, payment_version, \
         placed_by, placed_at, answered_at, deadline_at";
    let from: Vec<String> = into.split(", ").map(|column| format!("r.{}", column.trim())).collect();
    let from = from.join(", ");
    Statement::apart(
        Operation::Insert("orders"),
        ROW,
        &format!(
            "INSERT INTO orders ({into}, search) \
             SELECT {from}, array_to_tsvector(string_to_array(r.terms, ' ')) FROM {{rows}}"
        ),
        &format!(
            "INSERT INTO orders ({into}, words, search_row) SELECT {from}, COALESCE(r.words, ''), {NEXT_SEARCH_ROW} FROM {{rows}}"
        ),
    )
});

/// A row of the text index that no order has yet, for each of the rows a statement of SQLite inserts or changes.
pub(super) const NEXT_SEARCH_ROW: &str =
    "(SELECT COALESCE(max(o.search_row), 0) FROM orders o) + row_number() OVER ()";

// SQLite only: Postgres keeps the terms in the order's own row.
pub(super) static INSERT_TERMS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("order_search"),
        "id text, terms text",
        "INSERT INTO order_search (rowid, words) SELECT o.search_row, r.terms FROM {rows} CROSS JOIN orders o ON o.id = r.id",
    )
});

pub(super) static INSERT_ITEMS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("order_items"),
        "order_id text, line int, sku text, name text, qty int, price_minor int",
        "INSERT INTO order_items (order_id, line, sku, name, qty, price_minor) \
         SELECT r.order_id, r.line, r.sku, r.name, r.qty, r.price_minor FROM {rows}",
    )
});

pub(super) static UPDATE: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("orders"),
        "id text, status text, payment_status text, prep_minutes int, version int, updated_at int, ready_at int, \
         delivered_by text, ended_code text, ended_text text, delivery_version int, payment_version int, placed_at int, \
         answered_at int, deadline_at int, fulfilment text, delivery_id text, delivery_status text, driver_id text",
        "UPDATE orders SET status = r.status, payment_status = r.payment_status, prep_minutes = r.prep_minutes, \
             version = r.version, updated_at = r.updated_at, ready_at = r.ready_at, delivered_by = r.delivered_by, \
             ended_code = r.ended_code, ended_text = r.ended_text, delivery_version = r.delivery_version, \
             payment_version = r.payment_version, placed_at = r.placed_at, answered_at = r.answered_at, \
             deadline_at = r.deadline_at, fulfilment = r.fulfilment, delivery_id = r.delivery_id, \
             delivery_status = r.delivery_status, driver_id = r.driver_id FROM {rows} WHERE orders.id = r.id",
    )
});

pub(super) static UPDATE_WORDING: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("orders"),
        "id text, phone text, address text, notes text, edits int",
        "UPDATE orders SET phone = r.phone, address = r.address, notes = r.notes, edits = r.edits FROM {rows} \
         WHERE orders.id = r.id",
    )
});

pub(super) static INSERT_EDITS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("order_edits"),
        "order_id text, edit int, fields text, party text, user_id text, at int",
        "INSERT INTO order_edits (order_id, edit, fields, party, user_id, at) \
         SELECT r.order_id, r.edit, r.fields, r.party, r.user_id, r.at FROM {rows}",
    )
});

pub(super) static INSERT_EVENTS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("order_events"),
        "order_id text, version int, from_status text, to_status text, party text, user_id text, reason text, \
         at int",
        "INSERT INTO order_events (order_id, version, from_status, to_status, party, user_id, reason, at) \
         SELECT r.order_id, r.version, r.from_status, r.to_status, r.party, r.user_id, r.reason, r.at FROM {rows}",
    )
});

#[derive(Serialize)]
pub(super) struct MovedRow {
    id: OrderId,
    status: Status,
    fulfilment: &'static str,
    payment_status: &'static str,
    prep_minutes: Option<u16>,
    version: i64,
    updated_at: i64,
    #[serde(flatten)]
    course: CourseRow,
}

#[derive(Serialize)]
pub(super) struct OrderEventRow {
    order_id: OrderId,
    version: i64,
    from_status: Option<Status>,
    to_status: Status,
    party: &'static str,
    user_id: Option<String>,
    reason: Option<String>,
    at: i64,
}

#[derive(Serialize)]
pub(super) struct OrderEditRow {
    order_id: OrderId,
    edit: i64,
    fields: String,
    party: &'static str,
    user_id: UserId,
    at: i64,
}

impl OrderEditRow {
    pub(super) fn of(edit: &OrderEdit, user: UserId) -> Self {
        let fields: Vec<&str> = edit.changed.iter().map(|field| field.as_str()).collect();
        Self {
            order_id: edit.order.id,
            edit: edit.order.edits,
            fields: fields.join(" "),
            party: edit.party.as_str(),
            user_id: user,
            at: edit.at.as_micros(),
        }
    }
}

impl OrderEventRow {
    /// A row for each transition of the change; the reason stands with the last.
    pub(super) fn all_of(change: &OrderChange, user: Option<UserId>, reason: Option<String>) -> Vec<Self> {
        let row = |step: OrderStep| Self {
            order_id: change.order.id,
            version: step.version,
            from_status: step.from,
            to_status: step.to,
            party: change.party.as_str(),
            user_id: user.map(|user| user.to_string()),
            reason: None,
            at: change.at.as_micros(),
        };
        let mut rows: Vec<Self> = change.steps().map(row).collect();
        if let Some(last) = rows.last_mut() {
            last.reason = reason;
        }
        rows
    }
}

pub(super) fn moved_row(order: &Order) -> MovedRow {
    MovedRow {
        id: order.id,
        status: order.status,
        fulfilment: order.fulfilment.as_str(),
        payment_status: order.payment_status.as_str(),
        prep_minutes: order.prep_minutes,
        version: order.version,
        updated_at: order.updated_at.as_micros(),
        course: CourseRow::of(order),
    }
}
