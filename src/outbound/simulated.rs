//! A payment provider in this process, for development: nothing is paid, nothing is remembered.

use async_trait::async_trait;

use crate::domain::ids::{PaymentId, RefundId};
use crate::domain::payment::RefundAnswer;

use super::provider::{
    OpenPayment, OpenedPayment, PaymentProvider, ProviderError, ProviderPayment, SendRefund,
};

/// The provider of development. Payments stay open until a message says otherwise (`bellhop payments simulate`), or until they are voided;
/// refunds succeed at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SimulatedProvider;

#[async_trait]
impl PaymentProvider for SimulatedProvider {
    async fn open(&self, payment: &OpenPayment) -> Result<OpenedPayment, ProviderError> {
        let OpenPayment { payment, .. } = payment;
        Ok(OpenedPayment {
            reference: Some(format!("simulated-{payment}")),
            // RFC 2606: a name that never resolves, so that nobody types a card number anywhere.
            redirect_url: format!("https://payments.invalid/{payment}"),
        })
    }

    async fn payment(&self, _: PaymentId) -> Result<ProviderPayment, ProviderError> {
        Ok(ProviderPayment::Open)
    }

    async fn void(&self, _: PaymentId) -> Result<ProviderPayment, ProviderError> {
        Ok(ProviderPayment::Closed)
    }

    async fn authorise(&self, payment: &OpenPayment) -> Result<OpenedPayment, ProviderError> {
        self.open(payment).await
    }

    async fn capture(&self, _: PaymentId, amount_minor: i64) -> Result<ProviderPayment, ProviderError> {
        Ok(ProviderPayment::Captured { amount_minor: Some(amount_minor), currency: None })
    }

    async fn refund(&self, refund: &SendRefund) -> Result<RefundAnswer, ProviderError> {
        Ok(RefundAnswer::Done { reference: Some(format!("simulated-{}", refund.refund)) })
    }

    async fn refund_state(&self, _: RefundId) -> Result<Option<RefundAnswer>, ProviderError> {
        Ok(None)
    }
}
