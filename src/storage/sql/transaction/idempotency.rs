//! Idempotency keys: the first request under a key decides, everybody else gets its answer.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::storage::commands::{IdempotencyKey, RenderedResponse, StoredResponse};
use crate::storage::crypto::cipher::{Aad, Cipher};
use crate::storage::error::StoreError;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{number, open, seal};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

/// Life of a stored response; an older key counts as absent.
pub(in crate::storage::sql) const RESPONSE_TTL: Duration = Duration::from_secs(24 * 60 * 60);

// In order, so that lanes with several keys wait for each other in one direction only. A key that another
// transaction is claiming makes this wait until that one has ended.
static CLAIM: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("idempotency_keys"),
        "scope text, key text, request_mac text, at int",
        "INSERT INTO idempotency_keys (scope, key, request_mac, created_at) \
         SELECT r.scope, r.key, r.request_mac, r.at FROM {rows} WHERE true ORDER BY r.scope, r.key \
         ON CONFLICT (scope, key) DO UPDATE SET request_mac = excluded.request_mac, status = NULL, body = NULL, \
             created_at = excluded.created_at \
             WHERE idempotency_keys.created_at <= excluded.created_at - $2 \
         RETURNING scope, key",
    )
});

static READ: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Select("idempotency_keys"),
        "scope text, key text",
        "SELECT k.scope, k.key, k.request_mac, k.status, k.body FROM {rows} \
         JOIN idempotency_keys k ON k.scope = r.scope AND k.key = r.key",
    )
});

static ANSWER: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("idempotency_keys"),
        "scope text, key text, request_mac text, status int, body text",
        "UPDATE idempotency_keys SET request_mac = r.request_mac, status = r.status, body = r.body FROM {rows} \
         WHERE idempotency_keys.scope = r.scope AND idempotency_keys.key = r.key",
    )
});

static FREE: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Delete("idempotency_keys"),
        "scope text, key text",
        "DELETE FROM idempotency_keys WHERE (scope, key) IN (SELECT r.scope, r.key FROM {rows})",
    )
});

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, FromRow)]
struct Name {
    scope: String,
    key: String,
}

impl Name {
    fn of(key: &IdempotencyKey) -> Self {
        Self { scope: key.scope.clone(), key: key.key.clone() }
    }
}

#[derive(Debug, Serialize)]
struct ClaimRow<'a> {
    scope: &'a str,
    key: &'a str,
    request_mac: &'a str,
    at: i64,
}

/// A key with its answer, as stored.
#[derive(Serialize, FromRow)]
pub(in crate::storage::sql) struct ResponseRow {
    scope: String,
    key: String,
    request_mac: String,
    status: Option<i64>,
    body: Option<String>,
}

// Scopes and keys are the client's words: the length keeps two pairs from sharing a place.
pub(super) fn row_name(scope: &str, key: &str) -> String {
    format!("{}:{scope}:{key}", scope.len())
}

impl ResponseRow {
    /// The answer, opened; `None` while there is none.
    pub(in crate::storage::sql) fn into_response(
        self,
        cipher: &Cipher,
    ) -> Result<Option<StoredResponse>, StoreError> {
        let (Some(status), Some(body)) = (self.status, self.body) else { return Ok(None) };
        let row = row_name(&self.scope, &self.key);
        let body = open(cipher, Aad { table: "idempotency_keys", column: "body", row: &row }, &body)?;
        let status = number("idempotency_keys.status", status)?;
        Ok(Some(StoredResponse { request_mac: self.request_mac, status, body }))
    }
}

#[derive(Debug)]
enum State {
    /// Claimed by this batch and not answered yet.
    Free,
    /// Answered before.
    Kept(StoredResponse),
    /// Answered in this batch by the order of a step.
    Answered { request_mac: String, step: usize, respond: fn(&Order) -> RenderedResponse },
    /// Answered in this batch, by this.
    Given(StoredResponse),
}

/// Response to a request.
#[derive(Debug)]
pub(super) enum By {
    /// The order of this step, as its caller renders it.
    Order { step: usize, respond: fn(&Order) -> RenderedResponse },
    /// An answer that was known before.
    Answer(StoredResponse),
}

/// The answers of the steps that placed an order under a key: each rendered once, then stored and given.
pub(super) type Responses = HashMap<usize, RenderedResponse>;

/// State of a key for a request.
#[derive(Debug)]
pub(super) enum KeyState {
    /// The request decides.
    Free,
    /// It was answered before.
    Kept(StoredResponse),
    /// It is answered by the order of this step.
    Step(usize),
    /// The key belongs to another request.
    Reused,
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    states: HashMap<Name, State>,
}

