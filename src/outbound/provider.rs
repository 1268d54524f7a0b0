//! The port of the payment provider.

use async_trait::async_trait;

use crate::domain::ids::{OrderId, PaymentId, RefundId};
use crate::domain::money::Currency;
use crate::domain::payment::RefundAnswer;

/// A payment to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPayment {
    /// The payment: the idempotency key.
    pub payment: PaymentId,
    /// The order that it pays.
    pub order: OrderId,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// In which currency.
    pub currency: Currency,
}

/// A payment that is open at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedPayment {
    /// The provider's name for it.
    pub reference: Option<String>,
    /// Where the customer pays.
    pub redirect_url: String,
}

/// How a payment stands at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderPayment {
    /// The customer can still pay.
    Open,
    /// It was captured.
    Captured {
        /// How much, in minor units; what was asked for unless the provider says.
        amount_minor: Option<i64>,
        /// In which currency; the payment's unless the provider says.
        currency: Option<Currency>,
    },
    /// It was refused, or is closed: nobody can pay it any more.
    Closed,
    /// The provider does not know it.
    Unknown,
}

/// A refund to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendRefund {
    /// The refund.
    pub refund: RefundId,
    /// The payment it is of.
    pub payment: PaymentId,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// In which currency.
    pub currency: Currency,
    /// The idempotency key.
    pub key: String,
}

/// Why a call to the provider said nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It did not happen: the provider is away, or is not asked for a while because it was.
    #[error("the payment provider is not available: {0}")]
    Unavailable(String),
    /// It may have happened: there was no answer in time, or none that can be understood.
    #[error("the payment provider did not say what happened: {0}")]
    Unknown(String),
    /// It refuses the call, and would again.
    #[error("the payment provider refused: {0}")]
    Refused(String),
}

/// The payment provider. Every call ends within ten seconds. A call that is made again with the same key does not happen twice, as long
/// as the provider remembers the key; after that it has to be asked first.
#[async_trait]
pub trait PaymentProvider: Send + Sync + 'static {
    /// Opens a payment that is captured at once when the customer pays.
    async fn open(&self, payment: &OpenPayment) -> Result<OpenedPayment, ProviderError>;
    /// How a payment stands.
    async fn payment(&self, id: PaymentId) -> Result<ProviderPayment, ProviderError>;
    /// Closes a payment so that nobody can pay it any more, and says how it stands after that.
    async fn void(&self, id: PaymentId) -> Result<ProviderPayment, ProviderError>;
    /// Opens a payment that is only authorised when the customer pays.
    async fn authorise(&self, payment: &OpenPayment) -> Result<OpenedPayment, ProviderError>;
    /// Captures so much of an authorised payment.
    async fn capture(&self, id: PaymentId, amount_minor: i64) -> Result<ProviderPayment, ProviderError>;
    /// Sends a refund.
    async fn refund(&self, refund: &SendRefund) -> Result<RefundAnswer, ProviderError>;
    /// How a refund stands; `None` when the provider does not know it.
    async fn refund_state(&self, id: RefundId) -> Result<Option<RefundAnswer>, ProviderError>;
}
