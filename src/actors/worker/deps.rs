//! The parts of the hub that worker threads and their subscribers use.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use prometheus::IntCounter;

use crate::actors::driver_positions::DriverPositions;
use crate::actors::fatal::FatalSignal;
use crate::actors::persistence::Persistence;
use crate::actors::reachability::Reachability;
use crate::actors::room::Rooms;
use crate::actors::session::settings::SessionSettings;
use crate::auth::authenticator::Authenticator;
use crate::domain::ids::UserId;
use crate::storage::cache::CachedReads;
use crate::telemetry::Metrics;

/// The quota of frames that reach the store: one for each user, over all their sockets.
pub trait FrameQuota: Send + Sync + 'static {
    /// Consumes one.
    ///
    /// # Errors
    /// The time until the next one.
    fn consume(&self, user: UserId, now: Instant) -> Result<(), Duration>;
}

/// Shared by every worker thread of the node.
#[derive(Clone)]
pub(in crate::actors) struct WorkerDeps {
    pub(in crate::actors) rooms: Rooms,
    pub(in crate::actors) persistence: Persistence,
    pub(in crate::actors) reads: CachedReads,
    pub(in crate::actors) authenticator: Authenticator,
    pub(in crate::actors) frame_quota: Arc<dyn FrameQuota>,
    pub(in crate::actors) reachability: Reachability,
    pub(in crate::actors) drivers: DriverPositions,
    pub(in crate::actors) settings: Arc<SessionSettings>,
    pub(in crate::actors) metrics: Metrics,
    pub(in crate::actors) fatal: FatalSignal,
    pub(in crate::actors) live_deliveries: IntCounter,
    pub(in crate::actors) history_deliveries: IntCounter,
    pub(in crate::actors) open_sockets: Arc<AtomicUsize>,
    pub(in crate::actors) open_readers: Arc<AtomicUsize>,
}