impl Keys {
    /// Makes every wanted key this transaction's own, or finds its answer.
    pub(super) async fn claim<'k>(
        &mut self,
        connection: &mut Connection,
        cipher: &Cipher,
        wanted: impl IntoIterator<Item = &'k IdempotencyKey>,
        now: Timestamp,
    ) -> Result<(), TxError> {
        let mut rows: Vec<ClaimRow<'_>> = wanted
            .into_iter()
            .map(|key| ClaimRow {
                scope: &key.scope,
                key: &key.key,
                request_mac: &key.request_mac,
                at: now.as_micros(),
            })
            .collect();
        // Stable: of two requests under one key the first makes the claim.
        rows.sort_by_key(|row| (row.scope, row.key));
        rows.dedup_by_key(|row| (row.scope, row.key));
        if rows.is_empty() {
            return Ok(());
        }
        let ttl = i64::try_from(RESPONSE_TTL.as_micros()).expect("a day fits");
        let claimed: Vec<Name> = connection.fetch(&CLAIM, &[Arg::rows(&rows), Arg::Int(ttl)]).await?;
        self.states.extend(claimed.into_iter().map(|name| (name, State::Free)));
        let taken: Vec<Name> = rows
            .iter()
            .map(|row| Name { scope: row.scope.to_owned(), key: row.key.to_owned() })
            .filter(|name| !self.states.contains_key(name))
            .collect();
        for (name, kept) in read(connection, cipher, &taken).await? {
            self.states.insert(name, State::Kept(kept));
        }
        Ok(())
    }

    pub(super) fn state_of(&self, key: &IdempotencyKey) -> KeyState {
        match self.states.get(&Name::of(key)) {
            Some(State::Kept(kept) | State::Given(kept)) if kept.request_mac == key.request_mac => {
                KeyState::Kept(kept.clone())
            }
            Some(State::Answered { request_mac, step, .. }) if *request_mac == key.request_mac => {
                KeyState::Step(*step)
            }
            Some(State::Kept(_) | State::Given(_) | State::Answered { .. }) => KeyState::Reused,
            Some(State::Free) | None => KeyState::Free,
        }
    }

    /// The request under `key` was answered.
    pub(super) fn answered(&mut self, key: &IdempotencyKey, by: By) {
        let state = match by {
            By::Order { step, respond } => {
                State::Answered { request_mac: key.request_mac.clone(), step, respond }
            }
            By::Answer(kept) => State::Given(kept),
        };
        self.states.insert(Name::of(key), state);
    }

    /// Renders the answers that orders of this batch give; `order` is the order of a step, with its number.
    pub(super) fn render<'o>(&self, order: impl Fn(usize) -> &'o Order) -> Responses {
        let answered = self.states.values().filter_map(|state| match state {
            State::Answered { step, respond, .. } => Some((*step, respond(order(*step)))),
            State::Free | State::Kept(_) | State::Given(_) => None,
        });
        answered.collect()
    }

    /// Keeps the answers, and frees the keys whose requests were refused.
    pub(super) async fn finish(
        &mut self,
        connection: &mut Connection,
        cipher: &Cipher,
        responses: &Responses,
    ) -> Result<(), TxError> {
        let (mut answers, mut free) = (Vec::new(), Vec::new());
        for (name, state) in self.states.drain() {
            let kept = match state {
                State::Kept(_) => continue,
                State::Free => {
                    free.push(name);
                    continue;
                }
                State::Answered { request_mac, step, .. } => responses[&step].clone().stored(request_mac),
                State::Given(kept) => kept,
            };
            let row = row_name(&name.scope, &name.key);
            let aad = Aad { table: "idempotency_keys", column: "body", row: &row };
            let body = Some(seal(cipher, aad, &kept.body)?);
            let (Name { scope, key }, status) = (name, Some(kept.status.into()));
            answers.push(ResponseRow { scope, key, request_mac: kept.request_mac, status, body });
        }
        if !answers.is_empty() {
            connection.execute(&ANSWER, &[Arg::rows(&answers)]).await?;
        }
        if !free.is_empty() {
            connection.execute(&FREE, &[Arg::rows(&free)]).await?;
        }
        Ok(())
    }
}

async fn read(
    connection: &mut Connection,
    cipher: &Cipher,
    names: &[Name],
) -> Result<Vec<(Name, StoredResponse)>, TxError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut kept = Vec::new();
    for row in connection.fetch::<ResponseRow>(&READ, &[Arg::rows(names)]).await? {
        let name = Name { scope: row.scope.clone(), key: row.key.clone() };
        if let Some(answer) = row.into_response(cipher)? {
            kept.push((name, answer));
        }
    }
    Ok(kept)
}

/// The answer under one key, whatever its age: a command that was answered with it is asked again.
pub(super) async fn response_under(
    connection: &mut Connection,
    cipher: &Cipher,
    scope: &str,
    key: &str,
) -> Result<Option<StoredResponse>, TxError> {
    let name = Name { scope: scope.to_owned(), key: key.to_owned() };
    Ok(read(connection, cipher, &[name]).await?.pop().map(|(_, kept)| kept))
}
