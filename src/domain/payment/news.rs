//! What the payment provider says, by a webhook or when it is asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{OrderId, PaymentId, RefundId};
use crate::domain::money::Currency;
use crate::domain::string_enum::string_enum;

string_enum! {
    /// The status in a message of the provider.
    pub enum NewsStatus {
        /// The payment was captured.
        Success = "SUCCESS",
        /// The payment was refused, or closed before it was paid.
        Failed = "FAILED",
        /// Money of the payment has gone back.
        Refunded = "REFUNDED",
        /// A refund of the payment did not arrive.
        RefundFailed = "REFUND_FAILED",
    }
}

/// News of a payment. It may come twice, late, and in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentNews {
    /// The payment it is about.
    pub payment: PaymentId,
    /// The order that the provider believes it pays.
    pub order: OrderId,
    /// The event at the provider.
    pub status: NewsStatus,
    /// How much, in minor units; the amount of the payment or of the refund unless given.
    pub amount_minor: Option<i64>,
    /// In which currency; that of the payment unless given.
    pub currency: Option<Currency>,
    /// The refund it is about; the one that is under way unless given.
    pub refund: Option<RefundId>,
    /// Whether it is about money that somebody else gave back, and so about no refund of the hub.
    #[serde(default)]
    pub is_foreign: bool,
}

impl PaymentNews {
    /// The same, told by a provider that names the refunds of the hub: what names none is about money that somebody else gave back.
    #[must_use]
    pub fn of_named_refunds(mut self) -> Self {
        let is_about_refund = matches!(self.status, NewsStatus::Refunded | NewsStatus::RefundFailed);
        self.is_foreign = is_about_refund && self.refund.is_none();
        self
    }
}

string_enum! {
    /// Why news changed nothing and needs a person.
    pub enum NewsRefusal {
        /// No such payment is known. It may be on its way, so this is tried again.
        UnknownPayment = "unknown_payment",
        /// The payment is one of another order.
        WrongOrder = "wrong_order",
        /// What was captured is less than what is due, or another currency.
        AmountMismatch = "amount_mismatch",
        /// The body is no message of the provider.
        Unreadable = "unreadable",
        /// It was worked on as often as it may be, and did not work.
        Failing = "failing",
    }
}

/// Pauses before news that could not be worked on is tried again; after the last it is a dead letter.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60)];

impl NewsRefusal {
    /// Whether it may pass by itself: the payment may become known, the handler may work the next time.
    pub const fn may_pass(self) -> bool {
        match self {
            Self::UnknownPayment | Self::Failing => true,
            Self::WrongOrder | Self::AmountMismatch | Self::Unreadable => false,
        }
    }

    /// The pause after so many attempts, the last of them included, give or take a fifth by `spread`, which is any number; `None`
    /// when it is a dead letter.
    pub fn pause(self, attempts: u32, spread: u64) -> Option<Duration> {
        let last = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let pause = PAUSES.get(last).filter(|_| self.may_pass())?;
        let percent = 80 + u32::try_from(spread % 41).unwrap_or(0);
        Some(*pause * percent / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_three_times_more_and_the_rest_never() {
        for refusal in NewsRefusal::ALL {
            for (attempts, pause) in [(1, 2), (2, 10), (3, 60)] {
                for spread in [0, 20, 40, 41, u64::MAX] {
                    let after = refusal.pause(attempts, spread);
                    assert_eq!(after.is_some(), refusal.may_pass(), "{refusal}");
                    if let Some(after) = after {
                        let (least, most) = (pause * 800, pause * 1200);
                        assert!((least..=most).contains(&(after.as_millis() as u64)), "{after:?}");
                    }
                }
            }
            assert_eq!(refusal.pause(4, 0), None, "{refusal}");
            assert_eq!(refusal.pause(0, 0), None, "{refusal}");
        }
    }
}
