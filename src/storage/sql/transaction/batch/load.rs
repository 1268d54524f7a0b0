//! What a batch locks and reads before anything is decided: businesses, orders, what orders have, messages.

use std::collections::BTreeSet;

use crate::domain::ids::{BusinessId, OrderId, PaymentMessageId, UserId};
use crate::domain::order::{Draft, Status};
use crate::domain::saga::DeadlineKind;
use crate::storage::commands::{Change, FireDeadline, IdempotencyKey, NewsSource, Write};
use crate::storage::sql::errors::TxError;

use super::super::deadline_facts::DeadlineFacts;
use super::super::deliveries::DeliveryWants;
use super::Transaction;
use super::money::has_money;

/// What the writes of a batch are about.
#[derive(Default)]
struct Wanted<'a> {
    drafts: Vec<&'a Draft>,
    keys: Vec<&'a IdempotencyKey>,
    fires: Vec<&'a FireDeadline>,
    businesses: BTreeSet<BusinessId>,
    orders: BTreeSet<OrderId>,
    /// Orders whose saga may change.
    sagas: BTreeSet<OrderId>,
    /// Orders whose money may change.
    moneys: BTreeSet<OrderId>,
    /// Orders that somebody wants to end: then they may owe what was paid.
    ends: BTreeSet<OrderId>,
    messages: BTreeSet<PaymentMessageId>,
    /// Deliveries, offers and drivers; those of orders are known when the orders are.
    deliveries: DeliveryWants,
    /// Businesses that are read.
    read: BTreeSet<BusinessId>,
    /// Whether something is judged by whether the hub was there.
    needs_sign_of_life: bool,
}

impl<'a> Wanted<'a> {
    fn name(&mut self, write: &'a Write) {
        name_business(write, &mut self.businesses);
        match write {
            Write::PlaceOrder(place) => {
                self.drafts.push(&place.draft);
                self.keys.extend(place.idempotency.as_ref());
            }
            Write::MoveOrder(wish) => {
                self.with_saga(wish.order);
                if wish.request.to.is_end_without_delivery() {
                    self.ends.insert(wish.order);
                }
            }
            Write::ChangeOrder(change) => self.with_saga(change.order),
            Write::RingOrder(ring) => self.with_saga(ring.order),
            Write::FireDeadline(fire) => {
                self.with_saga(fire.order);
                self.fires.push(fire);
            }
            Write::Keyed(keyed) => {
                self.keys.push(&keyed.key);
                self.name_money(&keyed.write);
                self.name_delivery(&keyed.write);
            }
            write => {
                self.name_money(write);
                self.name_delivery(write);
            }
        }
    }

    fn name_delivery(&mut self, write: &Write) {
        match write {
            Write::OpenWave(open) => {
                self.with_delivery(open.order, open.business);
                let drivers = open.wave.candidates.iter().map(|candidate| candidate.driver);
                self.deliveries.candidates.extend(drivers.clone());
                self.deliveries.drivers.extend(drivers);
            }
            Write::AnswerOffer(answer) => {
                self.with_delivery(answer.order, answer.business);
                self.deliveries.offers.insert(answer.offer);
                self.with_withdrawals(answer.driver);
            }
            Write::ReportStep(step) => self.with_delivery(step.order, step.business),
            Write::AssignDriver(assign) => {
                self.with_delivery(assign.order, assign.business);
                self.with_withdrawals(assign.driver);
                self.deliveries.unmade.insert(assign.driver);
            }
            Write::LeaveDelivery(leave) => self.with_delivery(leave.order, leave.business),
            Write::ChangeWay(change) => self.with_delivery(change.order, change.business),
            Write::ExtendSearch(extend) => self.with_delivery(extend.order, extend.business),
            Write::LookAgain(look) => self.with_delivery(look.order, look.business),
            Write::ChangeDriver(change) => self.with_own_row(change.driver),
            Write::SetDriverOnline(set) => self.with_own_row(set.driver),
            Write::ApproveZones(approve) => self.with_own_row(approve.driver),
            Write::SuspendUser(suspend) => self.with_withdrawals(suspend.user),
            Write::EndSilentDrivers(_) => self.needs_sign_of_life = true,
            _ => {}
        }
    }

    fn with_delivery(&mut self, order: OrderId, business: BusinessId) {
        self.with_saga(order);
        self.read.insert(business);
        self.needs_sign_of_life = true;
    }

    fn with_withdrawals(&mut self, driver: UserId) {
        self.deliveries.drivers.insert(driver);
        self.deliveries.withdrawing.insert(driver);
    }

    fn with_own_row(&mut self, driver: UserId) {
        self.with_withdrawals(driver);
        self.deliveries.unmade.insert(driver);
    }

