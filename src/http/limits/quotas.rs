//! The quotas of this node's requests: with the other nodes while Redis answers, else by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::redis_client::RedisClient;
use crate::storage::KnownNodes;

use super::class::RateClass;
use super::local::LocalLimits;
use super::settings::LimitSettings;
use super::shared::SharedQuotas;
use super::status::QuotaStatus;
use super::subject::QuotaSubject;

/// How much of a quota a node allows by itself while the nodes cannot be asked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// All of it: better too much for a while than too little.
    Lenient,
    /// Its share among the nodes that were there last, at least one request.
    Strict,
}

/// The quotas of requests. With Redis they are the hub's: each request that this node would admit is counted there, in one round trip.
/// What this node alone has seen is enough to refuse, so that a flood costs Redis nothing, and goes on when Redis does not answer.
pub struct Limits {
    local: LocalLimits,
    shared: Option<Arc<SharedQuotas>>,
    nodes: KnownNodes,
    /// How often everybody was given their quotas back, as of the last request.
    era: AtomicI64,
}

impl Limits {
    /// Quotas of which nothing is consumed.
    pub fn new(settings: &LimitSettings, redis: Option<RedisClient>, nodes: KnownNodes) -> Self {
        let within = Duration::from_millis(settings.redis_timeout_ms);
        let shared = redis.map(|client| Arc::new(SharedQuotas::new(client, within)));
        Self { local: LocalLimits::new(settings), shared, nodes, era: AtomicI64::new(0) }
    }

    /// Consumes one of the subject's quota of this class, and of the wider one around it; both or neither.
    pub(super) async fn consume(
        &self,
        class: RateClass,
        subject: QuotaSubject,
        strictness: Strictness,
    ) -> QuotaStatus {
        let (era, now) = (self.follow_resets(), Instant::now());
        let Some(shared) = self.shared.as_ref().filter(|_| class.is_shared()) else {
            return self.local.consume(class, subject, self.parts(strictness), now);
        };
        // With the whole number: all nodes together have no less than this one has.
        let here = self.local.consume(class, subject, 1, now);
        if here.is_refused() {
            return here;
        }
        match shared.consume(class, subject, self.local.quotas(class), era).await {
            Some(decision) => {
                let there = self.local.status(class, subject, (1, now), decision.decided, decision.scope);
                let there = QuotaStatus { shared_at: Some(decision.at), ..there };
                if there.is_refused() {
                    self.local.refund(&here);
                }
                there
            }
            None if self.parts(strictness) > 1 => {
                self.local.refund(&here);
                self.local.consume(class, subject, self.parts(strictness), now)
            }
            None => here,
        }
    }

    /// As [`Self::consume`], on this node only and without waiting for anybody.
    pub fn consume_here(&self, class: RateClass, subject: QuotaSubject, now: Instant) -> QuotaStatus {
        self.follow_resets();
        self.local.consume(class, subject, 1, now)
    }

    /// The refusal that consuming would meet, as far as this node knows; `None` when it would meet none. Consumes nothing.
    pub(super) fn check(&self, class: RateClass, subject: QuotaSubject) -> Option<QuotaStatus> {
        self.follow_resets();
        self.local.check(class, subject, 1, Instant::now())
    }

    /// Gives back what was consumed.
    pub(super) fn refund(&self, consumed: &QuotaStatus) {
        self.local.refund(consumed);
        if let (Some(shared), Some(at), false) = (&self.shared, consumed.shared_at, consumed.is_refused()) {
            let quotas = self.local.quotas(consumed.class);
            shared.refund(consumed.class, consumed.subject, quotas, self.nodes.quota_era(), at);
        }
    }

    /// Forgets what this node has seen when everybody was given their quotas back; what Redis has is not asked for any more.
    fn follow_resets(&self) -> i64 {
        let era = self.nodes.quota_era();
        if self.era.load(Ordering::Acquire) != era && self.era.swap(era, Ordering::AcqRel) != era {
            self.local.reset();
        }
        era
    }

    fn parts(&self, strictness: Strictness) -> u32 {
        match strictness {
            Strictness::Lenient => 1,
            Strictness::Strict => self.nodes.count(),
        }
    }
}
