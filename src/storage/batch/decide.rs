//! What a transaction does, in the order that keeps lanes from waiting on each other in a circle: commands, keys,
//! orders, everything single, counters, rows, and the rooms last.

use std::collections::BTreeSet;

use crate::domain::ids::{BusinessId, EventId, NotificationId};
use crate::domain::order::{self, Moved, Status};
use crate::domain::time::Timestamp;
use crate::protocol::views::{self, Contact, OrderView};
use crate::storage::cipher::Cipher;
use crate::storage::command::{
    Action, Addition, Command, Committed, KeptAnswer, Keyed, KeyedRepeat, MoveError, MoveOrder, Outcome,
    PlaceOrder, PlaceOutcome, ReceivedAck,
};
use crate::storage::connection::Connection;
use crate::storage::failure::Failure;
use crate::storage::ports::Attempt;

use super::catalog::Catalog;
use super::keys::{By, Keys, Verdict};
use super::orders::{Orders, Step};
use super::rooms::{self, Announced};
use super::{acks, commands, devices, identity, rotation, upkeep};

/// An answer, or where it will come from once orders have their numbers.
pub(super) enum Answer {
    Final(Box<Outcome>),
    Placed {
        step: usize,
    },
    Moved {
        step: usize,
    },
    /// The answer that the step's order gives under this request's key.
    Replayed {
        step: usize,
        request_mac: String,
    },
    /// Of the command at this place, once it is known how many acknowledgements fit into the transaction.
    Acks {
        command: usize,
    },
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self::Final(Box::new(outcome))
    }
}

/// What rooms will hear of, in the order of the commands.
enum Told {
    Step(usize),
    Notification(Box<crate::domain::event::Notification>),
}

/// The kept answer to a placed order: status and body.
pub(super) const CREATED: u16 = 201;