    fn name_money(&mut self, write: &Write) {
        match write {
            Write::InitiatePayment(wish) => self.with_money(wish.order),
            Write::PaymentOpened(opened) => self.with_money(opened.order),
            Write::RecordPayment(record) => {
                self.with_saga(record.order);
                self.with_money(record.order);
            }
            Write::ApplyNews(news) => {
                if let NewsSource::Message { id, .. } = news.source {
                    self.messages.insert(id);
                }
                if let Some(order) = news.order {
                    self.with_saga(order);
                    self.with_money(order);
                }
            }
            Write::AskPaymentAgain(ask) => self.with_money(ask.order),
            Write::DemandRefund(wish) => self.with_money(wish.order),
            Write::BeginRefund(begin) => self.with_money(begin.order),
            Write::RefundAnswered(answered) => self.with_money(answered.order),
            Write::RefundLate(late) => self.with_money(late.order),
            Write::HandleRefund(wish) => self.with_money(wish.order),
            _ => {}
        }
    }

    fn with_saga(&mut self, order: OrderId) {
        self.orders.insert(order);
        self.sagas.insert(order);
    }

    fn with_money(&mut self, order: OrderId) {
        self.orders.insert(order);
        self.moneys.insert(order);
    }
}

impl<'a> Transaction<'a> {
    /// Reads the business again if a command of this batch has changed it.
    pub(super) async fn refresh(&mut self, business: BusinessId) -> Result<(), TxError> {
        if !self.catalog.is_stale(business) {
            return Ok(());
        }
        let drafts = self.commands.iter().filter_map(|command| {
            let Write::PlaceOrder(place) = &command.write else { return None };
            Some(&place.draft)
        });
        self.catalog.reload(self.connection, drafts).await
    }

    pub(super) async fn load(&mut self, open: &[usize]) -> Result<(), TxError> {
        let mut wanted = Wanted::default();
        for &i in open {
            wanted.name(&self.commands[i].write);
        }
        let Wanted { drafts, keys, fires, businesses, orders, sagas, mut moneys, ends, messages, .. } =
            wanted;
        let (mut deliveries, read) = (wanted.deliveries, wanted.read);
        self.keys.claim(self.connection, self.cipher, keys, self.now).await?;
        if !fires.is_empty() || wanted.needs_sign_of_life {
            self.facts = DeadlineFacts::begin(self.connection, self.clocks.clone(), self.now).await?;
        }
        self.catalog.lock(self.connection, businesses).await?;
        self.orders.lock(self.connection, self.cipher, &orders).await?;
        let places = open.iter().filter_map(|&i| self.commands[i].write.as_place());
        self.orders.count_waiting(self.connection, places).await?;
        self.sagas.load(self.connection, &sagas).await?;
        let due: BTreeSet<OrderId> =
            fires.iter().filter(|fire| self.is_due(fire)).map(|fire| fire.order).collect();
        moneys.extend(ends.union(&self.ending(&due)).filter(|id| self.has_money(**id)));
        self.moneys.load(self.connection, &moneys).await?;
        let unpaid = self.unpaid(&due);
        self.inbox.look_for(self.connection, &unpaid).await?;
        self.inbox.lock(self.connection, &messages).await?;
        deliveries.orders.extend(sagas.iter().filter(|id| self.has_delivery(**id)));
        self.deliveries.load(self.connection, self.cipher, deliveries, self.now).await?;
        self.facts.load(self.connection, &due, self.now).await?;
        self.catalog.load(self.connection, drafts.into_iter(), read).await
    }

    fn has_delivery(&self, order: OrderId) -> bool {
        self.orders.get(order).is_some_and(|order| order.delivery.is_some())
    }

    fn has_money(&self, order: OrderId) -> bool {
        self.orders.get(order).is_some_and(has_money)
    }

    /// Those of these orders that a deadline may end.
    fn ending(&self, due: &BTreeSet<OrderId>) -> BTreeSet<OrderId> {
        let ends = |order: &&OrderId| {
            let kind = self.sagas.get(**order).and_then(|saga| saga.saga.next_kind());
            match kind {
                Some(
                    DeadlineKind::Unpaid
                    | DeadlineKind::Accept
                    | DeadlineKind::Forgotten
                    | DeadlineKind::Dispatch,
                ) => true,
                Some(DeadlineKind::Alert | DeadlineKind::Progress) | None => false,
            }
        };
        due.iter().filter(ends).copied().collect()
    }

    /// Those of these orders that wait for their payment.
    fn unpaid(&self, due: &BTreeSet<OrderId>) -> BTreeSet<OrderId> {
        let waits =
            |id: &&OrderId| self.orders.get(**id).is_some_and(|order| order.status == Status::PendingPayment);
        due.iter().filter(waits).copied().collect()
    }
}

/// Names the business that a write changes, counts or answers for.
fn name_business(write: &Write, businesses: &mut BTreeSet<BusinessId>) {
    match write.unkeyed() {
        Write::MoveOrder(wish)
            if matches!(wish.request.to, Status::Placed | Status::Accepted | Status::Rejected) =>
        {
            businesses.insert(wish.business);
        }
        Write::PutMember(put) => _ = businesses.insert(put.business),
        Write::RemoveMember(remove) => _ = businesses.insert(remove.business),
        Write::Invite(invite) => _ = businesses.insert(invite.business),
        write => write.each_change(&mut |change| {
            if let Change::Business(business) | Change::Menu(business) = change {
                businesses.insert(business);
            }
        }),
    }
}
