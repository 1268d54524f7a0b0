//! Statements that read payments, refunds, messages of the provider, and dead letters.

use crate::domain::payment::RefundState;
use crate::storage::ports::DeadLetterState;
use crate::storage::sql::reads::held_copy::not_of_held_copy;
use crate::storage::sql::rows::{PAYMENT_COLUMNS, REFUND_COLUMNS};
use crate::storage::sql::statement::{LazyStatement, Operation, Statement};

/// Open dead letters are counted up to this many.
const COUNTED: u32 = 10_000;

pub(super) static PAYMENTS_OF: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("payments"),
        &format!(
            "SELECT {PAYMENT_COLUMNS} FROM payments p WHERE p.order_id = $1 ORDER BY p.created_at, p.id"
        ),
    )
});

pub(super) static REFUNDS_OF: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("refunds"),
        &format!("SELECT {REFUND_COLUMNS} FROM refunds f WHERE f.order_id = $1 ORDER BY f.created_at, f.id"),
    )
});

pub(super) static DUE_MESSAGES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("payment_messages"),
        "SELECT m.id, m.body, m.attempts, m.due_at, p.order_id, p.business_id FROM payment_messages m \
         LEFT JOIN payments p ON p.id = m.payment_id \
         WHERE m.due_at IS NOT NULL AND m.due_at <= $1 ORDER BY m.due_at, m.id LIMIT $2",
    )
});

pub(super) static TO_ASK: LazyStatement = LazyStatement::new(|| {
    let free = not_of_held_copy("p.order_id");
    Statement::new(
        Operation::Select("payments"),
        &format!(
            "SELECT p.id, p.order_id, p.business_id, p.ask_at, p.updated_at FROM payments p \
             WHERE p.ask_at IS NOT NULL AND p.ask_at <= $1 AND {free} ORDER BY p.ask_at, p.id LIMIT $2"
        ),
    )
});

fn due(column: &str) -> Statement {
    let free = not_of_held_copy("f.order_id");
    Statement::new(
        Operation::Select("refunds"),
        &format!(
            "SELECT f.id, f.order_id, f.business_id, b.zone, f.attempt, f.{column} AS due_at FROM refunds f \
             JOIN businesses b ON b.id = f.business_id \
             WHERE f.{column} IS NOT NULL AND f.{column} <= $1 AND {free} ORDER BY f.{column}, f.id LIMIT $2"
        ),
    )
}

pub(super) static DUE_REFUNDS: LazyStatement = LazyStatement::new(|| due("due_at"));

pub(super) static LATE_REFUNDS: LazyStatement = LazyStatement::new(|| due("alarm_at"));

fn listed(which: &str) -> Statement {
    Statement::new(
        Operation::Select("refunds"),
        &format!(
            "SELECT {REFUND_COLUMNS}, p.currency, p.way AS paid_by FROM refunds f \
             JOIN payments p ON p.id = f.payment_id WHERE {which}"
        ),
    )
}

pub(super) static REFUND: LazyStatement = LazyStatement::new(|| listed("f.id = $1"));

pub(super) static REFUNDS_IN_STATE: LazyStatement =
    LazyStatement::new(|| listed("f.state = $3 AND f.id < $1 ORDER BY f.id DESC LIMIT $2"));

pub(super) static REFUNDS_NOT_DONE: LazyStatement = LazyStatement::new(|| {
    let done = RefundState::Succeeded.as_str();
    listed(&format!("f.state <> '{done}' AND f.id < $1 ORDER BY f.id DESC LIMIT $2"))
});

const LETTER_COLUMNS: &str = "d.id, d.kind, d.source, d.reason, d.order_id, d.payment_id, d.state, d.replays, d.created_at, \
     d.updated_at";

pub(super) static DEAD_LETTERS: LazyStatement = LazyStatement::new(|| {
    let open = DeadLetterState::Open.as_str();
    Statement::new(
        Operation::Select("dead_letters"),
        &format!(
            "SELECT {LETTER_COLUMNS} FROM dead_letters d WHERE d.state = '{open}' AND d.id < $1 \
             AND ($3 = '' OR d.kind = $3) ORDER BY d.id DESC LIMIT $2"
        ),
    )
});

pub(super) static DEAD_LETTER: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("dead_letters"),
        &format!(
            "SELECT {LETTER_COLUMNS}, m.body FROM dead_letters d LEFT JOIN payment_messages m ON m.id = d.source \
             WHERE d.id = $1"
        ),
    )
});

pub(super) static OPEN_DEAD_LETTERS: LazyStatement = LazyStatement::new(|| {
    let open = DeadLetterState::Open.as_str();
    Statement::new(
        Operation::Select("dead_letters"),
        &format!(
            "SELECT count(*) AS open FROM (SELECT 1 AS one FROM dead_letters d WHERE d.state = '{open}' LIMIT {COUNTED}) AS found"
        ),
    )
});

pub(super) static WAITING_MESSAGES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("payment_messages"),
        &format!(
            "SELECT count(*) AS open FROM (SELECT 1 AS one FROM payment_messages m WHERE m.due_at IS NOT NULL LIMIT {COUNTED}) AS found"
        ),
    )
});

/// Every statement of this file, for the test of its plans.
#[cfg(test)]
pub(in crate::storage::sql::reads) const STATEMENTS: &[&LazyStatement] = &[
    &PAYMENTS_OF,
    &REFUNDS_OF,
    &DUE_MESSAGES,
    &TO_ASK,
    &DUE_REFUNDS,
    &LATE_REFUNDS,
    &REFUND,
    &REFUNDS_IN_STATE,
    &REFUNDS_NOT_DONE,
    &DEAD_LETTERS,
    &DEAD_LETTER,
    &OPEN_DEAD_LETTERS,
    &WAITING_MESSAGES,
];