pub(super) struct Batch<'a> {
    connection: &'a mut Connection,
    cipher: &'a Cipher,
    commands: &'a [Command],
    orders: Orders,
    catalog: Catalog,
    /// Businesses of which orders are to be accepted.
    accepting: BTreeSet<BusinessId>,
    keys: Keys,
    acks: Vec<&'a ReceivedAck>,
    told: Vec<Told>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(connection: &'a mut Connection, cipher: &'a Cipher, commands: &'a [Command]) -> Self {
        Self {
            connection,
            cipher,
            commands,
            orders: Orders::default(),
            catalog: Catalog::default(),
            accepting: BTreeSet::new(),
            keys: Keys::default(),
            acks: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Everything between BEGIN and COMMIT.
    pub(super) async fn run(mut self, attempt: Attempt) -> Result<Committed, Failure> {
        let mut answers: Vec<Option<Answer>> = match attempt {
            Attempt::First => self.commands.iter().map(|_| None).collect(),
            Attempt::AfterUnknown => commands::claim(self.connection, self.cipher, self.commands).await?,
        };
        let open: Vec<usize> = (0..answers.len()).filter(|&i| answers[i].is_none()).collect();
        self.load(&open).await?;
        for &i in &open {
            answers[i] = Some(match &self.commands[i].action {
                Action::StoreAcks(acks) => {
                    self.acks.extend(acks.iter());
                    Answer::Acks { command: i }
                }
                _ => self.act(&self.commands[i]).await?,
            });
        }
        self.orders.number(self.connection).await?;
        let announced = self.announced();
        let left = self.write(&announced).await?;
        let outcomes: Vec<Outcome> = answers
            .into_iter()
            .map(|answer| self.outcome(answer.expect("every command was answered above"), &left))
            .collect();
        commands::record(self.connection, self.cipher, self.commands, &open, &outcomes, attempt).await?;
        let events = rooms::number(self.connection, announced.events).await?;
        Ok(Committed { outcomes, events })
    }

    async fn load(&mut self, open: &[usize]) -> Result<(), Failure> {
        let (mut drafts, mut moves, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for &i in open {
            let Command { action, at, .. } = &self.commands[i];
            match action {
                Action::PlaceOrder(place) => {
                    drafts.push(&place.draft);
                    keys.extend(place.idempotency.as_ref().map(|key| (key, *at)));
                }
                Action::MoveOrder(wish) => moves.push(wish),
                Action::Keyed(keyed) => keys.push((&keyed.key, *at)),
                _ => {}
            }
        }
        self.keys.claim(self.connection, self.cipher, keys.into_iter()).await?;
        let ids = moves.iter().map(|wish| wish.order).collect();
        self.orders.lock(self.connection, self.cipher, ids).await?;
        let accepted = moves.iter().filter(|wish| wish.request.to == Status::Accepted);
        self.accepting = accepted.filter_map(|wish| Some(self.orders.get(wish.order)?.business_id)).collect();
        self.catalog.load(self.connection, drafts.into_iter(), &self.accepting).await
    }

    /// Reads the business again if a command of this batch has changed it.
    async fn refresh(&mut self, business: BusinessId) -> Result<(), Failure> {
        if !self.catalog.is_stale(business) {
            return Ok(());
        }
        let drafts = self.commands.iter().filter_map(|c| match &c.action {
            Action::PlaceOrder(place) => Some(&place.draft),
            _ => None,
        });
        self.catalog.load(self.connection, drafts, &self.accepting).await
    }

    async fn act(&mut self, command: &Command) -> Result<Answer, Failure> {
        match &command.action {
            Action::PlaceOrder(place) => self.place(command, place).await,
            Action::MoveOrder(request) => self.move_order(command, request).await,
            Action::Keyed(keyed) => self.keyed(keyed, command.at).await,
            action => self.single(action, command.at).await,
        }
    }

    /// Everything that concerns no other command of the batch.
    async fn single(&mut self, action: &Action, at: Timestamp) -> Result<Answer, Failure> {
        Ok(match action {
            Action::PlaceOrder(_) | Action::MoveOrder(_) | Action::Keyed(_) => {
                unreachable!("what has parts in common with others is done before this")
            }
            Action::PostNotification(notification) => {
                self.told.push(Told::Notification(notification.clone()));
                Outcome::Done.into()
            }
            Action::StoreAcks(_) => unreachable!("acknowledgements are gathered before this"),
            Action::StoreMark(mark) => acks::store_mark(self.connection, mark).await?.into(),
            Action::CreateUser(user) => super::accounts::create_user(self.connection, user).await?.into(),
            Action::SetPassword(set) => super::accounts::set_password(self.connection, set).await?.into(),
            Action::ApproveUser { user } => super::accounts::approve(self.connection, *user).await?.into(),
            Action::OpenSession(session) => {
                super::accounts::open_session(self.connection, session).await?.into()
            }
            Action::RotateSession(rotate) => {
                super::accounts::rotate_session(self.connection, rotate, at).await?.into()
            }
            Action::EndSession { session } => {
                super::accounts::end_session(self.connection, *session, at).await?.into()
            }
            Action::StoreActivity(seen) => {
                super::accounts::store_activity(self.connection, seen).await?.into()
            }
            Action::RedeemTicket { jti, expires_at } => {
                super::accounts::redeem_ticket(self.connection, jti, *expires_at).await?.into()
            }
            Action::CreateBusiness { business, owner } => {
                self.catalog.changed(business.id);
                super::businesses::create(self.connection, self.cipher, business, *owner).await?.into()
            }
            Action::UpdateBusiness { business, patch } => {
                self.catalog.changed(*business);
                super::businesses::update(self.connection, self.cipher, *business, patch, at).await?.into()
            }
            Action::AddItem { business, item } => {
                self.catalog.changed(*business);
                super::businesses::add_item(self.connection, *business, item).await?.into()
            }
            Action::UpdateItem { business, sku, patch } => {
                self.catalog.changed(*business);
                super::businesses::update_item(self.connection, *business, sku, patch).await?.into()
            }
            Action::RemoveItem { business, sku } => {
                self.catalog.changed(*business);
                super::businesses::remove_item(self.connection, *business, sku).await?.into()
            }
            Action::Purge { what, before, limit } => {
                upkeep::purge(self.connection, *what, *before, *limit).await?.into()
            }
            Action::ReadNotification { business, notification, user } => {
                super::businesses::read_notification(self.connection, *business, *notification, *user, at)
                    .await?
                    .into()
            }
            Action::Reseal { column, rows } => {
                rotation::reseal(self.connection, self.cipher, *column, rows).await?.into()
            }
            Action::RotateEpoch { epoch, below, limit } => {
                rotation::rotate_epoch(self.connection, *epoch, below.as_deref(), *limit).await?.into()
            }
            Action::RotateRoom { room, seen, epoch } => {
                identity::rotate_room(self.connection, *room, *seen, *epoch).await?.into()
            }
            Action::Sweep { what, before, after, limit } => {
                upkeep::sweep(self.connection, *what, *before, after.as_ref(), *limit).await?.into()
            }
            Action::IndexOrders { limit } => upkeep::index_orders(self.connection, *limit).await?.into(),
            Action::Analyze => upkeep::analyze(self.connection).await?.into(),
            Action::PutMember { business, user, role } => {
                super::businesses::put_member(self.connection, *business, *user, *role).await?.into()
            }
            Action::Invite(invitation) => {
                super::invitations::invite(self.connection, invitation, at).await?.into()
            }
            Action::AnswerInvitation { invitation, user, answer } => {
                super::invitations::answer(self.connection, *invitation, *user, *answer, at).await?.into()
            }
            Action::RemoveMember { business, user } => {
                super::businesses::remove_member(self.connection, *business, *user).await?.into()
            }
        })
    }

    async fn place(&mut self, command: &Command, place: &PlaceOrder) -> Result<Answer, Failure> {
        if let Some(key) = &place.idempotency {
            match self.keys.verdict(key) {
                Verdict::Free => {}
                Verdict::Kept(kept) => return Ok(Outcome::Placed(PlaceOutcome::Replayed(kept)).into()),
                Verdict::Step(step) => {
                    return Ok(Answer::Replayed { step, request_mac: key.request_mac.clone() });
                }
                Verdict::Reused => return Ok(Outcome::Placed(PlaceOutcome::KeyReused).into()),
            }
        }
        let draft = &place.draft;
        self.refresh(draft.business_id).await?;
        let (business, menu) = self.catalog.of(draft.business_id);
        let new = match order::place(draft.clone(), business, menu, command.at) {
            Ok(new) => new,
            Err(refusal) => return Ok(Outcome::Placed(PlaceOutcome::Refused(refusal)).into()),
        };
        let step = self.orders.add(new, command.at);
        self.told.push(Told::Step(step));
        if let Some(key) = &place.idempotency {
            self.keys.answered(key, By::Step(step));
        }
        Ok(Answer::Placed { step })
    }

    /// Does what has not been done under this key. Its answer is known before, and is kept if something was made.
    async fn keyed(&mut self, keyed: &Keyed, at: Timestamp) -> Result<Answer, Failure> {
        match self.keys.verdict(&keyed.key) {
            Verdict::Free => {}
            Verdict::Kept(kept) => return Ok(Outcome::Repeated(KeyedRepeat::Answered(kept)).into()),
            Verdict::Step(_) | Verdict::Reused => return Ok(Outcome::Repeated(KeyedRepeat::KeyReused).into()),
        }
        let answer = self.single(&keyed.action, at).await?;
        if let Answer::Final(outcome) = &answer
            && matches!(**outcome, Outcome::Done | Outcome::ItemAdded(Addition::Added))
        {
            let request_mac = keyed.key.request_mac.clone();
            let kept = KeptAnswer { request_mac, status: keyed.status, body: keyed.body.0.clone() };
            self.keys.answered(&keyed.key, By::Answer(kept));
        }
        Ok(answer)
    }

    async fn move_order(&mut self, command: &Command, wish: &MoveOrder) -> Result<Answer, Failure> {
        let mut terms = None;
        if wish.request.to == Status::Accepted
            && let Some(business) = self.orders.get(wish.order).map(|order| order.business_id)
        {
            self.refresh(business).await?;
            terms = self.catalog.of(business).0.map(|business| business.acceptance(command.at));
        }
        let Some(order) = self.orders.get_mut(wish.order) else {
            return Ok(Outcome::Moved(Err(MoveError::NoSuchOrder)).into());
        };
        let from = order.status;
        Ok(match order.apply(wish.request, wish.reason.as_deref(), terms, command.at) {
            Err(refusal) => Outcome::Moved(Err(MoveError::Refused(refusal))).into(),
            // A copy of its own, since the order's number may be still to come.
            Ok(Moved::Unchanged) => Answer::Moved { step: self.orders.look(wish.order) },
            Ok(Moved::Changed(_)) => {
                let party = wish.request.party;
                let step = self.orders.moved(wish, from, party, command.at);
                self.told.push(Told::Step(step));
                Answer::Moved { step }
            }
        })
    }

    fn outcome(&self, answer: Answer, left: &acks::Left<'_>) -> Outcome {
        let order = |step: usize| self.orders.step(step).order.clone();
        match answer {
            Answer::Final(outcome) => *outcome,
            Answer::Acks { command } => match &self.commands[command].action {
                Action::StoreAcks(acks) if left.has_any_of(acks) => Outcome::AcksLeft,
                _ => Outcome::Done,
            },
            Answer::Placed { step } => Outcome::Placed(PlaceOutcome::Placed(Box::new(order(step)))),
            Answer::Moved { step } => Outcome::Moved(Ok(Box::new(order(step)))),
            Answer::Replayed { step, request_mac } => Outcome::Placed(PlaceOutcome::Replayed(KeptAnswer {
                request_mac,
                status: CREATED,
                body: body(self.orders.step(step)),
            })),
        }
    }

    /// Notifications and events of everything that happened, in the order of the commands.
    fn announced(&self) -> Announced {
        let mut announced = Announced::default();
        for told in &self.told {
            match told {
                Told::Step(step) => {
                    let Step { order, at, .. } = self.orders.step(*step);
                    let notification = (order.status == Status::Placed)
                        .then(|| views::new_order_notification(order, NotificationId::generate(), *at));
                    let ids = [EventId::generate(), EventId::generate()];
                    for event in views::order_events(order, notification.as_ref(), ids, *at) {
                        announced.events.push((event, Some(order.id)));
                    }
                    announced.notifications.extend(notification);
                }
                Told::Notification(notification) => {
                    announced
                        .events
                        .push((views::notification_event(notification, EventId::generate()), None));
                    announced.notifications.push((**notification).clone());
                }
            }
        }
        announced
    }

    async fn write(&mut self, announced: &Announced) -> Result<acks::Left<'a>, Failure> {
        self.orders.write(self.connection, self.cipher).await?;
        rooms::write_notifications(self.connection, &announced.notifications).await?;
        let orders = &self.orders;
        self.keys.finish(self.connection, self.cipher, |step| body(orders.step(step))).await?;
        let acks = self.acks.iter().map(|received| &received.ack);
        devices::seen(self.connection, acks.map(|ack| (ack.user, ack.device.as_str(), ack.at))).await?;
        acks::store(self.connection, &self.acks).await
    }
}

/// The answer to the customer who placed it, byte for byte.
fn body(step: &Step) -> String {
    serde_json::to_string(&OrderView::new(&step.order, Contact::Shown))
        .expect("a view is made of texts and numbers")
}
