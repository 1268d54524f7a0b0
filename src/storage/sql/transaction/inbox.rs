//! Messages of the payment provider in a batch: taken in, worked on under their locks, and what cannot be worked on as dead letters.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::{DeadLetterId, OrderId, PaymentId, PaymentMessageId};
use crate::domain::payment::NewsRefusal;
use crate::domain::time::Timestamp;
use crate::storage::commands::ReceiveMessage;
use crate::storage::crypto::cipher::{Aad, Cipher};
use crate::storage::error::StoreError;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{number, parse, seal};
use crate::storage::sql::statement::Arg;

mod statements;

use statements::{BURY, LETTERS, LOCK, RAISE, TAKE_IN, UNPROCESSED, UPDATE};

#[derive(Serialize)]
struct NewMessageRow {
    id: PaymentMessageId,
    key: String,
    body: String,
    order_id: Option<OrderId>,
    payment_id: Option<PaymentId>,
    at: i64,
}

#[derive(Serialize)]
struct MessageRow {
    id: PaymentMessageId,
    state: &'static str,
    attempts: u32,
    due_at: Option<i64>,
    at: i64,
}

#[derive(Serialize)]
struct LetterRow {
    id: DeadLetterId,
    source: String,
    reason: NewsRefusal,
    order_id: Option<OrderId>,
    payment_id: Option<PaymentId>,
    at: i64,
}

#[derive(FromRow)]
struct LockedRow {
    id: String,
    attempts: i64,
    replays: i64,
    order_id: Option<String>,
    payment_id: Option<String>,
}

#[derive(FromRow)]
struct IdRow {
    id: String,
}

/// A message that is due, as it was locked.
#[derive(Clone, Copy)]
struct Locked {
    attempts: u32,
    was_replayed: bool,
    order: Option<OrderId>,
    payment: Option<PaymentId>,
}

/// What a message or a payment is about, as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) order: Option<OrderId>,
    pub(super) payment: Option<PaymentId>,
}

#[derive(Default)]
pub(super) struct Inbox<'a> {
    /// New messages by their keys: of two with one key the first counts.
    received: BTreeMap<&'a str, &'a ReceiveMessage>,
    due: HashMap<PaymentMessageId, Locked>,
    changed: BTreeMap<PaymentMessageId, MessageRow>,
    letters: BTreeMap<String, LetterRow>,
    /// Sources whose dead letters are done.
    raised: BTreeSet<String>,
    /// Orders of which something of the provider waits to be worked on.
    unprocessed: BTreeSet<OrderId>,
}

impl<'a> Inbox<'a> {
    /// Locks these messages, as far as they are due.
    pub(super) async fn lock(
        &mut self,
        connection: &mut Connection,
        messages: &BTreeSet<PaymentMessageId>,
    ) -> Result<(), TxError> {
        if messages.is_empty() {
            return Ok(());
        }
        for row in connection.fetch::<LockedRow>(&LOCK, &[Arg::texts(messages)]).await? {
            let locked = Locked {
                attempts: number("payment_messages.attempts", row.attempts)?,
                was_replayed: row.replays > 0,
                // What it names was checked for its form when it was taken in.
                order: row.order_id.and_then(|id| id.parse().ok()),
                payment: row.payment_id.and_then(|id| id.parse().ok()),
            };
            self.due.insert(parse("payment_messages.id", &row.id)?, locked);
        }
        Ok(())
    }

    /// Finds out of which of these orders something waits to be worked on.
    pub(super) async fn look_for(
        &mut self,
        connection: &mut Connection,
        orders: &BTreeSet<OrderId>,
    ) -> Result<(), TxError> {
        if orders.is_empty() {
            return Ok(());
        }
        for row in connection.fetch::<IdRow>(&UNPROCESSED, &[Arg::texts(orders)]).await? {
            self.unprocessed.insert(parse("payment_messages.order_id", &row.id)?);
        }
        Ok(())
    }

    /// Whether something of the provider about the order waits to be worked on.
    pub(super) fn has_unprocessed(&self, order: OrderId) -> bool {
        let is_new = |message: &&ReceiveMessage| message.order == Some(order);
        self.unprocessed.contains(&order) || self.received.values().any(is_new)
    }

    pub(super) fn receive(&mut self, message: &'a ReceiveMessage) {
        self.received.entry(&message.key).or_insert(message);
    }

    /// Whether the message is due, at this attempt.
    pub(super) fn is_at(&self, id: PaymentMessageId, attempts: u32) -> bool {
        self.due.get(&id).is_some_and(|message| message.attempts == attempts)
    }

    /// The message was worked on.
    pub(super) fn done(&mut self, id: PaymentMessageId, now: Timestamp) {
        let Some(message) = self.due.remove(&id) else { return };
        if message.was_replayed {
            self.raised.insert(id.to_string());
        }
        self.change(id, "done", message.attempts, None, now);
    }

