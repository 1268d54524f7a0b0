//! The thread on which everything runs that speaks to Redis; there is none without Redis.

use std::sync::Arc;

use actix::prelude::Arbiter;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use crate::bus::{Bus, BusInbox, BusKeys, InProcessBus, RedisBus};
use crate::config::Settings;
use crate::domain::ids::NodeId;
use crate::redis_client::RedisClient;
use crate::telemetry::Metrics;

use super::errors::StartError;

/// The client of Redis and its thread; both end when this is dropped.
pub(super) struct RedisThread(Option<Running>);

struct Running {
    client: RedisClient,
    arbiter: Arbiter,
    stop: CancellationToken,
}

impl RedisThread {
    /// Begins to connect; a Redis that is away delays nothing.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub(super) fn start(settings: &Settings) -> Result<Self, StartError> {
        let Some(client) = RedisClient::new(&settings.redis.redis).map_err(StartError::Setting)? else {
            return Ok(Self(None));
        };
        let (arbiter, stop) = (Arbiter::new(), CancellationToken::new());
        arbiter.spawn(client.keep(stop.clone()));
        Ok(Self(Some(Running { client, arbiter, stop })))
    }

    /// A connection to the bus: over Redis, or without one to a bus on which this node is alone.
    pub(super) fn bus(
        &self,
        settings: &Settings,
        node: NodeId,
        metrics: &Metrics,
    ) -> (Arc<dyn Bus>, BusInbox) {
        let Some(running) = &self.0 else { return InProcessBus::default().connect() };
        let secret = settings.http.auth.secret_key.expose_secret().as_bytes();
        let keys = BusKeys::new(&settings.bus.bus, secret);
        let (bus, inbox, task) = RedisBus::connect(&running.client, node, keys, metrics);
        running.arbiter.spawn(task);
        (bus, inbox)
    }

    /// The client, if there is a Redis.
    pub(super) fn client(&self) -> Option<RedisClient> {
        self.0.as_ref().map(|running| running.client.clone())
    }
}

impl Drop for RedisThread {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.stop.cancel();
            running.arbiter.stop();
        }
    }
}
