//! The composition root: the only place that names concrete stores and actors together. Production, the demo and the
//! tests enter by this door.

mod attendance;
mod database;
mod ended_elsewhere;
mod equal_addresses;
mod hub_lock;
mod ready;
mod series;
mod session_ports;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_server::{Server, ServerHandle};
use actix_web::web;
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::actors::FatalSignal;
use crate::actors::jobs::Jobs;
use crate::actors::persistence::{CommitObserver, Persistence};
use crate::actors::room::Rooms;
use crate::actors::session::Sessions;
use crate::auth::activity::Activity;
use crate::auth::password::{HashGauges, PasswordSettings, PasswordSettingsError, Passwords};
use crate::auth::refresh::RefreshTokens;
use crate::auth::revocations::Revocations;
use crate::auth::stream_proof::StreamProofs;
use crate::auth::token::{TokenKey, TokenSettings, Tokens, WeakSecret};
use crate::config::{Environment, Settings};
use crate::domain::order::Status;
use crate::domain::time::Timestamp;
use crate::http::limits::LocalLimits;
use crate::http::server::Listening;
use crate::http::sockets::{Admission, SocketGate};
use crate::http::state::{Api, Deployment, Parts, Phase, Readiness};
use crate::protocol::event::RoomEvent;
use crate::storage::cache::CachedReads;
use crate::storage::commands::{
    Command, EndSession, Outcome, PlaceOutcome, Removal, RemoveMember, Rotation, Write,
};
use crate::storage::crypto::cipher::KeysError;
use crate::storage::settings::DatabaseLocation;
use crate::storage::{Store, StoreError};
use crate::telemetry::Metrics;

use attendance::Attendance;
use database::{location, make_folder, migrate_when_there, open_counted_store};
use ended_elsewhere::{EndedElsewhere, Horizon};
use hub_lock::HubLock;
use ready::Ready;
use session_ports::{FrameLimits, TokenCredentials};

pub use database::{migrate, open_store};

/// Clients that lose their node come back spread over this long.
const RECONNECT_SPREAD: Duration = Duration::from_secs(5);

/// Share of the drain time that sockets get; the rest is for requests and writers.
const SOCKETS_WITHIN: Duration = Duration::from_secs(10);

/// What the writers, and then the database, get beyond the drain time at most: with the 25 s of the default the process
/// ends within 30 s, when supervisors kill.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// How often ended sign-ins whose tokens have run out are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Why the hub could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is in use, or the address is not of this machine.
    #[error("could not listen on {address}: {cause}{}", listen_advice(.cause))]
    Listen {
        /// What was tried.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The database is away or none, or its schema could not be brought up to date.
    #[error("{place} cannot be used: {cause}")]
    Database {
        /// Which and where, without a password.
        place: String,
        /// What the database or the system said.
        cause: String,
    },
    /// Another hub runs on the same SQLite file.
    #[error(
        "another hub{} uses {}; stop it, or give this one a folder of its own by --data",
        .holder.map_or(String::new(), |id| format!(" (process {id})")),
        .database.display()
    )]
    InUse {
        /// The file.
        database: PathBuf,
        /// The process, as far as it is known.
        holder: Option<u32>,
    },
    /// A setting that passed validation does not work here.
    #[error("a setting does not work: {0}")]
    Setting(String),
}

fn listen_advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "; stop who uses it, or take another port by --port",
        _ => "",
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Database { place: "the database".to_owned(), cause: error.cause().to_owned() }
    }
}

impl From<KeysError> for StartError {
    fn from(error: KeysError) -> Self {
        Self::Setting(error.to_string())
    }
}

impl From<WeakSecret> for StartError {
    fn from(error: WeakSecret) -> Self {
        Self::Setting(error.to_string())
    }
}

impl From<PasswordSettingsError> for StartError {
    fn from(error: PasswordSettingsError) -> Self {
        Self::Setting(error.to_string())
    }
}

