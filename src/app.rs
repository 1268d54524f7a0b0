//! The composition root: the only place that names concrete stores and actors together. It wires them and decides nothing.
//! Production, the demo and the tests all start a hub by [`App::build`].
#![expect(clippy::disallowed_methods, reason = "this file owns the tasks that it starts")]

mod build;
mod connected_drivers;
mod database;
mod equal_addresses;
mod errors;
mod frame_quota;
mod held_copy;
mod hold_poller;
mod hub_lock;
mod initial_series;
mod last_seen_flusher;
mod listen;
mod node_says;
mod order_timers;
mod oversight;
mod redis_thread;
mod revocation_poller;
mod shutdown;
mod startup_message;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_server::{Server, ServerHandle};
use tokio_util::sync::CancellationToken;

use crate::actors::persistence::Persistence;
use crate::actors::reachability::Reachability;
use crate::actors::session::Sessions;
use crate::actors::watchdog;
use crate::config::Settings;
use crate::domain::ids::NodeId;
use crate::http::limits::Limits;
use crate::http::readiness::{Phase, Readiness};
use crate::http::settings::ServerSettings;
use crate::http::sockets::{Admission, Upgrader};
use crate::storage::{KnownNodes, Store};
use crate::telemetry::Metrics;

use build::{Actors, Auth};
use database::Database;
use hub_lock::HubLock;
use last_seen_flusher::LastSeenFlusher;
use oversight::Oversight;
use redis_thread::RedisThread;
use shutdown::{Flush, Shutdown};
use startup_message::StartupMessage;

pub use database::{migrate, open_store};
pub use errors::{EXIT_FATAL, RunError, StartError};
pub use order_timers::OrderTimers;

/// Begins the clean stop of a hub. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stopper(CancellationToken);

impl Stopper {
    /// Begins the drain that [`App::run`] describes. Calling it again changes nothing.
    pub fn stop(&self) {
        self.0.cancel();
    }
}

/// A hub that listens, with everything behind it running.
pub struct App {
    server: Server,
    handle: ServerHandle,
    address: SocketAddr,
    ops_address: Option<SocketAddr>,
    store: Arc<dyn Store>,
    actors: Actors,
    last_seen: LastSeenFlusher,
    readiness: Readiness,
    metrics: Metrics,
    stop: CancellationToken,
    server_settings: ServerSettings,
    message: StartupMessage,
    /// Ends after everything that uses it.
    _redis: RedisThread,
    /// Released last.
    _lock: Option<HubLock>,
}

impl App {
    /// Opens and migrates the store, starts the actors, listens. Requests are taken once [`App::run`] is awaited. A Postgres that
    /// is away is waited for, however long it takes; meanwhile the port answers that the hub lives and is not ready.
    /// Must be called inside an actix system.
    ///
    /// # Errors
    /// When the port, the database or a setting does not work; nothing keeps running then.
    pub async fn build(settings: Settings) -> Result<Self, StartError> {
        let (listening, ops) = listen::listen(&settings)?;
        let (address, ops_address) = (listening.address, ops.as_ref().map(|ops| ops.address));
        let metrics = Metrics::new(&settings.storage.data.dir);
        initial_series::begin_at_zero(&metrics);
        let message = StartupMessage::new(&settings, &database::location(&settings)?);
        let database = Database::open(&settings, &listening, metrics.clone()).await?;
        let redis = RedisThread::start(&settings)?;
        let auth = Auth::new(&settings, &metrics)?;
        let horizon = auth.load_revocations(database.store.as_ref()).await?;
        let nodes = KnownNodes::new(NodeId::generate());
        let limits = &settings.http.limits;
        let limits = limits.enabled.then(|| Arc::new(Limits::new(limits, redis.client(), nodes.clone())));
        let (actors, inbox) =
            Actors::start(&settings, &database.store, &auth, limits.clone(), nodes, &redis, &metrics).await?;
        let api = build::api(&settings, &database, &auth, &actors, limits, redis.client(), metrics.clone());
        let sockets = &settings.actors.sessions;
        let nodes = actors.nodes.clone();
        let admission = Admission::shared(sockets.max_per_user, sockets.max_per_ip, redis.client(), nodes);
        let gate = Upgrader::new(api.clone(), actors.sessions.clone(), admission.clone());
        let (server, handle) = listening
            .serve(ops, &settings.http.server, api, gate)
            .map_err(|cause| StartError::Listen { address, cause })?;
        let stop = CancellationToken::new();
        actix::spawn(admission.keep_shared(stop.clone()));
        actix::spawn(Oversight::new(&settings, &database.store, &metrics).run(stop.clone()));
        let clocks = order_timers::order_clocks(&settings);
        let last_seen = build::spawn_background(&database, auth, &actors, inbox, horizon, clocks, &stop);
        Ok(Self {
            server,
            handle,
            address,
            ops_address,
            store: database.store,
            readiness: actors.readiness.clone(),
            actors,
            last_seen,
            metrics,
            stop,
            server_settings: settings.http.server,
            message,
            _redis: redis,
            _lock: database.lock,
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the operators' routes, if they have a listener of their own.
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.ops_address
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Its sockets.
    pub fn sessions(&self) -> &Sessions {
        &self.actors.sessions
    }

    /// The businesses its devices can ring for.
    pub fn reachability(&self) -> &Reachability {
        &self.actors.reachability
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The only way to write, for writes that no HTTP request asks for.
    pub fn persistence(&self) -> &Persistence {
        &self.actors.persistence
    }

    /// What acts on its orders when their time has come.
    pub fn timers(&self) -> &OrderTimers {
        &self.actors.timers
    }

    /// A handle that stops it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Lets every thread give signs of life, and the watchdog look for them.
    fn watch_threads(&self) {
        let Actors { rooms, timers, fatal, .. } = &self.actors;
        rooms.give_signs_of_life(fatal);
        timers.give_signs_of_life(fatal);
        actix::spawn(fatal.pulse("the main thread").of_this_thread());
        watchdog::watch(fatal, self.metrics.clone(), || std::process::exit(EXIT_FATAL.into()));
    }

    /// Serves until it is stopped, then drains: not ready, no new sockets, clients told when to come back,
    /// requests under way answered, writers flushed, the database closed.
    ///
    /// # Errors
    /// When a part died that must not, or the listener failed; the process should end non-zero.
    pub async fn run(self) -> Result<(), RunError> {
        self.readiness.set(Phase::Ready);
        self.message.log(self.address, self.ops_address);
        self.watch_threads();
        let mut server = actix::spawn(self.server);
        let outcome = tokio::select! {
            () = self.stop.cancelled() => Ok(()),
            what = self.actors.fatal.raised() => Err(RunError::Fatal(what)),
            ended = &mut server => match ended {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(RunError::Server(error)),
                Err(_) => Err(RunError::Fatal("the server")),
            },
        };
        let shutdown = Shutdown {
            actors: self.actors,
            last_seen: self.last_seen,
            server: self.handle,
            store: self.store,
            readiness: self.readiness,
            stop: self.stop,
        };
        let flush = if outcome.is_ok() { Flush::Writers } else { Flush::Nothing };
        shutdown.run(&self.server_settings, flush).await;
        outcome
    }
}
