//! What is done about one row: ask the provider where it is needed, and write what came of it. Everything here can be dropped at any await
//! and done again by whoever finds the row.

use std::sync::Arc;
use std::time::Duration;

use crate::actors::persistence::{Persistence, SubmitError};
use crate::domain::ids::PaymentId;
use crate::domain::payment::{NewsStatus, PaymentNews, Refund, RefundAnswer, RefundStep, may_be_opening};
use crate::domain::time::Timestamp;
use crate::fail_point;
use crate::outbound::{PaymentProvider, Payments, ProviderError, ProviderPayment, SendRefund};
use crate::protocol::payment_message::PaymentMessage;
use crate::storage::commands::{
    ApplyNews, AskPaymentAgain, BeginRefund, NewsOutcome, NewsSource, RefundAnswered, RefundBegun, RefundLate,
};
use crate::storage::{DueMessage, DueRefund, PaymentToAsk, Store};

use super::settings::ASK_EVERY;

/// What the work needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) store: Arc<dyn Store>,
    pub(super) persistence: Persistence,
    pub(super) payments: Payments,
}

/// Whether a row says what came of it; if not, it stays due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worked {
    /// It does.
    Done,
    /// It does not.
    Left,
}

impl Work {
    /// Applies a message of the provider. A message that cannot be worked on is for the write to judge; that it could not be written
    /// spends none of its attempts.
    pub(super) async fn message(self, message: DueMessage) -> Worked {
        fail_point::reach("message_read");
        let mut news = PaymentMessage::read(&message.body.0).news;
        if self.payments.settings().names_refunds {
            news = news.map(PaymentNews::of_named_refunds);
        }
        let (order, business) = message.payment.unzip();
        let source = NewsSource::Message { id: message.id, attempts: message.attempts };
        let written = self.apply(ApplyNews { source, business, order, news }).await;
        fail_point::reach("message_applied");
        match written {
            Ok(outcome) => {
                if let NewsOutcome::Dead { refusal } = outcome {
                    tracing::warn!(message = %message.id, %refusal, "a message of the payment provider is a dead letter");
                }
                Worked::Done
            }
            Err(error) => {
                tracing::warn!(message = %message.id, %error, "a message of the payment provider was not worked on");
                Worked::Left
            }
        }
    }

    async fn apply(&self, news: ApplyNews) -> Result<NewsOutcome, SubmitError> {
        self.persistence.write(Box::new(news)).await
    }

    /// Closes an open payment at the provider and applies what it says became of it.
    pub(super) async fn ask(self, asked: PaymentToAsk) -> Worked {
        let now = self.store.clock().now();
        let stands = match self.payments.provider() {
            Some(provider) => closed(provider, asked.payment).await,
            None => None,
        };
        let written = match stands.and_then(|stands| news(&asked, &stands, now)) {
            Some(news) => self.asked(&asked, news).await,
            None => self.ask_again(&asked).await,
        };
        match written {
            Ok(()) => Worked::Done,
            Err(error) => {
                tracing::warn!(payment = %asked.payment, %error, "what became of a payment was not stored");
                Worked::Left
            }
        }
    }

    async fn asked(&self, asked: &PaymentToAsk, news: PaymentNews) -> Result<(), SubmitError> {
        let (business, order) = (Some(asked.business), Some(asked.order));
        let apply = ApplyNews { source: NewsSource::Asked, business, order, news: Ok(news) };
        // What does not fit is a dead letter, and says itself when the provider is asked again.
        self.apply(apply).await?;
        fail_point::reach("void_applied");
        Ok(())
    }

    async fn ask_again(&self, asked: &PaymentToAsk) -> Result<(), SubmitError> {
        let at = self.store.clock().now().plus(ASK_EVERY);
        let PaymentToAsk { payment, order, business, .. } = *asked;
        self.persistence.write(AskPaymentAgain { payment, order, business, at }).await
    }