    /// What the provider was asked about has come to an end.
    pub(super) fn asked(&mut self, payment: PaymentId) {
        self.raised.insert(payment.to_string());
    }

    /// The message did not work. What it is a dead letter about, if it is not tried again.
    pub(super) fn refused(
        &mut self,
        id: PaymentMessageId,
        refusal: NewsRefusal,
        known: About,
        now: Timestamp,
    ) -> Option<(DeadLetterId, About)> {
        let message = self.due.remove(&id)?;
        let attempts = message.attempts.saturating_add(1);
        // The low bits of an id are random.
        let spread = (id.uuid().as_u128() as u64).rotate_left(attempts);
        if let Some(pause) = refusal.pause(attempts, spread) {
            self.change(id, "due", attempts, Some(now.plus(pause)), now);
            return None;
        }
        self.change(id, "dead", attempts, None, now);
        let about =
            About { order: known.order.or(message.order), payment: known.payment.or(message.payment) };
        let letter = DeadLetterId::from_uuid(id.uuid());
        self.bury(letter, id.to_string(), refusal, about, now);
        Some((letter, about))
    }

    /// Whether what the provider said about this payment is a dead letter already.
    pub(super) async fn is_dead(
        &self,
        connection: &mut Connection,
        payment: PaymentId,
    ) -> Result<bool, TxError> {
        let source = payment.to_string();
        let is_new = self.letters.contains_key(&source);
        let open: Option<IdRow> = connection.fetch_first(&LETTERS, &[Arg::texts([source])]).await?;
        Ok(is_new || open.is_some_and(|open| !self.raised.contains(&open.id)))
    }

    /// Makes a dead letter of what the provider said when it was asked about a payment.
    pub(super) fn bury_answer(
        &mut self,
        payment: PaymentId,
        refusal: NewsRefusal,
        about: About,
        now: Timestamp,
    ) -> DeadLetterId {
        let letter = DeadLetterId::from_uuid(payment.uuid());
        self.bury(letter, payment.to_string(), refusal, about, now);
        letter
    }

    // A source has one dead letter for good: its id is made of that of the source.
    fn bury(&mut self, id: DeadLetterId, source: String, reason: NewsRefusal, about: About, now: Timestamp) {
        self.raised.remove(&source);
        let (order_id, payment_id) = (about.order, about.payment);
        let row = LetterRow { id, source: source.clone(), reason, order_id, payment_id, at: now.as_micros() };
        self.letters.insert(source, row);
    }

    fn change(
        &mut self,
        id: PaymentMessageId,
        state: &'static str,
        attempts: u32,
        due_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        let due_at = due_at.map(Timestamp::as_micros);
        self.changed.insert(id, MessageRow { id, state, attempts, due_at, at: now.as_micros() });
    }

    /// Writes all of it; gives the new messages that were not there before.
    pub(super) async fn write(
        &self,
        connection: &mut Connection,
        cipher: &Cipher,
        now: Timestamp,
    ) -> Result<HashSet<PaymentMessageId>, TxError> {
        let changed: Vec<&MessageRow> = self.changed.values().collect();
        if !changed.is_empty() {
            connection.execute(&UPDATE, &[Arg::rows(&changed)]).await?;
        }
        let letters: Vec<&LetterRow> = self.letters.values().collect();
        if !letters.is_empty() {
            connection.execute(&BURY, &[Arg::rows(&letters)]).await?;
        }
        if !self.raised.is_empty() {
            let args = [Arg::texts(&self.raised), Arg::Int(now.as_micros())];
            connection.execute(&RAISE, &args).await?;
        }
        self.take_in(connection, cipher, now).await
    }

    async fn take_in(
        &self,
        connection: &mut Connection,
        cipher: &Cipher,
        now: Timestamp,
    ) -> Result<HashSet<PaymentMessageId>, TxError> {
        if self.received.is_empty() {
            return Ok(HashSet::new());
        }
        let row = |message: &&ReceiveMessage| {
            let id = message.id.to_string();
            let aad = Aad { table: "payment_messages", column: "body", row: &id };
            Ok(NewMessageRow {
                id: message.id,
                key: message.key.clone(),
                body: seal(cipher, aad, &message.body.0)?,
                order_id: message.order,
                payment_id: message.payment,
                at: now.as_micros(),
            })
        };
        let rows: Vec<NewMessageRow> = self.received.values().map(row).collect::<Result<_, StoreError>>()?;
        let taken: Vec<IdRow> = connection.fetch(&TAKE_IN, &[Arg::rows(&rows)]).await?;
        Ok(taken
            .iter()
            .map(|row| parse("payment_messages.id", &row.id))
            .collect::<Result<_, StoreError>>()?)
    }
}
