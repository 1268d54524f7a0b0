//! Payments and refunds as the store keeps them.

use crate::domain::ids::{OrderId, PaymentId, RefundId, UserId};
use crate::domain::money::Currency;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

string_enum! {
    /// The way money changes hands.
    pub enum MoneyWay {
        /// Through the payment provider.
        Online = "online",
        /// Through a card terminal, recorded by a person.
        Terminal = "terminal",
        /// By bank transfer, recorded by a person.
        Transfer = "transfer",
        /// In cash, recorded by a person.
        Cash = "cash",
    }
}

string_enum! {
    /// The state of a payment. It only rises; lower news is ignored.
    pub enum PaymentState {
        /// It waits for the customer.
        Initiated = "initiated",
        /// The provider refused it, or it was closed before the customer paid.
        Failed = "failed",
        /// The money is captured.
        Succeeded = "succeeded",
    }
}

/// One attempt to pay an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// An id that begins with `pay_`.
    pub id: PaymentId,
    /// The order it pays.
    pub order: OrderId,
    /// The amount that is asked for, in minor units.
    pub amount_minor: i64,
    /// The currency of every amount of it.
    pub currency: Currency,
    /// How it is paid.
    pub way: MoneyWay,
    /// How far it is.
    pub state: PaymentState,
    /// Whether it is the one that paid the order; at most one is.
    pub counts: bool,
    /// What the provider captured, in minor units; it may be more than was asked for.
    pub captured_minor: i64,
    /// What has gone back, in minor units: the sum of its refunds that succeeded.
    pub refunded_minor: i64,
    /// The provider's name for it, or the receipt of who recorded it.
    pub reference: Option<String>,
    /// Where the customer pays.
    pub redirect_url: Option<String>,
    /// Who began or recorded it.
    pub user: UserId,
    /// When the provider is asked next whether it was paid, and told to close it.
    pub ask_at: Option<Timestamp>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

impl Payment {
    /// Whether the customer can make it: it waits for that, and is not being closed.
    pub fn is_open(&self) -> bool {
        self.state == PaymentState::Initiated && self.ask_at.is_none()
    }

    /// What was captured beyond the amount asked for, in minor units.
    pub const fn over_minor(&self) -> i64 {
        let over = self.captured_minor - self.amount_minor;
        if over > 0 { over } else { 0 }
    }
}

impl Refund {
    /// Whether nothing of it can be on its way: it was never sent, or the provider has refused it.
    pub(super) const fn is_unsent(&self) -> bool {
        matches!(self.state, RefundState::Due | RefundState::Failed)
    }

    /// The idempotency key of the call that sends it: its id, and the number of the retry where an operator wanted one.
    pub fn key(&self) -> String {
        match self.retries {
            0 => self.id.to_string(),
            retries => format!("{}.{retries}", self.id),
        }
    }
}

string_enum! {
    /// The state of a refund.
    pub enum RefundState {
        /// It is to be sent, or to be given by hand.
        Due = "due",
        /// It was sent, and the provider works on it.
        Sent = "sent",
        /// The money has gone back.
        Succeeded = "succeeded",
        /// The provider refused it or could not deliver it: an operator decides.
        Failed = "failed",
        /// It was sent without an answer: the provider is asked before it is sent again.
        Unknown = "unknown",
    }
}

string_enum! {
    /// The cause of a refund.
    pub enum RefundCause {
        /// The hub itself, because the order owes it; at most one a payment.
        Automatic = "automatic",
        /// A person who asked for it.
        Demanded = "demanded",
        /// The provider told of it and nobody here had asked: its own console, or a chargeback.
        Outside = "outside",
    }
}

/// Money that goes back to a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// An id that begins with `ref_`.
    pub id: RefundId,
    /// The payment it is of.
    pub payment: PaymentId,
    /// The order of that payment.
    pub order: OrderId,
    /// The amount, in minor units of the payment's currency; more than 0.
    pub amount_minor: i64,
    /// Why there is one.
    pub cause: RefundCause,
    /// Why, in the words of who demanded it.
    pub reason: Option<String>,
    /// How it goes back. A way other than `online` is a person's hand.
    pub way: MoneyWay,
    /// The receipt of who gave it back by hand, or the provider's name for it.
    pub reference: Option<String>,
    /// How far it is.
    pub state: RefundState,
    /// How often it was begun to be sent; names the attempt that may say what came of it.
    pub attempt: u32,
    /// How often an operator let it be sent again. Each time is a new call to the provider, with a key of its own.
    pub retries: u32,
    /// When it was first sent; `None` again after it had failed and an operator lets it be sent again.
    pub first_sent_at: Option<Timestamp>,
    /// When the hub works on it next; `None`: a person has to.
    pub due_at: Option<Timestamp>,
    /// When operators are told that it has not succeeded; `None` when they were, or it has.
    pub alarm_at: Option<Timestamp>,
    /// Whether a message of the provider has said that it is done: a further one without its id is about something else.
    pub told: bool,
    /// Who demanded it, or settled it by hand.
    pub user: Option<UserId>,
    /// When it became due.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}
