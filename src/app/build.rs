//! The stages of a start, each given what the one before it made.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and owns the tasks that it starts")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::Arbiter;
use actix_web::web;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::actors::FatalSignal;
use crate::actors::cluster_bridge::{BusEffects, ClusterBridge};
use crate::actors::commit_fanout::CommitFanout;
use crate::actors::control::ControlFollower;
use crate::actors::driver_lives::DriverLives;
use crate::actors::driver_positions::{DriverPositions, PositionKeeper};
use crate::actors::jobs::Jobs;
use crate::actors::persistence::Persistence;
use crate::actors::reachability::{LeaseKeeper, Reachability};
use crate::actors::room::Rooms;
use crate::actors::session::Sessions;
use crate::actors::worker::Workers;
use crate::auth::authenticator::Authenticator;
use crate::auth::last_seen::LastSeen;
use crate::auth::password::{HashGauges, PasswordSettings, Passwords};
use crate::auth::refresh_token::RefreshTokens;
use crate::auth::revocations::Revocations;
use crate::auth::stream_proof::StreamProofs;
use crate::auth::token::{TokenKey, TokenSettings, Tokens};
use crate::bus::BusInbox;
use crate::config::Settings;
use crate::domain::saga::Clocks;
use crate::domain::time::Timestamp;
use crate::http::app_state::{AppState, AppStateParts};
use crate::http::limits::Limits;
use crate::http::readiness::Readiness;
use crate::outbound::{Channels, Payments};
use crate::redis_client::RedisClient;
use crate::storage::cache::{CachedReads, CurrentHolds};
use crate::storage::{KnownNodes, Store};
use crate::telemetry::Metrics;

use super::connected_drivers;
use super::database::Database;
use super::equal_addresses;
use super::errors::StartError;
use super::frame_quota::FrameLimits;
use super::held_copy;
use super::hold_poller;
use super::last_seen_flusher::LastSeenFlusher;
use super::node_says::node_says;
use super::order_timers::{OrderTimers, order_clocks};
use super::redis_thread::RedisThread;
use super::revocation_poller::{Horizon, RevocationPoller, prune};

/// Everything that proves who asks, made from the operator's secret.
pub(super) struct Auth {
    tokens: Arc<Tokens>,
    refresh_tokens: Arc<RefreshTokens>,
    passwords: Arc<Passwords>,
    revocations: Revocations,
    last_seen: LastSeen,
    access_ttl: Duration,
}

impl Auth {
    /// Nothing is revoked yet.
    pub(super) fn new(settings: &Settings, metrics: &Metrics) -> Result<Self, StartError> {
        let auth = &settings.http.auth;
        let secret = auth.secret_key.expose_secret().as_bytes();
        let tokens = Tokens::new(
            TokenKey::hs256(secret)?,
            TokenSettings {
                issuer: auth.issuer.clone(),
                audience: auth.audience.clone(),
                access_ttl_s: u32::try_from(auth.access_ttl_s).unwrap_or(u32::MAX),
            },
        );
        let access_ttl = Duration::from_secs(auth.access_ttl_s);
        let passwords = PasswordSettings {
            memory_kib: auth.hash_memory_kib,
            iterations: auth.hash_passes,
            ..PasswordSettings::default()
        };
        let gauges = HashGauges {
            running: metrics.password_hashes_running.clone(),
            peak: metrics.password_hashes_peak.clone(),
        };
        Ok(Self {
            tokens: Arc::new(tokens),
            refresh_tokens: Arc::new(RefreshTokens::new(secret)),
            passwords: Arc::new(Passwords::new(&passwords)?.counted_by(gauges)),
            revocations: Revocations::new(access_ttl),
            last_seen: LastSeen::default(),
            access_ttl,
        })
    }

