//! Calls to the outside. Each is an intent first, a row of the store; then the call, with the intent's id as its idempotency key; then
//! the row says what came of it. So a call is made again after a crash, and the other side knows it.

mod breaker;
mod channel;
mod channels;
mod http_provider;
mod payments;
mod provider;
mod settings;
mod simulated;

pub use channel::{AlertCall, CallError, OutboundChannel};
pub use channels::Channels;
pub use payments::{Now, Payments, ProviderHealth};
pub use provider::{OpenPayment, OpenedPayment, PaymentProvider, ProviderError, ProviderPayment, SendRefund};
pub use settings::{PaymentSettings, ProviderKind, Settings};
