//! Payments, refunds, and messages of the payment provider.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{BusinessId, DeadLetterId, OrderId, PaymentId, PaymentMessageId, RefundId, UserId};
use crate::domain::order::Order;
use crate::domain::payment::{
    InitiateRefusal, MoneyWay, NewsRefusal, PaymentNews, RecordRefusal, Recorded, RefundAnswer, RefundDemand,
    RefundRefusal, RefundStep,
};
use crate::domain::private::Private;
use crate::domain::time::Timestamp;

use super::table::Change;

/// Begins a payment of an order through the provider, unless one is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitiatePayment {
    /// The order.
    pub order: OrderId,
    /// The business it was placed at; its writes go one after another.
    pub business: BusinessId,
    /// The id that a new payment has.
    pub payment: PaymentId,
    /// Its customer.
    pub user: UserId,
}

/// The outcome of beginning a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitiateOutcome {
    /// It was begun, or one was open already.
    Open {
        /// The payment.
        payment: PaymentId,
        /// Whether it was begun now.
        is_new: bool,
        /// What is to be paid, in minor units.
        amount_minor: i64,
        /// Where the customer pays, once the provider has said so.
        redirect_url: Option<String>,
    },
    /// The order cannot be paid online.
    Refused(InitiateRefusal),
    /// There is no such order.
    NoSuchOrder,
}

/// Notes where the customer pays. A payment that was closed meanwhile is refused, and closed at the provider once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentOpened {
    /// The payment.
    pub payment: PaymentId,
    /// Its order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The provider's name for it.
    pub reference: Option<String>,
    /// Where the customer pays.
    pub redirect_url: String,
}

/// Records what was paid otherwise than through the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPayment {
    /// The order.
    pub order: OrderId,
    /// The business it was placed at.
    pub business: BusinessId,
    /// What a person says.
    pub recorded: Recorded,
}

/// The outcome of recording a payment.
#[derive(Clone, Debug)]
pub enum RecordOutcome {
    /// It is recorded, and the order is as it is now.
    Recorded(Box<Order>),
    /// The order is not one to be paid.
    Refused(RecordRefusal),
    /// There is no such order.
    NoSuchOrder,
}

/// Takes in a message of the provider; one with a key that was there before changes nothing.
#[derive(Clone, Debug)]
pub struct ReceiveMessage {
    /// The id that it has.
    pub id: PaymentMessageId,
    /// The key by which a repetition is known, unique for 30 days.
    pub key: String,
    /// The raw body.
    pub body: Private<String>,
    /// The order that it names, as far as the body could be read.
    pub order: Option<OrderId>,
    /// The payment that it names.
    pub payment: Option<PaymentId>,
}

/// Whether a message was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipt {
    /// It is stored and will be worked on.
    Taken,
    /// It was there already.
    Repeated,
}

/// Where news comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewsSource {
    /// A message that was taken in: its row says what came of it, in the same commit.
    Message {
        /// The message.
        id: PaymentMessageId,
        /// Attempts to work on it so far; another number in the row, and nothing happens.
        attempts: u32,
    },
    /// The provider was asked.
    Asked,
}

/// Applies news of the provider to the money of an order. A refusal that may pass later lets its message be tried again; any other
/// makes a dead letter of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyNews {
    /// Where it comes from.
    pub source: NewsSource,
    /// The business of the payment's order; `None` while the payment is not known.
    pub business: Option<BusinessId>,
    /// The order of the payment as the store knows it; `None` while the payment is not known.
    pub order: Option<OrderId>,
    /// What the provider says.
    pub news: Result<PaymentNews, NewsRefusal>,
}

impl ApplyNews {
    /// Names each cached value that it may change.
    pub fn each_change(&self, change: &mut dyn FnMut(Change)) {
        if let Some(order) = self.order {
            change(Change::Order(order));
        }
        if let Some(business) = self.business {
            change(Change::Business(business));
        }
    }
}

/// What news did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewsOutcome {
    /// It was taken in, whether it changed anything or not.
    Applied,
    /// It did not work and is tried again at that time.
    Again {
        /// Why.
        refusal: NewsRefusal,
    },
    /// It is a dead letter now.
    Dead {
        /// Why.
        refusal: NewsRefusal,
    },
    /// Somebody else has worked on it.
    Outdated,
}

/// The provider has not said what became of an open payment: it is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskPaymentAgain {
    /// The payment.
    pub payment: PaymentId,
    /// Its order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// When.
    pub at: Timestamp,
}

/// Makes a refund due that a person wants, or books what they gave back by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemandRefund {
    /// The order.
    pub order: OrderId,
    /// The business it was placed at.
    pub business: BusinessId,
    /// What is wanted.
    pub demand: RefundDemand,
}

/// The outcome of something that a person wants of a refund: which one it is now, or why not. `None`: no such order.
pub type RefundOutcome = Option<Result<RefundId, RefundRefusal>>;

/// Begins an attempt at a refund that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeginRefund {
    /// The refund.
    pub refund: RefundId,
    /// Its order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The attempt at which it was seen to be due.
    pub attempt: u32,
}

/// A refund that was begun: what is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundBegun {
    /// What to do.
    pub step: RefundStep,
    /// The attempt that says what came of it.
    pub attempt: u32,
    /// The payment.
    pub payment: PaymentId,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// In which currency.
    pub currency: crate::domain::money::Currency,
    /// The idempotency key of the call.
    pub key: String,
}

/// Stores what came of an attempt at a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundAnswered {
    /// The refund.
    pub refund: RefundId,
    /// Its order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The attempt.
    pub attempt: u32,
    /// The answer.
    pub answer: RefundAnswer,
}

/// Tells operators of a refund that has not succeeded in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundLate {
    /// The refund.
    pub refund: RefundId,
    /// Its order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
}

/// What an operator wants of a refund that has failed or waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundWish {
    /// That it is sent again.
    Retry,
    /// To book that it was given back another way.
    Settle {
        /// How.
        way: MoneyWay,
        /// The receipt.
        reference: Option<String>,
    },
}

/// Does what an operator wants of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleRefund {
    /// The refund.
    pub refund: RefundId,
    /// Its order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// What is wanted.
    pub wish: RefundWish,
    /// The operator.
    pub user: UserId,
}

/// Lets dead letters be worked on again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayDeadLetters {
    /// This one; every open one, oldest first, unless given.
    pub id: Option<DeadLetterId>,
    /// Only those of this kind.
    pub kind: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// The operator.
    pub user: UserId,
}