    /// Revokes the tokens of every login session that has ended while they could still be valid, and gives the time up to
    /// which this was asked.
    pub(super) async fn load_revocations(&self, store: &dyn Store) -> Result<Horizon, StartError> {
        let (now, started) = (Timestamp::now(), Instant::now());
        // A clock that was set back lets a token be accepted for twice its lifetime.
        for session in store.sessions_ended_since(now.minus(self.access_ttl.saturating_mul(2))).await? {
            self.revocations.insert(session, Instant::now(), now);
        }
        Ok(Horizon::new(now, started))
    }
}

/// Every actor of the node, running.
pub(super) struct Actors {
    reads: CachedReads,
    holds: CurrentHolds,
    payments: Payments,
    pub(super) nodes: KnownNodes,
    pub(super) readiness: Readiness,
    pub(super) rooms: Rooms,
    fanout: Arc<CommitFanout>,
    pub(super) persistence: Persistence,
    pub(super) timers: OrderTimers,
    pub(super) sessions: Sessions,
    pub(super) reachability: Reachability,
    pub(super) drivers: DriverPositions,
    pub(super) jobs: Jobs,
    /// Raised when an actor dies that must not.
    pub(super) fatal: FatalSignal,
}

impl Actors {
    /// Starts them in the order in which they need each other; messages of other nodes still wait in the inbox.
    pub(super) async fn start(
        settings: &Settings,
        store: &Arc<dyn Store>,
        auth: &Auth,
        limits: Option<Arc<Limits>>,
        nodes: KnownNodes,
        redis: &RedisThread,
        metrics: &Metrics,
    ) -> Result<(Self, BusInbox), StartError> {
        let (actors, fatal) = (&settings.actors, FatalSignal::new());
        let (bus, inbox) = redis.bus(settings, nodes.own(), metrics);
        let rooms = Rooms::start(store.clone(), bus.clone(), 1, actors.rooms.clone(), metrics.clone());
        let reads = CachedReads::new(store.clone(), settings.storage.cache.clone(), metrics.clone());
        let counted = nodes.clone();
        reads.neighbours().counted_by(move || counted.count());
        let (revocations, counted) = (auth.revocations.clone(), metrics.clone());
        let workers = Workers::new();
        let timers = OrderTimers::new(store.clone(), &actors.sagas);
        let drivers = DriverPositions::new(store.clone(), rooms.clone(), timers.pools());
        let driver_lives = DriverLives::new(timers.pools(), drivers.clone(), metrics.clone());
        let fanout = CommitFanout::new(
            reads.clone(),
            rooms.clone(),
            timers.lives(rooms.clone(), metrics.clone()),
            driver_lives,
            revocations,
            workers.clone(),
            counted,
            bus.clone(),
        );
        let fanout = Arc::new(fanout);
        store.set_clocks(order_clocks(settings));
        let lanes = settings.storage.writer_lanes();
        let (listener, counted) = (fanout.clone(), metrics.clone());
        let persistence =
            Persistence::start(store, lanes, &actors.persistence, listener, counted, fatal.clone()).await?;
        rooms.write_through(persistence.clone());
        drivers.write_through(persistence.clone());
        timers.start_pools(&persistence, bus, order_clocks(settings).dispatch, metrics.clone());
        let timed = store.clone();
        let now = Arc::new(move || timed.clock().now());
        let payments = Payments::new(settings.outbound.payments.clone(), now).map_err(StartError::Setting)?;
        let holds = CurrentHolds::default();
        let (paying, held) = (payments.clone(), holds.clone());
        timers.start(&persistence, Channels::default(), paying, held, metrics.clone());
        let reachability = Reachability::new();
        let sessions = Sessions::new(
            workers,
            rooms.clone(),
            persistence.clone(),
            reads.clone(),
            Authenticator::new(auth.tokens.clone(), auth.revocations.clone(), auth.last_seen.clone()),
            Arc::new(FrameLimits(limits)),
            reachability.clone(),
            drivers.clone(),
            actors.sessions.of_one_worker(settings.http.server.worker_threads()),
            metrics.clone(),
            fatal.clone(),
        );
        let jobs = Jobs::start(
            store.clone(),
            persistence.clone(),
            nodes.own(),
            actors.retention.clone(),
            metrics.clone(),
        );
        let all = Self {
            reads,
            holds,
            payments,
            nodes,
            readiness: Readiness::default(),
            rooms,
            fanout,
            persistence,
            timers,
            sessions,
            reachability,
            drivers,
            jobs,
            fatal,
        };
        Ok((all, inbox))
    }

