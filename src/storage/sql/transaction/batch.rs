//! One transaction of many commands, in the order that keeps lanes from waiting on each other in a circle: commands, keys,
//! orders, everything single, counters, rows, and the rooms last.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::collections::BTreeSet;

use crate::domain::event::{Announcement, Posted as _};
use crate::domain::ids::{BusinessId, EventId, NotificationId};
use crate::domain::order::{self, AnnouncementIds, Moved, Status};
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    AcksProgress, Change, Command, Committed, Keyed, KeyedRepeat, MoveError, MoveOrder, Outcome, PlaceOrder,
    PlaceOutcome, ScopedAck, StoredResponse, Write, outcome_of, write_table,
};
use crate::storage::crypto::cipher::Cipher;
use crate::storage::error::StoreError;
use crate::storage::ports::Attempt;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;

use super::answer::Answer;
use super::catalog::Catalog;
use super::events::{self, Emitted};
use super::execute::{Context, Execute as _};
use super::idempotency::{By, KeyState, Keys, Responses};
use super::orders::Orders;
use super::{applied_commands, device_acks, devices};

/// Source of a transaction's notifications and events, in the order of the commands.
enum Source {
    /// The change of this step, once its order has a number.
    Step(usize),
    Posted(Announcement),
}

pub(super) struct Transaction<'a> {
    connection: &'a mut Connection,
    cipher: &'a Cipher,
    commands: &'a [Command],
    /// The store's time, at which every command is decided.
    now: Timestamp,
    orders: Orders,
    catalog: Catalog,
    /// Businesses of which orders are to be accepted.
    accepting: BTreeSet<BusinessId>,
    keys: Keys,
    acks: Vec<&'a ScopedAck>,
    sources: Vec<Source>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(
        connection: &'a mut Connection,
        cipher: &'a Cipher,
        commands: &'a [Command],
        now: Timestamp,
    ) -> Self {
        Self {
            connection,
            cipher,
            commands,
            now,
            orders: Orders::default(),
            catalog: Catalog::default(),
            accepting: BTreeSet::new(),
            keys: Keys::default(),
            acks: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// Everything between BEGIN and COMMIT.
    pub(super) async fn run(mut self, attempt: Attempt) -> Result<Committed, TxError> {
        let mut answers: Vec<Option<Answer>> = match attempt {
            Attempt::First => self.commands.iter().map(|_| None).collect(),
            Attempt::AfterUnknown => {
                applied_commands::claim(self.connection, self.cipher, self.commands).await?
            }
        };
        let open: Vec<usize> = (0..answers.len()).filter(|&i| answers[i].is_none()).collect();
        self.load(&open).await?;
        for &i in &open {
            answers[i] = Some(self.act(&self.commands[i]).await?);
        }
        self.orders.number(self.connection).await?;
        let emitted = self.emitted();
        let responses = self.keys.render(|step| self.orders.snapshot(step));
        let left = self.write(&emitted, &responses).await?;
        let outcomes: Vec<Outcome> = answers
            .into_iter()
            .map(|answer| self.outcome(answer.expect("every command was answered above"), &left, &responses))
            .collect();
        applied_commands::record(self.connection, self.cipher, self.commands, &open, &outcomes, attempt)
            .await?;
        let events = events::number(self.connection, emitted.events).await?;
        Ok(Committed { outcomes, events, now: self.now })
    }

    async fn load(&mut self, open: &[usize]) -> Result<(), TxError> {
        let (mut drafts, mut moves, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for &i in open {
            let Command { write, .. } = &self.commands[i];
            if let Write::PlaceOrder(place) = write {
                drafts.push(&place.draft);
                keys.extend(place.idempotency.as_ref());
            } else if let Write::MoveOrder(wish) = write {
                moves.push(wish);
            } else if let Write::Keyed(keyed) = write {
                keys.push(&keyed.key);
            }
        }
        self.keys.claim(self.connection, self.cipher, keys, self.now).await?;
        let ids = moves.iter().map(|wish| wish.order).collect();
        self.orders.lock(self.connection, self.cipher, ids).await?;
        let accepted = moves.iter().filter(|wish| wish.request.to == Status::Accepted);
        self.accepting = accepted.filter_map(|wish| Some(self.orders.get(wish.order)?.business_id)).collect();
        self.catalog.load(self.connection, drafts.into_iter(), &self.accepting).await
    }

    /// Reads the business again if a command of this batch has changed it.
    async fn refresh(&mut self, business: BusinessId) -> Result<(), TxError> {
        if !self.catalog.is_stale(business) {
            return Ok(());
        }
        let drafts = self.commands.iter().filter_map(|command| {
            let Write::PlaceOrder(place) = &command.write else { return None };
            Some(&place.draft)
        });
        self.catalog.load(self.connection, drafts, &self.accepting).await
    }

    async fn act(&mut self, command: &'a Command) -> Result<Answer, TxError> {
        match &command.write {
            Write::StoreAcks(acks) => {
                self.acks.extend(acks.iter());
                Ok(Answer::Acks(acks.clone()))
            }
            Write::PlaceOrder(place) => self.place(place).await,
            Write::MoveOrder(request) => self.move_order(request).await,
            Write::Keyed(keyed) => self.keyed(keyed, command.at).await,
            write => self.single(write, command.at).await,
        }
    }

    async fn place(&mut self, place: &PlaceOrder) -> Result<Answer, TxError> {
        if let Some(key) = &place.idempotency {
            match self.keys.state_of(key) {
                KeyState::Free => {}
                KeyState::Kept(kept) => return Ok(Outcome::Placed(PlaceOutcome::Replayed(kept)).into()),
                KeyState::Step(step) => {
                    return Ok(Answer::Replayed { step, request_mac: key.request_mac.clone() });
                }
                KeyState::Reused => return Ok(Outcome::Placed(PlaceOutcome::KeyReused).into()),
            }
        }
        let draft = &place.draft;
        self.refresh(draft.business_id).await?;
        let (business, menu) = self.catalog.of(draft.business_id);
        let new = match order::place(draft.clone(), business, menu, self.now) {
            Ok(new) => new,
            Err(refusal) => return Ok(Outcome::Placed(PlaceOutcome::Refused(refusal)).into()),
        };
        let step = self.orders.add(new, self.now);
        self.sources.push(Source::Step(step));
        if let Some(key) = &place.idempotency {
            self.keys.answered(key, By::Order { step, respond: place.respond });
        }
        Ok(Answer::Placed { step })
    }

    /// Does what has not been done under this key. Its answer is known before, and is kept if something was made.
    async fn keyed(&mut self, keyed: &Keyed, at: Timestamp) -> Result<Answer, TxError> {
        match self.keys.state_of(&keyed.key) {
            KeyState::Free => {}
            KeyState::Kept(kept) => return Ok(Outcome::Repeated(KeyedRepeat::Answered(kept)).into()),
            KeyState::Step(_) | KeyState::Reused => {
                return Ok(Outcome::Repeated(KeyedRepeat::KeyReused).into());
            }
        }
        let answer = self.single(&keyed.write, at).await?;
        if let Answer::Final(outcome) = &answer
            && outcome.has_made_something()
        {
            let request_mac = keyed.key.request_mac.clone();
            let kept = StoredResponse { request_mac, status: keyed.status, body: keyed.body.0.clone() };
            self.keys.answered(&keyed.key, By::Answer(kept));
        }
        Ok(answer)
    }

    async fn move_order(&mut self, wish: &MoveOrder) -> Result<Answer, TxError> {
        let mut terms = None;
        if wish.request.to == Status::Accepted
            && let Some(business) = self.orders.get(wish.order).map(|order| order.business_id)
        {
            self.refresh(business).await?;
            terms = self.catalog.of(business).0.map(|business| business.acceptance(self.now));
        }
        let Some(order) = self.orders.get_mut(wish.order) else {
            return Ok(Outcome::Moved(Err(MoveError::NoSuchOrder)).into());
        };
        let from = order.status;
        Ok(match order.apply(wish.request, wish.reason.as_deref(), terms, self.now) {
            Err(refusal) => Outcome::Moved(Err(MoveError::Refused(refusal))).into(),
            // A copy of its own, since the order's number may be still to come.
            Ok(Moved::Unchanged) => Answer::Moved { step: self.orders.unchanged(wish.order) },
            Ok(Moved::Changed(follows)) => {
                let step = self.orders.moved(wish, from, follows, self.now);
                self.sources.push(Source::Step(step));
                Answer::Moved { step }
            }
        })
    }

    fn outcome(&self, answer: Answer, left: &device_acks::Left<'_>, responses: &Responses) -> Outcome {
        let order = |step: usize| self.orders.snapshot(step).clone();
        match answer {
            Answer::Final(outcome) => *outcome,
            Answer::Acks(acks) => {
                let progress = if left.has_any_of(&acks) { AcksProgress::Left } else { AcksProgress::Stored };
                progress.into()
            }
            Answer::Placed { step } => Outcome::Placed(PlaceOutcome::Placed(Box::new(order(step)))),
            Answer::Moved { step } => Outcome::Moved(Ok(Box::new(order(step)))),
            Answer::Replayed { step, request_mac } => {
                Outcome::Placed(PlaceOutcome::Replayed(responses[&step].clone().stored(request_mac)))
            }
        }
    }

    /// Notifications and events of everything that happened, in the order of the commands.
    fn emitted(&mut self) -> Emitted {
        let mut emitted = Emitted::default();
        for source in self.sources.drain(..) {
            match source {
                Source::Step(step) => {
                    let ids = AnnouncementIds {
                        notification: NotificationId::generate(),
                        in_business: EventId::generate(),
                        in_order: EventId::generate(),
                    };
                    if let Some(change) = self.orders.change(step) {
                        emitted.add(change.announce(ids));
                    }
                }
                Source::Posted(announcement) => emitted.add(announcement),
            }
        }
        emitted
    }

    async fn write(
        &mut self,
        emitted: &Emitted,
        responses: &Responses,
    ) -> Result<device_acks::Left<'a>, TxError> {
        self.orders.write(self.connection, self.cipher).await?;
        events::write_notifications(self.connection, &emitted.notifications).await?;
        self.keys.finish(self.connection, self.cipher, responses).await?;
        let acks = self.acks.iter().map(|received| &received.ack);
        devices::seen(self.connection, acks.map(|ack| (ack.user, ack.device.as_str(), ack.at))).await?;
        device_acks::store(self.connection, &self.acks).await
    }
}

/// One write of the table by the way its row names.
macro_rules! run_one {
    (batched $outcome:ident, $transaction:expr, $write:ident, $at:ident) => {{
        let _ = $write;
        Err(StoreError::NotHappened(
            "orders and acknowledgements have no idempotency key of this kind".to_owned(),
        )
        .into())
    }};
    (posted $outcome:ident, $transaction:expr, $write:ident, $at:ident) => {{
        $transaction.sources.push(Source::Posted($write.announce(EventId::generate())));
        Ok(outcome_of!($outcome, ()).into())
    }};
    (alone $outcome:ident, $transaction:expr, $write:ident, $at:ident) => {{
        let mut told = Vec::new();
        let cx = Context {
            connection: &mut *$transaction.connection,
            cipher: $transaction.cipher,
            now: $transaction.now,
            at: $at,
            told: &mut told,
        };
        let outcome = outcome_of!($outcome, $write.execute(cx).await?);
        $transaction.sources.extend(told.into_iter().map(Source::Posted));
        Ok(outcome.into())
    }};
}

macro_rules! define_single {
    ($($(#[$doc:meta])* $name:ident($w:ident: $payload:ty) => $outcome:ident($output:ty), $how:ident, $urgency:ident,
        $priority:ident, lane: $lane:expr, bytes: $bytes:expr, changes: [$($changes:tt)*];)*) => {
        impl Transaction<'_> {
            /// Everything that concerns no other command of the transaction.
            async fn single(&mut self, write: &Write, at: Timestamp) -> Result<Answer, TxError> {
                write.each_change(&mut |change| match change {
                    Change::Business(business) | Change::Menu(business) => self.catalog.changed(business),
                    Change::NewOrder { .. }
                    | Change::Order(_)
                    | Change::Memberships(_)
                    | Change::LoginSession(_) => {}
                });
                match write {
                    $(Write::$name(write) => run_one!($how $outcome, self, write, at),)*
                }
            }
        }
    };
}

write_table!(define_single);
