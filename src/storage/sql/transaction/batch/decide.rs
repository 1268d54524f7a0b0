//! Deciding on drafts, moves, and what is done once for a key.

use crate::domain::order::{self, Moved, PlaceRefusal};
use crate::domain::saga::OrderSaga;
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    Aftermath, Keyed, KeyedRepeat, MoveError, MoveOrder, Outcome, PlaceOrder, PlaceOutcome, StoredResponse,
    Write, WriteOfJob,
};
use crate::storage::sql::errors::TxError;

use super::super::answer::Answer;
use super::super::deadline_facts::saga_terms;
use super::super::idempotency::{By, KeyState};
use super::super::jobs;
use super::super::orders::Mover;
use super::{Source, Transaction};

impl Transaction<'_> {
    /// Decides on a draft; the order's saga begins with it.
    pub(super) async fn place(&mut self, place: &PlaceOrder) -> Result<Answer, TxError> {
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
        let mut new = match order::place(draft.clone(), business, menu, self.now) {
            Ok(new) => new,
            Err(refusal) => return Ok(Outcome::Placed(PlaceOutcome::Refused(refusal)).into()),
        };
        if self.orders.is_full_for(place) {
            return Ok(Outcome::Placed(PlaceOutcome::Refused(PlaceRefusal::TooManyWaiting)).into());
        }
        let terms = business.map(saga_terms).unwrap_or_default();
        let saga = OrderSaga::begin(&mut new.order, terms, &self.clocks, self.now);
        self.sagas.begin(&new.order, saga);
        let step = self.orders.add(new, self.now);
        self.sources.push(Source::Step(step));
        if let Some(key) = &place.idempotency {
            self.keys.answered(key, By::Order { step, respond: place.respond });
        }
        Ok(Answer::Placed { step })
    }

    /// Does what has not been done under this key. Its answer is known before, and is kept if something was made.
    pub(super) async fn keyed(&mut self, keyed: &Keyed, at: Timestamp) -> Result<Answer, TxError> {
        match self.keys.state_of(&keyed.key) {
            KeyState::Free => {}
            KeyState::Kept(kept) => return Ok(Outcome::Repeated(KeyedRepeat::Answered(kept)).into()),
            KeyState::Step(_) | KeyState::Reused => {
                return Ok(Outcome::Repeated(KeyedRepeat::KeyReused).into());
            }
        }
        let answer = self.unkeyed(&keyed.write, at).await?;
        if answer.has_made_something() {
            let request_mac = keyed.key.request_mac.clone();
            let kept = StoredResponse { request_mac, status: keyed.status, body: keyed.body.0.clone() };
            self.keys.answered(&keyed.key, By::Answer(kept));
        }
        Ok(answer)
    }

    /// Does a write of a job, unless another node has taken the job.
    pub(super) async fn of_job(&mut self, step: &WriteOfJob, at: Timestamp) -> Result<Answer, TxError> {
        if jobs::holds(self.connection, step.held, self.now).await? {
            self.unkeyed(&step.write, at).await
        } else {
            Ok(Outcome::JobLost.into())
        }
    }

    /// Does a write that may be done once for a key.
    pub(super) async fn unkeyed(&mut self, write: &Write, at: Timestamp) -> Result<Answer, TxError> {
        match write {
            Write::InitiatePayment(wish) => Ok(self.initiate_payment(wish)),
            Write::PaymentOpened(opened) => Ok(self.payment_opened(opened)),
            Write::RecordPayment(record) => self.record_payment(record).await,
            Write::ApplyNews(news) => self.apply_news(news).await,
            Write::AskPaymentAgain(ask) => Ok(self.ask_payment_again(*ask)),
            Write::DemandRefund(wish) => Ok(self.demand_refund(wish)),
            Write::BeginRefund(begin) => Ok(self.begin_refund(*begin)),
            Write::RefundAnswered(answered) => Ok(self.refund_answered(answered)),
            Write::RefundLate(late) => Ok(self.refund_late(*late)),
            Write::HandleRefund(wish) => Ok(self.handle_refund(wish)),
            Write::AnswerOffer(answer) => Ok(self.answer_offer(answer)),
            Write::ReportStep(wish) => self.report_step(wish).await,
            Write::AssignDriver(wish) => Ok(self.assign_driver(*wish)),
            Write::LeaveDelivery(wish) => Ok(self.leave_delivery(wish)),
            Write::ChangeWay(wish) => Ok(self.change_way(*wish)),
            Write::ExtendSearch(wish) => Ok(self.extend_search(*wish)),
            Write::ChangeDriver(wish) => Ok(self.change_driver(wish)),
            Write::SetDriverOnline(wish) => Ok(self.set_driver_online(*wish)),
            Write::ApproveZones(wish) => Ok(self.approve_zones(wish)),
            Write::EndSilentDrivers(wish) => self.end_silent_drivers(*wish).await,
            Write::SuspendUser(wish) => self.suspend_user(*wish, at).await,
            write => self.single(write, at).await,
        }
    }

    /// Moves an order, and its saga with it. A person's answer begins the count of unanswered orders anew.
    pub(super) async fn move_order(&mut self, wish: &MoveOrder) -> Result<Answer, TxError> {
        let business = self.orders.get(wish.order).map(|order| order.business_id);
        if let Some(business) = business {
            self.refresh(business).await?;
        }
        let business = business.and_then(|business| self.catalog.of(business).0);
        let terms = business.map(|business| business.acceptance(self.now));
        let saga_terms = business.map(saga_terms).unwrap_or_default();
        let Some(order) = self.orders.get_mut(wish.order) else {
            return Ok(Outcome::Moved(Err(MoveError::NoSuchOrder)).into());
        };
        let (from, party) = (order.status, wish.request.party);
        let (is_silent, payment) = (wish.aftermath == Aftermath::Nothing, order.payment_status);
        let follows = match order.apply(wish.request, wish.reason.as_deref(), terms, self.now) {
            Err(refusal) => return Ok(Outcome::Moved(Err(MoveError::Refused(refusal))).into()),
            // A copy of its own, since the order's number may be still to come.
            Ok(Moved::Unchanged) => return Ok(Answer::Moved { step: self.orders.unchanged(wish.order) }),
            Ok(Moved::Changed(_)) if is_silent => {
                order.payment_status = payment;
                &[]
            }
            Ok(Moved::Changed(follows)) => follows,
        };
        if let Some(saga) = self.sagas.of(order.id, order.business_id) {
            saga.saga.moved(order, from, party, saga_terms, &self.clocks, self.now);
            self.sagas.changed(order.id);
        }
        self.catalog.count(order.business_id, |business| business.alerts.answered(order, from, party));
        self.follow_move(wish.order, party)?;
        if is_silent {
            self.sagas.silence(wish.order);
        } else {
            self.settle(wish.order).await?;
        }
        let mover = Mover { party, user: wish.user, reason: wish.reason.clone() };
        let step = self.orders.moved(wish.order, from, follows, mover, self.now);
        self.sources.push(Source::Step(step));
        Ok(Answer::Moved { step })
    }
}
