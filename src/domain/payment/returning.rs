//! What the provider tells of refunds: ours, those that nobody here had asked for, and those that did not arrive.

use crate::domain::ids::{PaymentId, RefundId};
use crate::domain::time::Timestamp;

use super::ledger::{MoneyEffect, OrderMoney};
use super::model::{MoneyWay, Refund, RefundCause, RefundState};
use super::news::{NewsRefusal, PaymentNews};
use super::refunding::{ALARM_AFTER, CALL_WITHIN};
use super::table::RefundEvent;

impl OrderMoney {
    /// The provider says that money of a payment has gone back: a refund of ours, or one that nobody here had asked for.
    pub(super) fn returned(
        &mut self,
        news: &PaymentNews,
        new_refund: &mut impl FnMut() -> RefundId,
        now: Timestamp,
    ) -> Result<Vec<MoneyEffect>, NewsRefusal> {
        if let Some(id) = news.refund {
            let refund = self.refund(id).ok_or(NewsRefusal::AmountMismatch)?;
            let by_hand = refund.way != MoneyWay::Online;
            if refund.payment != news.payment || by_hand || !is_about(news, refund) {
                return Err(NewsRefusal::AmountMismatch);
            }
            return Ok(self.told_of(id, now));
        }
        if !news.is_foreign
            && let Some(effects) = self.told_without_id(news, now)
        {
            return Ok(effects);
        }
        let was_sent = |refund: &Refund| refund.payment == news.payment && refund.attempt > 0;
        if news.amount_minor.is_none() && !news.is_foreign && self.refunds.iter().any(was_sent) {
            // It says neither which nor how much, so it may be about one of ours that is long done.
            return Ok(Vec::new());
        }
        let mut after = self.clone();
        let effects = after.returned_outside(news, new_refund, now)?;
        *self = after;
        Ok(effects)
    }

