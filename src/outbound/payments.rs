//! The payment provider of this hub, behind a breaker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::domain::ids::{PaymentId, RefundId};
use crate::domain::payment::RefundAnswer;
use crate::domain::time::Timestamp;

use super::breaker::Breaker;
use super::http_provider::HttpProvider;
use super::provider::{
    OpenPayment, OpenedPayment, PaymentProvider, ProviderError, ProviderPayment, SendRefund,
};
use super::settings::{PaymentSettings, ProviderKind};
use super::simulated::SimulatedProvider;

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Whether the provider can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderHealth {
    /// There is none.
    NotConfigured,
    /// It answers, or nobody has asked it yet.
    Healthy,
    /// It has not answered several times in a row, and is asked rarely until it does.
    Away,
}

/// The payment provider as the settings name it. Cheap to clone; clones share one breaker.
#[derive(Clone)]
pub struct Payments {
    settings: Arc<PaymentSettings>,
    provider: Option<Arc<Guarded>>,
}

impl Payments {
    /// The provider that these settings name, with a breaker by this clock.
    ///
    /// # Errors
    /// When there can be no HTTP client; the text says why.
    pub fn new(settings: PaymentSettings, now: Now) -> Result<Self, String> {
        let inner: Option<Arc<dyn PaymentProvider>> = match settings.provider {
            ProviderKind::None => None,
            ProviderKind::Simulated => Some(Arc::new(SimulatedProvider)),
            ProviderKind::Http => Some(Arc::new(HttpProvider::new(&settings)?)),
        };
        Ok(Self::over(inner, settings, now))
    }

    /// With this provider behind the breaker.
    fn over(inner: Option<Arc<dyn PaymentProvider>>, settings: PaymentSettings, now: Now) -> Self {
        let guard = |inner| Arc::new(Guarded { inner, now, breaker: Mutex::new(Breaker::new()) });
        Self { settings: Arc::new(settings), provider: inner.map(guard) }
    }

    /// Its settings.
    pub fn settings(&self) -> &PaymentSettings {
        &self.settings
    }

    /// The provider; `None`: orders cannot be paid online.
    pub fn provider(&self) -> Option<&dyn PaymentProvider> {
        self.provider.as_deref().map(|guarded| guarded as &dyn PaymentProvider)
    }

    /// Whether a call would reach the provider now.
    pub fn takes_calls(&self) -> bool {
        self.provider.as_ref().is_some_and(|provider| provider.breaker().admits((provider.now)()))
    }

    /// Whether it answers, as far as calls have shown.
    pub fn health(&self) -> ProviderHealth {
        match &self.provider {
            None => ProviderHealth::NotConfigured,
            Some(provider) if provider.breaker().is_closed() => ProviderHealth::Healthy,
            Some(_) => ProviderHealth::Away,
        }
    }
}

struct Guarded {
    inner: Arc<dyn PaymentProvider>,
    now: Now,
    breaker: Mutex<Breaker>,
}

impl Guarded {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        if !self.breaker().admit((self.now)()) {
            return Err(ProviderError::Unavailable(
                "it did not answer before, and is asked again soon".to_owned(),
            ));
        }
        let answer = call.await;
        match &answer {
            Ok(_) | Err(ProviderError::Refused(_)) => self.breaker().answered(),
            Err(ProviderError::Unavailable(_) | ProviderError::Unknown(_)) => {
                self.breaker().failed((self.now)());
            }
        }
        answer
    }
}

#[async_trait]
impl PaymentProvider for Guarded {
    async fn open(&self, payment: &OpenPayment) -> Result<OpenedPayment, ProviderError> {
        self.ask(self.inner.open(payment)).await
    }

    async fn payment(&self, id: PaymentId) -> Result<ProviderPayment, ProviderError> {
        self.ask(self.inner.payment(id)).await
    }

    async fn void(&self, id: PaymentId) -> Result<ProviderPayment, ProviderError> {
        self.ask(self.inner.void(id)).await
    }

    async fn authorise(&self, payment: &OpenPayment) -> Result<OpenedPayment, ProviderError> {
        self.ask(self.inner.authorise(payment)).await
    }

    async fn capture(&self, id: PaymentId, amount_minor: i64) -> Result<ProviderPayment, ProviderError> {
        self.ask(self.inner.capture(id, amount_minor)).await
    }

    async fn refund(&self, refund: &SendRefund) -> Result<RefundAnswer, ProviderError> {
        self.ask(self.inner.refund(refund)).await
    }

    async fn refund_state(&self, id: RefundId) -> Result<Option<RefundAnswer>, ProviderError> {
        self.ask(self.inner.refund_state(id)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

    use super::*;

    struct Away(AtomicU32);

    #[async_trait]
    impl PaymentProvider for Away {
        async fn open(&self, _: &OpenPayment) -> Result<OpenedPayment, ProviderError> {
            Err(ProviderError::Refused("x".to_owned()))
        }

        async fn payment(&self, _: PaymentId) -> Result<ProviderPayment, ProviderError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Err(ProviderError::Unavailable("x".to_owned()))
        }

        async fn void(&self, id: PaymentId) -> Result<ProviderPayment, ProviderError> {
            self.payment(id).await
        }

        async fn authorise(&self, payment: &OpenPayment) -> Result<OpenedPayment, ProviderError> {
            self.open(payment).await
        }

        async fn capture(&self, id: PaymentId, _: i64) -> Result<ProviderPayment, ProviderError> {
            self.payment(id).await
        }

        async fn refund(&self, _: &SendRefund) -> Result<RefundAnswer, ProviderError> {
            Ok(RefundAnswer::NoAnswer)
        }

        async fn refund_state(&self, _: RefundId) -> Result<Option<RefundAnswer>, ProviderError> {
            Ok(None)
        }
    }

    #[tokio::test]
    async fn a_provider_that_is_away_is_left_alone_and_one_answer_brings_it_back() {
        let (provider, seconds) = (Arc::new(Away(AtomicU32::new(0))), Arc::new(AtomicI64::new(1_000_000)));
        let clock = seconds.clone();
        let now = Arc::new(move || Timestamp::from_unix_seconds(clock.load(Ordering::SeqCst)));
        let payments = Payments::over(Some(provider.clone()), PaymentSettings::default(), now);
        let asked = payments.provider().unwrap();
        for _ in 0..10 {
            assert!(asked.payment(PaymentId::generate()).await.is_err());
        }
        assert_eq!(provider.0.load(Ordering::SeqCst), 5, "it is not asked any more");
        assert_eq!((payments.health(), payments.takes_calls()), (ProviderHealth::Away, false));
        seconds.fetch_add(5, Ordering::SeqCst);
        assert!(payments.takes_calls());
        assert_eq!(asked.refund_state(RefundId::generate()).await, Ok(None));
        assert_eq!((payments.health(), payments.takes_calls()), (ProviderHealth::Healthy, true));
    }

    #[tokio::test]
    async fn without_a_provider_there_is_none_to_call() {
        let now: Now = Arc::new(|| Timestamp::from_unix_seconds(1));
        let payments = Payments::new(PaymentSettings::default(), now).unwrap();
        assert!(payments.provider().is_none() && !payments.takes_calls());
        assert_eq!(payments.health(), ProviderHealth::NotConfigured);
    }
}
