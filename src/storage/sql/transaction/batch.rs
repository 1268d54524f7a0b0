//! One transaction of many commands, in the order that keeps lanes from waiting on each other in a circle: commands, keys,
//! the hub's sign of life, businesses, orders, everything single, counters, rows, and the rooms last; each in the order of its ids.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

mod change;
mod control;
mod decide;
mod dispatch;
mod drivers;
mod fire;
mod load;
mod money;
mod news;
mod offers;
mod refunds;
mod steps;
mod suspending;
mod writing;
mod written;

use std::sync::Arc;

use crate::domain::control::ControlChange;
use crate::domain::event::{Announcement, Posted as _};
use crate::domain::ids::{EventId, NotificationId, OrderId, UserId};
use crate::domain::order::AnnouncementIds;
use crate::domain::saga::Clocks;
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    AcksProgress, Change, Command, Committed, FireOutcome, LookAgain, Outcome, PlaceOutcome, Receipt,
    RecordOutcome, RingDue, ScopedAck, Write, outcome_of, write_table,
};
use crate::storage::crypto::cipher::Cipher;
use crate::storage::error::StoreError;
use crate::storage::ports::Attempt;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;

use super::answer::Answer;
use super::applied_commands;
use super::audit::AuditEntry;
use super::catalog::Catalog;
use super::deadline_facts::DeadlineFacts;
use super::deliveries::Deliveries;
use super::events::{self, Emitted};
use super::execute::{Context, Execute as _};
use super::idempotency::{Keys, Responses};
use super::inbox::Inbox;
use super::intents::NewIntent;
use super::moneys::Moneys;
use super::orders::Orders;
use super::sagas::Sagas;
use written::Written;

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
    sagas: Sagas,
    moneys: Moneys,
    deliveries: Deliveries,
    inbox: Inbox<'a>,
    facts: DeadlineFacts,
    clocks: Arc<Clocks>,
    keys: Keys,
    acks: Vec<&'a ScopedAck>,
    sources: Vec<Source>,
    rings: Vec<RingDue>,
    intents: Vec<NewIntent>,
    audits: Vec<AuditEntry>,
    /// Looks for drivers, with the number of the wave.
    looks: Vec<(OrderId, u32)>,
    left: Vec<(OrderId, UserId)>,
    control: Vec<ControlChange>,
    look_again: Vec<LookAgain>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(
        connection: &'a mut Connection,
        cipher: &'a Cipher,
        commands: &'a [Command],
        clocks: Arc<Clocks>,
        now: Timestamp,
    ) -> Self {
        Self {
            connection,
            cipher,
            commands,
            now,
            orders: Orders::default(),
            catalog: Catalog::default(),
            sagas: Sagas::default(),
            moneys: Moneys::default(),
            deliveries: Deliveries::default(),
            inbox: Inbox::default(),
            facts: DeadlineFacts::default(),
            clocks,
            keys: Keys::default(),
            acks: Vec::new(),
            sources: Vec::new(),
            rings: Vec::new(),
            intents: Vec::new(),
            audits: Vec::new(),
            looks: Vec::new(),
            left: Vec::new(),
            control: Vec::new(),
            look_again: Vec::new(),
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
        let written = self.write(&emitted, &responses).await?;
        let outcomes: Vec<Outcome> = answers
            .into_iter()
            .map(|answer| {
                self.outcome(answer.expect("every command was answered above"), &written, &responses)
            })
            .collect();
        applied_commands::record(self.connection, self.cipher, self.commands, &open, &outcomes, attempt)
            .await?;
        let control = self.control_events(&emitted.events);
        let events = events::number(self.connection, emitted.events, &control).await?;
        outcomes.iter().for_each(|outcome| outcome.reach(["offer_written", "accept_written"]));
        let is_replay = |outcome: &Outcome| matches!(outcome, Outcome::Replayed(letters) if *letters > 0);
        let money_due = written.money_due || outcomes.iter().any(is_replay);
        let (intents, drivers) = (written.intents, written.drivers);
        Ok(Committed { outcomes, events, intents, money_due, drivers, ..self.follows() })
    }

    /// What is to be done after the commit.
    fn follows(self) -> Committed {
        let (looks, sagas, now) = (self.looks_due(), self.sagas.due(), self.now);
        let Self { rings, left, look_again, .. } = self;
        Committed { now, sagas, rings, looks, left, look_again, ..Committed::default() }
    }

    async fn act(&mut self, command: &'a Command) -> Result<Answer, TxError> {
        match &command.write {
            Write::StoreAcks(acks) => {
                self.acks.extend(acks.iter());
                Ok(Answer::Acks(acks.clone()))
            }
            Write::PlaceOrder(place) => self.place(place).await,
            Write::MoveOrder(request) => self.move_order(request).await,
            Write::ChangeOrder(change) => Ok(self.change_order(change)),
            Write::OpenWave(open) => Ok(self.open_wave(open)),
            Write::LookAgain(look) => Ok(self.look_again(*look)),
            Write::RingOrder(ring) => Ok(self.ring_order(ring)),
            Write::FireDeadline(fire) => self.fire(fire).await,
            Write::Keyed(keyed) => self.keyed(keyed, command.at).await,
            Write::WriteOfJob(step) => self.of_job(step, command.at).await,
            Write::ReceiveMessage(message) => Ok(self.receive_message(message)),
            write => self.unkeyed(write, command.at).await,
        }
    }

    fn outcome(&self, answer: Answer, written: &Written<'_>, responses: &Responses) -> Outcome {
        let order = |step: usize| self.orders.snapshot(step).clone();
        match answer {
            Answer::Final(outcome) => *outcome,
            Answer::Acks(acks) => {
                let progress =
                    if written.left.has_any_of(&acks) { AcksProgress::Left } else { AcksProgress::Stored };
                progress.into()
            }
            Answer::Placed { step } => Outcome::Placed(PlaceOutcome::Placed(Box::new(order(step)))),
            Answer::Moved { step } => Outcome::Moved(Ok(Box::new(order(step)))),
            Answer::Changed { step } => Outcome::Changed(Ok(Box::new(order(step)))),
            Answer::Recorded { step } => {
                Outcome::PaymentRecorded(RecordOutcome::Recorded(Box::new(order(step))))
            }
            Answer::Received { message } => {
                Outcome::MessageReceived(match written.taken.contains(&message) {
                    true => Receipt::Taken,
                    false => Receipt::Repeated,
                })
            }
            Answer::Fired { report, step, order: id } => {
                let (moved, left) = (step.map(|step| Box::new(order(step))), self.sagas.due_of(id));
                Outcome::Fired(FireOutcome { report, moved, left, now: self.now })
            }
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
                    emitted.add(self.orders.announce(step, ids));
                }
                Source::Posted(announcement) => emitted.add(announcement),
            }
        }
        emitted
    }
}

/// One write of the table by the way its row names.
macro_rules! run_one {
    (batched $outcome:ident, $transaction:expr, $write:ident, $at:ident) => {{
        let _ = $write;
        Err(StoreError::NotHappened(
            "orders, messages and acknowledgements have no idempotency key of this kind".to_owned(),
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
            control: &mut $transaction.control,
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
            /// Everything that concerns no other command of the transaction. What was counted of businesses is written before,
            /// since it may change them as well.
            async fn single(&mut self, write: &Write, at: Timestamp) -> Result<Answer, TxError> {
                self.catalog.write(self.connection).await?;
                if let Write::RenewLeases(_) | Write::PauseUnreachable(_) = write {
                    self.catalog.all_changed();
                }
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