    /// Makes an attempt at a refund: the row says so first, then the provider is told, then the row says what came of it.
    pub(super) async fn refund(self, due: DueRefund) -> Worked {
        fail_point::reach("refund_due");
        let DueRefund { refund, order, business, attempt, .. } = due;
        let begun = match self.persistence.write(BeginRefund { refund, order, business, attempt }).await {
            Ok(Some(begun)) => begun,
            // Another node has begun it, or it has ended.
            Ok(None) => return Worked::Done,
            Err(error) => {
                tracing::warn!(%refund, %error, "a refund was not begun");
                return Worked::Left;
            }
        };
        fail_point::reach("refund_begun");
        let answer = self.send(&due, &begun).await;
        fail_point::reach("refund_sent");
        let word = answer.as_str();
        tracing::info!(%refund, %order, attempt = begun.attempt, answer = word, "a refund was sent");
        let answered = RefundAnswered { refund, order, business, attempt: begun.attempt, answer };
        match self.persistence.write(Box::new(answered)).await {
            Ok(()) => {
                fail_point::reach("refund_answered");
                Worked::Done
            }
            Err(error) => {
                tracing::warn!(%refund, %error, "what came of a refund was not stored; the provider will be asked");
                Worked::Left
            }
        }
    }

    async fn send(&self, due: &DueRefund, begun: &RefundBegun) -> RefundAnswer {
        let Some(provider) = self.payments.provider() else { return RefundAnswer::NoAnswer };
        let send = SendRefund {
            refund: due.refund,
            payment: begun.payment,
            amount_minor: begun.amount_minor,
            currency: begun.currency,
            key: begun.key.clone(),
        };
        if begun.step == RefundStep::Send {
            return sent(provider, &send).await;
        }
        let Ok(stored) = self.store.refund(due.refund).await else { return RefundAnswer::NoAnswer };
        let Some(stored) = stored else { return RefundAnswer::NoAnswer };
        let known = provider.refund_state(due.refund).await;
        fail_point::reach("refund_asked");
        match after_look_up(known, begun.step, self.key_is_known(&stored.refund), stored.refund.retries) {
            LookedUp::Answer(answer) => answer,
            LookedUp::SendIt => sent(provider, &send).await,
        }
    }

    /// Whether the provider certainly knows the key of this refund, if it was ever told.
    fn key_is_known(&self, refund: &Refund) -> bool {
        let ttl = Duration::from_secs(self.payments.settings().key_ttl_s);
        let now = self.store.clock().now();
        refund.first_sent_at.is_some_and(|first| now.since(first) < ttl)
    }

    /// Tells operators of a refund that has not succeeded in its time.
    pub(super) async fn late(self, late: DueRefund) -> Worked {
        let DueRefund { refund, order, business, .. } = late;
        match self.persistence.write(RefundLate { refund, order, business }).await {
            Ok(()) => Worked::Done,
            Err(error) => {
                tracing::warn!(%refund, %error, "operators were not told of a refund that is late");
                Worked::Left
            }
        }
    }
}

/// How a payment stands after the provider was told to close it; `None` when it does not say.
async fn closed(provider: &dyn PaymentProvider, payment: PaymentId) -> Option<ProviderPayment> {
    fail_point::reach("void_asked");
    let answer = match provider.void(payment).await {
        // Some refuse to close what is captured, and some answers are lost.
        Err(ProviderError::Refused(_) | ProviderError::Unknown(_)) => provider.payment(payment).await,
        answer => answer,
    };
    fail_point::reach("void_answered");
    answer.inspect_err(|error| tracing::warn!(%payment, %error, "a payment was not closed")).ok()
}

/// What the provider says, asked at `now`, as news; `None` while it is open, or may still be opened.
fn news(asked: &PaymentToAsk, stands: &ProviderPayment, now: Timestamp) -> Option<PaymentNews> {
    let (status, amount_minor, currency) = match stands {
        ProviderPayment::Open => return None,
        ProviderPayment::Unknown if may_be_opening(asked.begun_at, now) => return None,
        ProviderPayment::Captured { amount_minor, currency } => {
            (NewsStatus::Success, *amount_minor, *currency)
        }
        // What it does not know was never opened: nobody can pay it.
        ProviderPayment::Closed | ProviderPayment::Unknown => (NewsStatus::Failed, None, None),
    };
    let PaymentToAsk { payment, order, .. } = *asked;
    Some(PaymentNews { payment, order, status, amount_minor, currency, refund: None, is_foreign: false })
}

async fn sent(provider: &dyn PaymentProvider, send: &SendRefund) -> RefundAnswer {
    match provider.refund(send).await {
        Ok(answer) => answer,
        Err(ProviderError::Refused(why)) => {
            tracing::warn!(refund = %send.refund, why, "the payment provider refuses a refund");
            RefundAnswer::Refused
        }
        Err(error @ (ProviderError::Unavailable(_) | ProviderError::Unknown(_))) => {
            tracing::warn!(refund = %send.refund, %error, "a refund has no answer");
            RefundAnswer::NoAnswer
        }
    }
}

