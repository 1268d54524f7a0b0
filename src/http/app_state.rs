//! The parts of the hub that handlers and middleware use.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpRequest, web};

use crate::actors::driver_positions::DriverPositions;
use crate::actors::jobs::Jobs;
use crate::actors::persistence::Persistence;
use crate::actors::reachability::Reachability;
use crate::actors::room::Rooms;
use crate::actors::worker::Workers;
use crate::auth::last_seen::LastSeen;
use crate::auth::login_throttle::LoginThrottle;
use crate::auth::password::Passwords;
use crate::auth::refresh_token::RefreshTokens;
use crate::auth::revocations::Revocations;
use crate::auth::stream_proof::StreamProofs;
use crate::auth::token::Tokens;
use crate::auth::unanswered_tickets::UnansweredTickets;
use crate::auth::webhook_signature::WebhookSecrets;
use crate::outbound::Payments;
use crate::redis_client::RedisClient;
use crate::storage::cache::{CachedReads, CurrentHolds};
use crate::storage::crypto::cipher::Cipher;
use crate::storage::{KnownNodes, Store};
use crate::telemetry::Metrics;

use super::deployment::Deployment;
use super::idempotency::in_flight::InFlightKeys;
use super::limits::Limits;
use super::limits::body_budget::BodyBudget;
use super::limits::denials::Denials;
use super::limits::log_throttle::LogThrottle;
use super::middleware::cidr::Network;
use super::readiness::{DatabaseProbe, Readiness};
use super::settings::Settings;

/// Shortest time between two explanations in the log of a refusal that is most often caused by a setting.
const EXPLAIN_EVERY: Duration = Duration::from_secs(10);

/// The parts that the composition root hands over.
pub struct AppStateParts {
    /// Reads that a write or somebody's access depends on.
    pub store: Arc<dyn Store>,
    /// Reads that are only shown.
    pub reads: CachedReads,
    /// What operators hold.
    pub holds: CurrentHolds,
    /// The payment provider.
    pub payments: Payments,
    /// Redis, if there is one.
    pub redis: Option<RedisClient>,
    /// The only way to write.
    pub persistence: Persistence,
    /// Signs and checks access tokens and tickets.
    pub tokens: Arc<Tokens>,
    /// Derives and checks refresh tokens.
    pub refresh_tokens: Arc<RefreshTokens>,
    /// Proofs by which event streams come back.
    pub stream_proofs: StreamProofs,
    /// Hashes passwords.
    pub passwords: Arc<Passwords>,
    /// Login sessions that were ended.
    pub revocations: Revocations,
    /// Times at which login sessions were last used.
    pub last_seen: LastSeen,
    /// Fingerprints requests that have an idempotency key.
    pub cipher: Arc<Cipher>,
    /// What devices without a socket say.
    pub reachability: Reachability,
    /// What drivers say of themselves.
    pub drivers: DriverPositions,
    /// The background jobs.
    pub jobs: Jobs,
    /// Rooms in use here.
    pub rooms: Rooms,
    /// Whoever follows them here.
    pub workers: Workers,
    /// Nodes of the hub.
    pub nodes: KnownNodes,
    /// Every metric.
    pub metrics: Metrics,
    /// Whether the node takes new work.
    pub readiness: Readiness,
    /// Quotas; `None` switches limits off.
    pub limits: Option<Arc<Limits>>,
    /// The surroundings the hub runs in.
    pub deployment: Deployment,
    /// The settings of the HTTP interface.
    pub settings: Settings,
}

/// The parts every request may use; one for the whole node, shared by all worker threads.
pub struct AppState {
    pub(in crate::http) store: Arc<dyn Store>,
    pub(in crate::http) reads: CachedReads,
    pub(in crate::http) holds: CurrentHolds,
    pub(in crate::http) payments: Payments,
    pub(in crate::http) redis: Option<RedisClient>,
    pub(in crate::http) persistence: Persistence,
    pub(in crate::http) tokens: Arc<Tokens>,
    pub(in crate::http) refresh_tokens: Arc<RefreshTokens>,
    pub(in crate::http) stream_proofs: StreamProofs,
    pub(in crate::http) passwords: Arc<Passwords>,
    pub(in crate::http) revocations: Revocations,
    pub(in crate::http) last_seen: LastSeen,
    pub(in crate::http) cipher: Arc<Cipher>,
    pub(in crate::http) reachability: Reachability,
    pub(in crate::http) drivers: DriverPositions,
    pub(in crate::http) jobs: Jobs,
    pub(in crate::http) rooms: Rooms,
    pub(in crate::http) workers: Workers,
    pub(in crate::http) nodes: KnownNodes,
    pub(in crate::http) webhook_secrets: WebhookSecrets,
    pub(in crate::http) metrics: Metrics,
    pub(in crate::http) readiness: Readiness,
    pub(in crate::http) limits: Option<Arc<Limits>>,
    pub(in crate::http) denials: Denials,
    pub(in crate::http) shed_requests: LogThrottle,
    pub(in crate::http) refused_origins: LogThrottle,
    pub(in crate::http) refused_hosts: LogThrottle,
    pub(in crate::http) deployment: Deployment,
    pub(in crate::http) settings: Settings,
    pub(in crate::http) login_throttle: Mutex<LoginThrottle>,
    pub(in crate::http) unanswered_tickets: UnansweredTickets,
    pub(in crate::http) in_flight_keys: InFlightKeys,
    pub(in crate::http) body_budget: BodyBudget,
    pub(in crate::http) database_probe: DatabaseProbe,
    pub(in crate::http) trusted_proxies: Vec<Network>,
    pub(in crate::http) ops_networks: Vec<Network>,
}

impl AppState {
    /// The state of the application that a request is for.
    pub(in crate::http) fn of(request: &HttpRequest) -> &web::Data<Self> {
        request.app_data::<web::Data<Self>>().expect("the routes are mounted together with their state")
    }

    /// Puts the parts together; nothing starts.
    pub fn new(parts: AppStateParts) -> Self {
        let webhook_secrets = WebhookSecrets::new(&parts.payments.settings().webhook_secrets);
        Self {
            store: parts.store,
            reads: parts.reads,
            holds: parts.holds,
            payments: parts.payments,
            redis: parts.redis,
            persistence: parts.persistence,
            tokens: parts.tokens,
            refresh_tokens: parts.refresh_tokens,
            stream_proofs: parts.stream_proofs,
            passwords: parts.passwords,
            revocations: parts.revocations,
            last_seen: parts.last_seen,
            cipher: parts.cipher,
            reachability: parts.reachability,
            drivers: parts.drivers,
            jobs: parts.jobs,
            rooms: parts.rooms,
            workers: parts.workers,
            nodes: parts.nodes,
            webhook_secrets,
            metrics: parts.metrics,
            readiness: parts.readiness,
            trusted_proxies: parts.settings.server.trusted_networks(),
            ops_networks: parts.settings.ops.networks(),
            settings: parts.settings,
            limits: parts.limits,
            denials: Denials::default(),
            shed_requests: LogThrottle::every(Duration::from_secs(1)),
            refused_origins: LogThrottle::every(EXPLAIN_EVERY),
            refused_hosts: LogThrottle::every(EXPLAIN_EVERY),
            deployment: parts.deployment,
            login_throttle: Mutex::default(),
            unanswered_tickets: UnansweredTickets::default(),
            in_flight_keys: InFlightKeys::default(),
            body_budget: BodyBudget::default(),
            database_probe: DatabaseProbe::default(),
        }
    }
}