/// Why the hub ended otherwise than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A part died without which an order could be lost.
    #[error("{0} died; the process has to be started again")]
    Fatal(&'static str),
    /// The server ended with an error.
    #[error("the server ended: {0}")]
    Server(#[from] io::Error),
}

/// Begins the clean stop of a hub. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stopper(CancellationToken);

impl Stopper {
    /// Not ready, no new sockets, clients told when to come back, writers flushed. Calling it again changes nothing.
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
    persistence: Persistence,
    rooms: Rooms,
    jobs: Jobs,
    sessions: Sessions,
    attendance: Attendance,
    readiness: Readiness,
    metrics: Metrics,
    fatal: FatalSignal,
    stop: CancellationToken,
    drain_within: Duration,
    ready: Ready,
    /// Let go of last.
    _lock: Option<HubLock>,
}

/// A secret of its own for each purpose, from the one the operator keeps.
fn derive(secret: &[u8], purpose: &[u8]) -> Box<[u8; 32]> {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(purpose);
    Box::new(mac.finalize().into_bytes().into())
}

impl App {
    /// Opens and migrates the store, starts the actors, listens. Requests are taken once [`App::run`] is awaited. A Postgres that
    /// is away is waited for, however long it takes; meanwhile the port answers that the hub lives and is not ready.
    /// Must be called inside an actix system.
    ///
    /// # Errors
    /// When the port, the database or a setting does not work; nothing keeps running then.
    pub async fn build(settings: Settings) -> Result<Self, StartError> {
        let bind = |address| Listening::bind(address).map_err(|cause| StartError::Listen { address, cause });
        let listening = bind(SocketAddr::new(settings.http.server.host, settings.http.server.port))?;
        let ops = settings.http.ops.address().map(bind).transpose()?;
        let (address, ops_address) = (listening.address, ops.as_ref().map(|ops| ops.address));
        let metrics = Metrics::new(&settings.storage.data.dir);
        series::begin_at_zero(&metrics);
        let location = location(&settings)?;
        let ready = Ready::new(&settings, &location);
        let lock = match &location {
            DatabaseLocation::Sqlite(file) => {
                make_folder(file, &settings.storage.data.dir)?;
                HubLock::take(file)?
            }
            DatabaseLocation::Postgres(_) => None,
        };
        let (store, cipher) = open_counted_store(&settings, metrics.clone()).await?;
        let deployment = match settings.environment {
            Environment::Production => Deployment::Production,
            Environment::Development | Environment::Staging => Deployment::Trial,
        };
        migrate_when_there(store.as_ref(), &location.to_string(), &listening, deployment).await?;
        let auth = &settings.http.auth;
        let secret = auth.secret_key.expose_secret().as_bytes();
        let tokens = Arc::new(Tokens::new(
            TokenKey::hs256(secret)?,
            TokenSettings {
                issuer: auth.issuer.clone(),
                audience: auth.audience.clone(),
                access_ttl_s: u32::try_from(auth.access_ttl_s).unwrap_or(u32::MAX),
            },
        ));
        let access_ttl = Duration::from_secs(auth.access_ttl_s);
        let revocations = Revocations::new(access_ttl);
        let (now, started) = (Timestamp::now(), std::time::Instant::now());
        // Twice: so long a token may be believed by a clock that was set back.
        for session in store.sessions_ended_since(now.minus(access_ttl.saturating_mul(2))).await? {
            revocations.insert(session, std::time::Instant::now(), now);
        }
        let fatal = FatalSignal::new();
        let rooms = Rooms::start(store.clone(), 1, settings.actors.rooms.clone(), metrics.clone());
        let reads = CachedReads::new(store.clone(), settings.storage.cache.clone(), metrics.clone());
        let announcer = Arc::new(Announcer {
            reads: reads.clone(),
            rooms: rooms.clone(),
            revocations: revocations.clone(),
            metrics: metrics.clone(),
            sessions: arc_swap::ArcSwapOption::empty(),
        });
        let persistence = Persistence::start(
            &store,
            settings.storage.writer_lanes(),
            &settings.actors.persistence,
            announcer.clone(),
            metrics.clone(),
            fatal.clone(),
        )
        .await?;
        rooms.write_through(persistence.clone());
        let activity = Activity::default();
        let credentials = Arc::new(TokenCredentials {
            tokens: tokens.clone(),
            revocations: revocations.clone(),
            activity: activity.clone(),
        });
        let limits = &settings.http.limits;
        let limits = limits.enabled.then(|| Arc::new(LocalLimits::new(limits)));
        let sessions = Sessions::new(
            rooms.clone(),
            persistence.clone(),
            reads.clone(),
            credentials,
            Arc::new(FrameLimits(limits.clone())),
            settings.actors.sessions.of_one_worker(settings.http.server.worker_threads()),
            metrics.clone(),
            fatal.clone(),
        );
        announcer.sessions.store(Some(Arc::new(sessions.clone())));
        let jobs = Jobs::start(
            store.clone(),
            persistence.clone(),
            settings.actors.retention.clone(),
            metrics.clone(),
        );
        let readiness = Readiness::default();
        let passwords = PasswordSettings {
            memory_kib: auth.hash_memory_kib,
            iterations: auth.hash_passes,
            ..PasswordSettings::default()
        };
        let api = web::Data::new(Api::new(Parts {
            store: store.clone(),
            reads,
            persistence: persistence.clone(),
            tokens,
            refresh_tokens: Arc::new(RefreshTokens::new(secret)),
            stream_proofs: StreamProofs::new(secret),
            passwords: Arc::new(Passwords::new(&passwords)?.counted_by(HashGauges {
                running: metrics.password_hashes_running.clone(),
                peak: metrics.password_hashes_peak.clone(),
            })),
            revocations: revocations.clone(),
            activity: activity.clone(),
            cipher,
            jobs: jobs.clone(),
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            limits: limits.clone(),
            deployment,
            settings: settings.http.clone(),
        }));
        let limits = &settings.actors.sessions;
        let admission = Admission::new(limits.max_per_user, limits.max_per_ip);
        let gate = SocketGate::new(api.clone(), sessions.clone(), admission);
        let (server, handle) = listening
            .serve(ops, &settings.http.server, api, gate)
            .map_err(|cause| StartError::Listen { address, cause })?;
        let stop = CancellationToken::new();
        actix::spawn(prune(revocations.clone(), stop.clone()));
        let horizon = Horizon::new(now, started);
        let ends = EndedElsewhere { store: store.clone(), announcer, revocations, horizon };
        actix::spawn(ends.follow(stop.clone()));
        actix::spawn(equal_addresses::tell(store.clone()));
        let attendance =
            Attendance { activity, sessions: sessions.clone(), persistence: persistence.clone() };
        actix::spawn(attendance.clone().keep(stop.clone()));
        let drain_within = Duration::from_secs(settings.http.server.drain_s);
        Ok(Self {
            server,
            handle,
            address,
            ops_address,
            store,
            persistence,
            rooms,
            jobs,
            sessions,
            attendance,
            readiness,
            metrics,
            fatal,
            stop,
            drain_within,
            ready,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators find what is theirs, if that has a listener of its own.
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.ops_address
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Its sockets.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The only door to writing, for what is not asked over HTTP.
    pub fn persistence(&self) -> &Persistence {
        &self.persistence
    }

    /// What stops it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Serves until it is stopped, then drains: not ready, no new sockets, clients told when to come back,
    /// requests under way answered, writers flushed, the database closed.
    ///
    /// # Errors
    /// When a part died that must not, or the listener failed; the process should end non-zero.
    pub async fn run(self) -> Result<(), RunError> {
        self.readiness.set(Phase::Ready);
        self.ready.announce(self.address, self.ops_address);
        let mut server = actix::spawn(self.server);
        let outcome = tokio::select! {
            () = self.stop.cancelled() => Ok(()),
            what = self.fatal.raised() => Err(RunError::Fatal(what)),
            ended = &mut server => match ended {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(RunError::Server(error)),
                Err(_) => Err(RunError::Fatal("the server")),
            },
        };
        self.readiness.set(Phase::Draining);
        self.jobs.stop();
        let deadline = Instant::now() + self.drain_within;
        self.attendance.ask_sockets().await;
        tracing::info!(sockets = self.sessions.open(), "draining");
        self.sessions.drain(RECONNECT_SPREAD, SOCKETS_WITHIN.min(self.drain_within)).await;
        if timeout_at(deadline, self.handle.stop(true)).await.is_err() {
            tracing::warn!("requests under way did not finish in time");
        }
        let last = deadline.max(Instant::now()) + FLUSH_WITHIN;
        let flushed = async {
            self.attendance.store().await;
            self.persistence.drain().await;
        };
        if outcome.is_ok() && timeout_at(last, flushed).await.is_err() {
            tracing::error!("the writers did not finish in time");
        }
        self.stop.cancel();
        self.rooms.stop();
        if timeout_at(last + FLUSH_WITHIN, self.store.close()).await.is_err() {
            tracing::warn!("the database did not let go in time");
        }
        tracing::info!("stopped");
        outcome
    }
}

async fn prune(revocations: Revocations, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PRUNE_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => revocations.prune(std::time::Instant::now(), Timestamp::now()),
        }
    }
}

/// Tells everybody concerned of a commit.
struct Announcer {
    rooms: Rooms,
    revocations: Revocations,
    metrics: Metrics,
    reads: CachedReads,
    /// Sessions need persistence, which needs this; so they are put in afterwards, before anything is served.
    sessions: arc_swap::ArcSwapOption<Sessions>,
}

impl Announcer {
    fn end_session(&self, session: crate::domain::ids::SessionId) {
        self.revocations.insert(session, std::time::Instant::now(), Timestamp::now());
        if let Some(sessions) = self.sessions.load().as_ref() {
            sessions.end_session(session);
        }
    }
}

impl CommitObserver for Announcer {
    fn committed(&self, commands: &[Command], outcomes: &[Outcome], events: Vec<RoomEvent>) {
        self.reads.committed(commands, outcomes);
        self.rooms.publish(&events);
        for (command, outcome) in commands.iter().zip(outcomes) {
            match (command.action.unkeyed(), outcome) {
                (_, Outcome::Placed(PlaceOutcome::Placed(order))) => {
                    self.metrics.orders_created_total.inc();
                    if order.status == Status::Placed {
                        self.metrics.notifications_sent_total.with_label_values(&["NEW_ORDER"]).inc();
                    }
                }
                // A move to where the order stood already has kept its version.
                (Write::MoveOrder(wanted), Outcome::Moved(Ok(order)))
                    if order.version > wanted.request.version =>
                {
                    self.metrics.orders_processed_total.with_label_values(&[order.status.as_str()]).inc();
                    if order.status == Status::Delivered {
                        let total = u64::try_from(order.total_minor).unwrap_or(0);
                        self.metrics
                            .revenue_total_amount
                            .with_label_values(&[order.currency.as_str()])
                            .inc_by(total);
                    }
                }
                (Write::PostNotification(_), Outcome::Done) => {
                    self.metrics.notifications_sent_total.with_label_values(&["CUSTOM"]).inc();
                }
                (Write::EndSession(EndSession { session }), Outcome::Removed(Removal::Removed)) => {
                    self.end_session(*session)
                }
                (Write::RotateSession(rotate), Outcome::Rotated(Rotation::Reused { .. })) => {
                    self.metrics.security_events_total.with_label_values(&["refresh_reuse"]).inc();
                    self.end_session(rotate.session);
                }
                (Write::RemoveMember(RemoveMember { user, .. }), Outcome::Removed(Removal::Removed)) => {
                    if let Some(sessions) = self.sessions.load().as_ref() {
                        sessions.check_rooms(*user);
                    }
                }
                _ => {}
            }
        }
    }

    fn uncertain(&self, commands: &[Command]) {
        self.reads.commit_unknown(commands);
        for command in commands {
            // It is tried until it has happened; whoever asked for it need not wait for that.
            if let Write::EndSession(EndSession { session }) = command.action {
                self.end_session(session);
            }
        }
    }
}
