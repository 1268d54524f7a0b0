//! What every request handler may use.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::actors::jobs::Jobs;
use crate::actors::persistence::Persistence;
use crate::storage::Store;
use crate::storage::cache::CachedReads;
use crate::storage::crypto::cipher::Cipher;
use crate::telemetry::Metrics;

use super::guard::Denials;
use super::health::Probe;
use super::idempotency::Gate;
use super::input::BodyBudget;
use super::limits::LocalLimits;
use super::network::Network;
use super::settings::Settings;
use super::shedding::LogThrottle;
use crate::auth::activity::Activity;
use crate::auth::password::Passwords;
use crate::auth::refresh::RefreshTokens;
use crate::auth::revocations::Revocations;
use crate::auth::stream_proof::StreamProofs;
use crate::auth::throttle::Throttle;
use crate::auth::token::Tokens;
use crate::auth::unanswered::UnansweredTickets;

/// A refusal whose cause is most often a setting is explained in the log once in so long a time at most.
const EXPLAINED_EVERY: Duration = Duration::from_secs(10);

/// Whether new work should come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all parts run yet.
    Starting,
    /// Work is welcome.
    Ready,
    /// The hub is going down.
    Draining,
}

/// The present [`Phase`], shared by everybody who asks. Begins as starting.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// Enters a phase.
    pub fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    /// The present phase.
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }
}

/// How much the surroundings are to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// The outside world is there: what is meant for operators is for them only, browsers are held to HTTPS.
    Production,
    /// Development and staging.
    Trial,
}

/// The parts the composition root hands over.
pub struct Parts {
    /// For reading what a write or somebody's access depends on.
    pub store: Arc<dyn Store>,
    /// For reading what is only shown.
    pub reads: CachedReads,
    /// The only door to writing.
    pub persistence: Persistence,
    /// Signs and checks access tokens and tickets.
    pub tokens: Arc<Tokens>,
    /// Derives and checks refresh tokens.
    pub refresh_tokens: Arc<RefreshTokens>,
    /// Lets event streams come back.
    pub stream_proofs: StreamProofs,
    /// Hashes passwords.
    pub passwords: Arc<Passwords>,
    /// Which sign-ins were ended.
    pub revocations: Revocations,
    /// When sign-ins were last seen.
    pub activity: Activity,
    /// Fingerprints requests that have an idempotency key.
    pub cipher: Arc<Cipher>,
    /// Cleans up in the background.
    pub jobs: Jobs,
    /// Counts everything.
    pub metrics: Metrics,
    /// Whether new work should come.
    pub readiness: Readiness,
    /// Where quotas are kept; `None` switches limits off.
    pub limits: Option<Arc<LocalLimits>>,
    /// How much the surroundings are to be trusted.
    pub deployment: Deployment,
    /// What an operator decided.
    pub settings: Settings,
}

/// What every request handler may use; one for the whole node, shared by all worker threads.
pub struct Api {
    pub(super) store: Arc<dyn Store>,
    pub(super) reads: CachedReads,
    pub(super) persistence: Persistence,
    pub(super) tokens: Arc<Tokens>,
    pub(super) refresh_tokens: Arc<RefreshTokens>,
    pub(super) stream_proofs: StreamProofs,
    pub(super) passwords: Arc<Passwords>,
    pub(super) revocations: Revocations,
    pub(super) activity: Activity,
    pub(super) cipher: Arc<Cipher>,
    pub(super) jobs: Jobs,
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    pub(super) limits: Option<Arc<LocalLimits>>,
    pub(super) denials: Denials,
    pub(super) shedding: LogThrottle,
    pub(super) refused_origins: LogThrottle,
    pub(super) refused_hosts: LogThrottle,
    pub(super) deployment: Deployment,
    pub(super) settings: Settings,
    pub(super) throttle: Mutex<Throttle>,
    pub(super) unanswered_tickets: UnansweredTickets,
    pub(super) gate: Gate,
    pub(super) bodies: BodyBudget,
    pub(super) probe: Probe,
    pub(super) trusted_proxies: Vec<Network>,
    pub(super) ops_networks: Vec<Network>,
}

impl Api {
    /// Puts the parts together; nothing starts.
    pub fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            reads: parts.reads,
            persistence: parts.persistence,
            tokens: parts.tokens,
            refresh_tokens: parts.refresh_tokens,
            stream_proofs: parts.stream_proofs,
            passwords: parts.passwords,
            revocations: parts.revocations,
            activity: parts.activity,
            cipher: parts.cipher,
            jobs: parts.jobs,
            metrics: parts.metrics,
            readiness: parts.readiness,
            trusted_proxies: parts.settings.server.trusted_networks(),
            ops_networks: parts.settings.ops.networks(),
            settings: parts.settings,
            limits: parts.limits,
            denials: Denials::default(),
            shedding: LogThrottle::every(Duration::from_secs(1)),
            refused_origins: LogThrottle::every(EXPLAINED_EVERY),
            refused_hosts: LogThrottle::every(EXPLAINED_EVERY),
            deployment: parts.deployment,
            throttle: Mutex::default(),
            unanswered_tickets: UnansweredTickets::default(),
            gate: Gate::default(),
            bodies: BodyBudget::default(),
            probe: Probe::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_sees_the_same_phase() {
        let readiness = Readiness::default();
        assert_eq!(readiness.get(), Phase::Starting);
        for phase in [Phase::Ready, Phase::Draining] {
            readiness.clone().set(phase);
            assert_eq!(readiness.get(), phase);
        }
    }
}
