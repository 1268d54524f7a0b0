//! What the provider says: taken in, applied to the money of orders, tried again, or made a dead letter.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::time::Duration;

use crate::domain::ids::{OrderId, PaymentId, RefundId};
use crate::domain::payment::told::{DeadNews, dead_news_alarm};
use crate::domain::payment::{NewsRefusal, NewsStatus, PaymentNews};
use crate::storage::commands::{ApplyNews, NewsOutcome, NewsSource, Outcome, ReceiveMessage};
use crate::storage::sql::errors::TxError;

use super::super::answer::Answer;
use super::super::inbox::About;
use super::Transaction;

/// Pause before the provider is asked again about a payment of which it said what cannot be.
const ASK_AFTER_REFUSAL: Duration = Duration::from_secs(3600);

impl<'a> Transaction<'a> {
    pub(super) fn receive_message(&mut self, message: &'a ReceiveMessage) -> Answer {
        self.inbox.receive(message);
        Answer::Received { message: message.id }
    }

    /// Applies news, and says with its source what came of it.
    pub(super) async fn apply_news(&mut self, apply: &ApplyNews) -> Result<Answer, TxError> {
        if let NewsSource::Message { id, attempts } = apply.source
            && !self.inbox.is_at(id, attempts)
        {
            return Ok(Outcome::NewsApplied(NewsOutcome::Outdated).into());
        }
        let heard = match (&apply.news, apply.order) {
            (Err(refusal), _) => Err(*refusal),
            (Ok(_), None) => Err(NewsRefusal::UnknownPayment),
            (Ok(news), Some(order)) => self.hear(news, order).await?,
        };
        let outcome = match heard {
            Ok(()) => {
                match (apply.source, &apply.news) {
                    (NewsSource::Message { id, .. }, _) => self.inbox.done(id, self.now),
                    (NewsSource::Asked, Ok(news)) => self.inbox.asked(news.payment),
                    (NewsSource::Asked, Err(_)) => {}
                }
                NewsOutcome::Applied
            }
            Err(refusal) => self.refuse(apply, refusal).await?,
        };
        Ok(Outcome::NewsApplied(outcome).into())
    }

    async fn hear(&mut self, news: &PaymentNews, order: OrderId) -> Result<Result<(), NewsRefusal>, TxError> {
        let takes = news.status == NewsStatus::Success && self.takes_paid(order).await?;
        let heard = self
            .with_money(order, |money, order, now| money.hear(news, order, takes, RefundId::generate, now));
        Ok(match heard {
            None => Err(NewsRefusal::UnknownPayment),
            Some(Err(refusal)) => Err(refusal),
            Some(Ok(effects)) => {
                self.follow_money(order, &effects);
                if news.status == NewsStatus::Failed {
                    self.payment_closed(order);
                }
                Ok(())
            }
        })
    }

    async fn refuse(&mut self, apply: &ApplyNews, refusal: NewsRefusal) -> Result<NewsOutcome, TxError> {
        let payment = apply.news.as_ref().ok().map(|news| news.payment);
        let named = apply.news.as_ref().ok().map(|news| news.order);
        let about = About { order: apply.order.or(named), payment };
        let dead = match (apply.source, payment) {
            (NewsSource::Message { id, .. }, _) => self.inbox.refused(id, refusal, about, self.now),
            (NewsSource::Asked, Some(payment)) => {
                let is_new = !self.inbox.is_dead(self.connection, payment).await?;
                self.ask_later(about.order, payment);
                is_new.then(|| (self.inbox.bury_answer(payment, refusal, about, self.now), about))
            }
            // Nobody says of what.
            (NewsSource::Asked, None) => None,
        };
        let Some((letter, about)) = dead else {
            return Ok(match apply.source {
                NewsSource::Message { .. } => NewsOutcome::Again { refusal },
                NewsSource::Asked => NewsOutcome::Dead { refusal },
            });
        };
        let (order, payment) = (about.order, about.payment);
        let dead = DeadNews { letter, reason: refusal, business: apply.business, order, payment };
        self.alarm(dead_news_alarm(dead));
        Ok(NewsOutcome::Dead { refusal })
    }

    fn ask_later(&mut self, order: Option<OrderId>, payment: PaymentId) {
        let at = self.now.plus(ASK_AFTER_REFUSAL);
        if let Some(order) = order {
            self.with_money(order, |money, _, _| money.ask_again(payment, at));
        }
    }
}