    /// A message of the provider says that a refund is done.
    fn told_of(&mut self, id: RefundId, now: Timestamp) -> Vec<MoneyEffect> {
        if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) {
            refund.told = true;
        }
        self.said(id, RefundEvent::Done, now)
    }

    /// A message of the provider says how a refund ended. Messages come late: it may be about a try before the last one, or from before
    /// the refund came back. So one that was tried again, and one that is said to be done after it had failed, is asked about.
    fn said(&mut self, id: RefundId, event: RefundEvent, now: Timestamp) -> Vec<MoneyEffect> {
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) else { return Vec::new() };
        let is_first = refund.retries == 0;
        match (refund.state, event) {
            (RefundState::Sent | RefundState::Unknown, _) if !is_first => {
                refund.due_at = refund.due_at.map(|due| due.min(now.plus(CALL_WITHIN)));
                Vec::new()
            }
            // The provider is asked in any case before it is sent again.
            (RefundState::Due, _) if !is_first => Vec::new(),
            (RefundState::Failed, RefundEvent::Done) => self.doubt(id, now),
            (RefundState::Succeeded, RefundEvent::Refused) if !is_first => self.doubt(id, now),
            _ => {
                // A copy of the store that is older than the call.
                refund.first_sent_at.get_or_insert(now);
                self.refund_event(id, event, now)
            }
        }
    }

    /// Lets the provider be asked about a refund that had ended.
    fn doubt(&mut self, id: RefundId, now: Timestamp) -> Vec<MoneyEffect> {
        if self.apply(id, RefundEvent::Doubted, now)
            && let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id)
        {
            (refund.due_at, refund.alarm_at) = (Some(now), Some(now.plus(ALARM_AFTER)));
            refund.first_sent_at.get_or_insert(now);
        }
        Vec::new()
    }

    /// News without an id is about a refund that was sent, of that amount, of which no message has told yet; the provider may have said
    /// that it is done in its answer already. Where it may be about several that are on their way, the provider is asked about each.
    /// So it is about one that has failed, which it may be older than.
    /// `None`: it is about none of them.
    fn told_without_id(&mut self, news: &PaymentNews, now: Timestamp) -> Option<Vec<MoneyEffect>> {
        let is_it = |refund: &&mut Refund| {
            refund.payment == news.payment
                && refund.way == MoneyWay::Online
                && refund.cause != RefundCause::Outside
                && refund.attempt > 0
                // Each time that it was sent may be told of once.
                && (!refund.told || refund.retries > 0)
                && is_about(news, refund)
        };
        let (mut sent, mut done, mut failed) = (Vec::new(), Vec::new(), None);
        for refund in self.refunds.iter_mut().filter(is_it) {
            match refund.state {
                RefundState::Sent | RefundState::Unknown => sent.push(refund),
                RefundState::Succeeded => done.push(refund),
                RefundState::Due | RefundState::Failed => failed = Some(refund.id),
            }
        }
        if let ([one], [], None) = (sent.as_slice(), done.as_slice(), failed) {
            let id = one.id;
            return Some(self.told_of(id, now));
        }
        if sent.is_empty() && done.is_empty() {
            return failed.map(|id| self.told_of(id, now));
        }
        if let Some(done) = done.first_mut() {
            done.told = true;
        }
        for refund in sent {
            refund.due_at = refund.due_at.map(|due| due.min(now.plus(CALL_WITHIN)));
        }
        Some(Vec::new())
    }

    /// Books money that went back without our asking, and takes it off what was still to be sent. What it has changed when it
    /// refuses is of no use.
    fn returned_outside(
        &mut self,
        news: &PaymentNews,
        new_refund: &mut impl FnMut() -> RefundId,
        now: Timestamp,
    ) -> Result<Vec<MoneyEffect>, NewsRefusal> {
        let payment = self.payment(news.payment).ok_or(NewsRefusal::UnknownPayment)?.clone();
        let back = payment.captured_minor - payment.refunded_minor;
        // Without an amount it is all of it; a repetition of what is known finds nothing left.
        let mut rest = news.amount_minor.unwrap_or(back);
        if back == 0 && news.amount_minor.is_none() {
            return Ok(Vec::new());
        }
        if rest > back {
            return Err(NewsRefusal::AmountMismatch);
        }
        let waits = |one: &Refund| one.payment == payment.id && one.is_unsent();
        // Somebody did by hand there what the hub has not done: that one is done.
        let same = self.refunds.iter().rev().find(|one| waits(one) && one.amount_minor == rest);
        if let Some(id) = same.map(|one| one.id) {
            return Ok(self.done_outside(id, now));
        }
        let short = (rest - self.left_minor(&payment)).max(0);
        let (ended_minor, mut effects) = self.send_less(payment.id, short, now)?;
        rest -= ended_minor;
        if rest == 0 {
            return Ok(effects);
        }
        let id = new_refund();
        let mut outside = Refund::due(id, &payment, rest, RefundCause::Outside, now);
        (outside.due_at, outside.alarm_at) = (None, None);
        self.refunds.push(outside);
        effects.extend(self.done_outside(id, now));
        Ok(effects)
    }

    /// Lowers what is still to be sent of a payment by `short`, since it is not there any more. What has ended by that, in minor units.
    fn send_less(
        &mut self,
        payment: PaymentId,
        mut short: i64,
        now: Timestamp,
    ) -> Result<(i64, Vec<MoneyEffect>), NewsRefusal> {
        let waits = |one: &&Refund| one.payment == payment && one.is_unsent();
        let waiting: Vec<RefundId> = self.refunds.iter().filter(waits).map(|one| one.id).collect();
        let (mut ended_minor, mut effects) = (0, Vec::new());
        for id in waiting {
            let Some(refund) = self.refunds.iter_mut().find(|one| one.id == id) else { continue };
            let less = short.min(refund.amount_minor);
            short -= less;
            if less == refund.amount_minor {
                ended_minor += less;
                effects.extend(self.done_outside(id, now));
            } else if less > 0 {
                (refund.amount_minor, refund.updated_at) = (refund.amount_minor - less, now);
            }
        }
        if short > 0 { Err(NewsRefusal::AmountMismatch) } else { Ok((ended_minor, effects)) }
    }

    /// The money of a refund has gone back by somebody else's hand: what the provider says of earlier calls for it counts no more.
    fn done_outside(&mut self, id: RefundId, now: Timestamp) -> Vec<MoneyEffect> {
        if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) {
            (refund.told, refund.first_sent_at) = (true, None);
        }
        let mut effects = self.refund_event(id, RefundEvent::Done, now);
        effects.push(MoneyEffect::ReturnedOutside(id));
        effects
    }

    /// The provider says that a refund did not arrive, perhaps days after it had said that it did. One that a person has given by
    /// hand since is done.
    pub(super) fn bounced(
        &mut self,
        news: &PaymentNews,
        now: Timestamp,
    ) -> Result<Vec<MoneyEffect>, NewsRefusal> {
        if news.is_foreign {
            return Err(NewsRefusal::AmountMismatch);
        }
        let was_sent = |refund: &&Refund| refund.payment == news.payment && refund.attempt > 0;
        let mut sent = self.refunds.iter().filter(was_sent);
        let Some(id) = news.refund else { return self.bounced_without_id(news, now) };
        let refund = sent.find(|refund| refund.id == id).ok_or(NewsRefusal::AmountMismatch)?;
        if may_bounce(refund) { Ok(self.said(id, RefundEvent::Refused, now)) } else { Ok(Vec::new()) }
    }

    /// Where several may not have arrived, the provider is asked about each.
    fn bounced_without_id(
        &mut self,
        news: &PaymentNews,
        now: Timestamp,
    ) -> Result<Vec<MoneyEffect>, NewsRefusal> {
        let was_sent = |refund: &&Refund| refund.payment == news.payment && refund.attempt > 0;
        let those: Vec<&Refund> =
            self.refunds.iter().filter(was_sent).filter(|one| is_about(news, one)).collect();
        if those.is_empty() {
            return Err(NewsRefusal::AmountMismatch);
        }
        let is_clear = those.len() == 1;
        let open: Vec<RefundId> = those
            .into_iter()
            .filter(|one| may_bounce(one) && !matches!(one.state, RefundState::Due | RefundState::Failed))
            .map(|one| one.id)
            .collect();
        if let [one] = open.as_slice()
            && is_clear
        {
            return Ok(self.said(*one, RefundEvent::Refused, now));
        }
        for id in open {
            if self.refund(id).is_some_and(|refund| refund.state == RefundState::Succeeded) {
                self.doubt(id, now);
            } else if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) {
                refund.due_at = refund.due_at.map(|due| due.min(now.plus(CALL_WITHIN)));
            }
        }
        Ok(Vec::new())
    }
}

/// Whether the provider can say that a refund did not arrive: not of one that a person gave by hand, nor of one whose money went back
/// another way since.
fn may_bounce(refund: &Refund) -> bool {
    let is_elsewhere = refund.state == RefundState::Succeeded && refund.first_sent_at.is_none();
    refund.way == MoneyWay::Online && !is_elsewhere
}

/// Whether news may be about a refund by its amount.
fn is_about(news: &PaymentNews, refund: &Refund) -> bool {
    news.amount_minor.is_none_or(|amount| amount == refund.amount_minor)
}
