//! Payments, refunds, messages of the provider, and dead letters.

use async_trait::async_trait;

use crate::domain::ids::{BusinessId, DeadLetterId, OrderId, PaymentId, PaymentMessageId, RefundId};
use crate::domain::money::Currency;
use crate::domain::payment::{MoneyWay, NewsRefusal, OrderMoney, Refund, RefundState};
use crate::domain::private::Private;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;

/// A payment that is open and about which the provider is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentToAsk {
    /// The payment.
    pub payment: PaymentId,
    /// Its order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// When.
    pub ask_at: Timestamp,
    /// When it was last begun at the provider, or last changed.
    pub begun_at: Timestamp,
}

/// A refund the hub has to work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRefund {
    /// The refund.
    pub refund: RefundId,
    /// Its order.
    pub order: OrderId,
    /// The business of that order.
    pub business: BusinessId,
    /// The zone of that business, for holds.
    pub zone: String,
    /// Its present attempt.
    pub attempt: u32,
    /// When it is due.
    pub due_at: Timestamp,
}

/// A message of the provider that is to be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueMessage {
    /// The message.
    pub id: PaymentMessageId,
    /// The raw body.
    pub body: Private<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// The order of the payment that it names, and the business; `None` while that payment is not known.
    pub payment: Option<(OrderId, BusinessId)>,
    /// When it is due.
    pub due_at: Timestamp,
}

/// A refund with what an operator has to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRefund {
    /// The refund.
    pub refund: Refund,
    /// The business of its order.
    pub business: BusinessId,
    /// The currency of its amount.
    pub currency: Currency,
    /// How the payment was made.
    pub paid_by: MoneyWay,
}

string_enum! {
    /// The state of a dead letter.
    pub enum DeadLetterState {
        /// It waits for an operator.
        Open = "open",
        /// It is worked on again.
        Replayed = "replayed",
        /// It was worked on with success after all.
        Done = "done",
    }
}

/// A message that could not be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// An id that begins with `dlt_`.
    pub id: DeadLetterId,
    /// The kind: `payment`.
    pub kind: String,
    /// The message.
    pub source: String,
    /// Why.
    pub reason: NewsRefusal,
    /// The order that it names.
    pub order: Option<OrderId>,
    /// The payment that it names.
    pub payment: Option<PaymentId>,
    /// How it stands.
    pub state: DeadLetterState,
    /// How often it was worked on again.
    pub replays: u32,
    /// The raw body of the message; only where one letter is read.
    pub body: Option<Private<String>>,
    /// When it died.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// Reads of money. They are of the primary.
#[async_trait]
pub trait PaymentReads: Send + Sync {
    /// Every payment and refund of an order.
    async fn money_of(&self, order: OrderId) -> Result<OrderMoney, StoreError>;
    /// Messages that were due at `before`, in the order of their times, at most `limit`.
    async fn due_messages(&self, before: Timestamp, limit: u32) -> Result<Vec<DueMessage>, StoreError>;
    /// Open payments about which the provider was to be asked at `before`, in the order of their times, at most `limit`.
    async fn payments_to_ask(&self, before: Timestamp, limit: u32) -> Result<Vec<PaymentToAsk>, StoreError>;
    /// Refunds that were due at `before`, in the order of their times, at most `limit`.
    async fn due_refunds(&self, before: Timestamp, limit: u32) -> Result<Vec<DueRefund>, StoreError>;
    /// Refunds that have not succeeded in their time at `before`, at most `limit`.
    async fn late_refunds(&self, before: Timestamp, limit: u32) -> Result<Vec<DueRefund>, StoreError>;
    /// A refund, with its order and business.
    async fn refund(&self, id: RefundId) -> Result<Option<ListedRefund>, StoreError>;
    /// Refunds in a state, or all that have not succeeded, newest first, behind `after`, at most `limit`.
    async fn refunds(
        &self,
        state: Option<RefundState>,
        after: Option<RefundId>,
        limit: u32,
    ) -> Result<Vec<ListedRefund>, StoreError>;
    /// Dead letters that are open, newest first, behind `after`, at most `limit`.
    async fn dead_letters(
        &self,
        kind: Option<&str>,
        after: Option<DeadLetterId>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError>;
    /// A dead letter with the body of its message.
    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError>;
    /// How many messages are still to be worked on, for the metric; counted up to 10,000.
    async fn waiting_messages(&self) -> Result<u32, StoreError>;
    /// How many dead letters are open, for the metric; counted up to 10,000.
    async fn open_dead_letters(&self) -> Result<u32, StoreError>;
}