    fn position_keeper(&self) -> PositionKeeper {
        PositionKeeper::new(self.drivers.clone(), self.persistence.clone())
    }

    fn lease_keeper(&self, store: Arc<dyn Store>, clocks: Clocks) -> LeaseKeeper {
        let (persistence, rooms, nodes) = (self.persistence.clone(), self.rooms.clone(), self.nodes.clone());
        let says =
            node_says(self.sessions.clone(), rooms.clone(), store.known_schema(), self.readiness.clone());
        LeaseKeeper::new(self.reachability.clone(), store, persistence, rooms, clocks, nodes, says)
    }
}

/// Everything request handlers may use.
pub(super) fn api(
    settings: &Settings,
    database: &Database,
    auth: &Auth,
    actors: &Actors,
    limits: Option<Arc<Limits>>,
    redis: Option<RedisClient>,
    metrics: Metrics,
) -> web::Data<AppState> {
    web::Data::new(AppState::new(AppStateParts {
        store: database.store.clone(),
        reads: actors.reads.clone(),
        holds: actors.holds.clone(),
        payments: actors.payments.clone(),
        redis,
        persistence: actors.persistence.clone(),
        tokens: auth.tokens.clone(),
        refresh_tokens: auth.refresh_tokens.clone(),
        stream_proofs: StreamProofs::new(settings.http.auth.secret_key.expose_secret().as_bytes()),
        passwords: auth.passwords.clone(),
        revocations: auth.revocations.clone(),
        last_seen: auth.last_seen.clone(),
        cipher: database.cipher.clone(),
        reachability: actors.reachability.clone(),
        drivers: actors.drivers.clone(),
        jobs: actors.jobs.clone(),
        rooms: actors.rooms.clone(),
        workers: actors.sessions.workers().clone(),
        nodes: actors.nodes.clone(),
        metrics,
        readiness: actors.readiness.clone(),
        limits,
        deployment: database.deployment,
        settings: settings.http.clone(),
    }))
}

/// Starts what runs beside requests until `stop`.
pub(super) fn spawn_background(
    database: &Database,
    auth: Auth,
    actors: &Actors,
    inbox: BusInbox,
    horizon: Horizon,
    clocks: Clocks,
    stop: &CancellationToken,
) -> LastSeenFlusher {
    let effects = BusEffects { rooms: actors.rooms.clone(), fanout: actors.fanout.clone() };
    ClusterBridge::start(&Arbiter::current(), inbox, Arc::new(effects), stop.clone());
    actix::spawn(actors.lease_keeper(database.store.clone(), clocks).run());
    actix::spawn(actors.position_keeper().run());
    actix::spawn(connected_drivers::hear(actors.sessions.clone(), actors.drivers.clone(), stop.clone()));
    actix::spawn(prune(auth.revocations.clone(), stop.clone()));
    let (store, fanout) = (database.store.clone(), actors.fanout.clone());
    let poller = RevocationPoller { store, fanout, revocations: auth.revocations, horizon };
    actix::spawn(poller.run(stop.clone()));
    actix::spawn(ControlFollower::new(actors.fanout.clone(), database.store.clone()).run(stop.clone()));
    actix::spawn(hold_poller::follow(actors.holds.clone(), database.store.clone(), stop.clone()));
    actix::spawn(equal_addresses::log_all(database.store.clone()));
    actix::spawn(held_copy::log_if_held(database.store.clone()));
    let flusher = LastSeenFlusher {
        last_seen: auth.last_seen,
        sessions: actors.sessions.clone(),
        persistence: actors.persistence.clone(),
    };
    actix::spawn(flusher.clone().run(stop.clone()));
    flusher
}