/// What follows from a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LookedUp {
    /// The refund stands like this.
    Answer(RefundAnswer),
    /// It is to be sent, with its key.
    SendIt,
}

/// What follows from what the provider says about a refund that may have been sent. It is sent again only when the provider says that it
/// does not have it, or when its key makes certain that it does not happen twice.
fn after_look_up(
    known: Result<Option<RefundAnswer>, ProviderError>,
    step: RefundStep,
    key_is_known: bool,
    retries: u32,
) -> LookedUp {
    let is_retry = retries > 0;
    match known {
        Ok(Some(done @ (RefundAnswer::Done { .. } | RefundAnswer::Pending { .. }))) => LookedUp::Answer(done),
        Ok(None) => LookedUp::SendIt,
        // This may be the attempt before the operator's retry. The key of the retry tells, while it is known.
        Ok(Some(RefundAnswer::Refused)) if step == RefundStep::SendAgain || (is_retry && key_is_known) => {
            LookedUp::SendIt
        }
        Ok(Some(answer)) => LookedUp::Answer(answer),
        // A retry has a key of its own, which says nothing about the attempts before it.
        Err(ProviderError::Refused(_) | ProviderError::Unknown(_)) if key_is_known && !is_retry => {
            LookedUp::SendIt
        }
        Err(_) => LookedUp::Answer(RefundAnswer::NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{BusinessId, OrderId};
    use crate::domain::time::Timestamp;

    #[test]
    fn a_refund_is_sent_again_only_when_it_cannot_happen_twice() {
        use RefundStep::{LookUp, SendAgain};
        let done = || Ok(Some(RefundAnswer::Done { reference: None }));
        let pending = || Ok(Some(RefundAnswer::Pending { reference: None }));
        let refused = || Ok(Some(RefundAnswer::Refused));
        let away = || Err(ProviderError::Unavailable(String::new()));
        let silent = || Err(ProviderError::Unknown(String::new()));
        let none = || Ok(None);
        for (known, step, key_is_known, retries, sends) in [
            (done(), LookUp, true, 0, false),
            (done(), SendAgain, true, 1, false),
            (pending(), LookUp, false, 0, false),
            (pending(), SendAgain, true, 1, false),
            (none(), LookUp, true, 0, true),
            (none(), LookUp, false, 0, true),
            (none(), SendAgain, true, 1, true),
            (refused(), LookUp, true, 0, false),
            (refused(), SendAgain, true, 1, true),
            (refused(), LookUp, true, 1, true),
            (refused(), LookUp, false, 1, false),
            (silent(), LookUp, true, 0, true),
            (silent(), LookUp, false, 0, false),
            (silent(), LookUp, true, 1, false),
            (silent(), SendAgain, true, 1, false),
            (away(), LookUp, true, 0, false),
        ] {
            let case = format!("{known:?} {step:?} {key_is_known} {retries}");
            let after = after_look_up(known, step, key_is_known, retries);
            assert_eq!(after == LookedUp::SendIt, sends, "{case}");
        }
    }

    #[test]
    fn a_payment_that_the_provider_has_closed_or_never_had_is_failed_and_an_open_one_is_asked_about_again() {
        let asked = PaymentToAsk {
            payment: PaymentId::generate(),
            order: OrderId::generate(),
            business: BusinessId::generate(),
            ask_at: Timestamp::from_unix_seconds(1),
            begun_at: Timestamp::from_unix_seconds(1),
        };
        let later = Timestamp::from_unix_seconds(60);
        let status = |stands: ProviderPayment| news(&asked, &stands, later).map(|news| news.status);
        let captured = ProviderPayment::Captured { amount_minor: Some(250), currency: None };
        assert_eq!(status(captured), Some(NewsStatus::Success));
        assert_eq!(status(ProviderPayment::Closed), Some(NewsStatus::Failed));
        assert_eq!(status(ProviderPayment::Unknown), Some(NewsStatus::Failed));
        assert_eq!(status(ProviderPayment::Open), None);
        let at_once = news(&asked, &ProviderPayment::Unknown, asked.ask_at);
        assert_eq!(at_once, None, "the call that opens it may still be on its way");
    }
}
