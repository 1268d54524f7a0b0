//! Statements of messages of the payment provider and of dead letters.

use crate::storage::ports::DeadLetterState;
use crate::storage::sql::statement::{LazyStatement, Operation, Statement};

/// The kind of every dead letter so far.
const KIND: &str = "payment";

// In the order of the keys, so that two transactions wait for each other in one direction only. A key that another one is taking in
// makes this wait until that one has ended.
pub(super) static TAKE_IN: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("payment_messages"),
        "id text, key text, body text, order_id text, payment_id text, at int",
        "INSERT INTO payment_messages (id, key, body, order_id, payment_id, state, due_at, created_at, updated_at) \
         SELECT r.id, r.key, r.body, r.order_id, r.payment_id, 'due', r.at, r.at, r.at FROM {rows} \
         WHERE true ORDER BY r.key ON CONFLICT (key) DO NOTHING RETURNING id",
    )
});

pub(super) static LOCK: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("payment_messages"),
        "SELECT m.id, m.attempts, m.replays, m.order_id, m.payment_id FROM payment_messages m \
         WHERE m.id = {any} AND m.state = 'due' ORDER BY m.id {for_update}",
    )
});

pub(super) static UPDATE: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("payment_messages"),
        "id text, state text, attempts int, due_at int, at int",
        "UPDATE payment_messages SET state = r.state, attempts = r.attempts, due_at = r.due_at, updated_at = r.at FROM {rows} \
         WHERE payment_messages.id = r.id",
    )
});

pub(super) static BURY: LazyStatement = LazyStatement::new(|| {
    let open = DeadLetterState::Open.as_str();
    Statement::over(
        Operation::Insert("dead_letters"),
        "id text, source text, reason text, order_id text, payment_id text, at int",
        &format!(
            "INSERT INTO dead_letters (id, kind, source, reason, order_id, payment_id, state, created_at, updated_at) \
             SELECT r.id, '{KIND}', r.source, r.reason, r.order_id, r.payment_id, '{open}', r.at, r.at FROM {{rows}} WHERE true \
             ON CONFLICT (source) DO UPDATE SET reason = excluded.reason, state = excluded.state, updated_at = excluded.updated_at"
        ),
    )
});

pub(super) static RAISE: LazyStatement = LazyStatement::new(|| {
    let done = DeadLetterState::Done.as_str();
    Statement::new(
        Operation::Update("dead_letters"),
        &format!(
            "UPDATE dead_letters SET state = '{done}', updated_at = $2 WHERE source = {{any}} AND state <> '{done}'"
        ),
    )
});

pub(super) static LETTERS: LazyStatement = LazyStatement::new(|| {
    let open = DeadLetterState::Open.as_str();
    Statement::new(
        Operation::Select("dead_letters"),
        &format!("SELECT d.source AS id FROM dead_letters d WHERE d.source = {{any}} AND d.state = '{open}'"),
    )
});

// Of the order by what the message names, and by the payment that it names.
pub(super) static UNPROCESSED: LazyStatement = LazyStatement::new(|| {
    let open = DeadLetterState::Open.as_str();
    Statement::new(
        Operation::Select("payment_messages"),
        &format!(
            "SELECT m.order_id AS id FROM payment_messages m WHERE m.order_id = {{any}} AND m.state <> 'done' UNION \
             SELECT p.order_id AS id FROM payments p JOIN payment_messages m ON m.payment_id = p.id AND m.state <> 'done' \
                 WHERE p.order_id = {{any}} UNION \
             SELECT d.order_id AS id FROM dead_letters d WHERE d.order_id = {{any}} AND d.state = '{open}'"
        ),
    )
});
