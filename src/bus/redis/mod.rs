//! The bus over Redis pub/sub; on a Redis Cluster over sharded pub/sub.
//!
//! One channel a room, one for instructions to every node, and some of the node's own for the probe: every 5 s it sends itself a
//! message the way that all messages go. A probe that does not come back within 2 s is followed by another at once; after
//! two the subscribing connection is made anew and [`Received::Lost`](super::Received) told. Publishing and subscribing leave a note
//! for the tasks of [`RedisBus::connect`], so they never wait.

mod channels;
mod envelope;
mod outgoing;
mod probe;
mod shared;
mod subscriber;
mod wanted;

use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::domain::ids::NodeId;
use crate::domain::room::RoomId;
use crate::redis_client::RedisClient;
use crate::telemetry::Metrics;

use super::inbox::{BusInbox, inbox};
use super::keys::BusKeys;
use super::message::BusMessage;
use super::port::{Bus, BusHealth};
use channels::Channels;
use envelope::Envelopes;
use outgoing::{Outgoing, Publisher};
use shared::Shared;
use subscriber::Subscriber;

/// One node's connection to the bus over Redis.
pub struct RedisBus {
    shared: Arc<Shared>,
    outgoing: Outgoing,
    _alive: DropGuard,
}

impl RedisBus {
    /// A connection, its inbox, and what has to run for it, on the runtime of the client; it ends when the connection is dropped.
    pub fn connect(
        client: &RedisClient,
        node: NodeId,
        keys: BusKeys,
        metrics: &Metrics,
    ) -> (Arc<Self>, BusInbox, impl Future<Output = ()> + Send + use<>) {
        let (sender, receiver) = inbox();
        let channels = Arc::new(Channels::new(client, node));
        let shared = Arc::new(Shared::new(channels.probes().len(), metrics.clone()));
        let envelopes = Arc::new(Envelopes::new(node, keys));
        let (outgoing, queue) = Outgoing::new(metrics.clone());
        let publisher = Publisher::new(client.clone(), channels.clone(), envelopes.clone(), metrics.clone());
        let subscriber =
            Subscriber::new(client.clone(), channels, envelopes, shared.clone(), sender, outgoing.clone());
        let stop = CancellationToken::new();
        let bus = Self { shared, outgoing, _alive: stop.clone().drop_guard() };
        let running = async move {
            let both = async { tokio::join!(subscriber.run(), publisher.run(queue)) };
            stop.run_until_cancelled(both).await;
        };
        (Arc::new(bus), receiver, running)
    }

    /// Waits until messages arrive and every room that is wanted is subscribed.
    pub async fn settled(&self) {
        self.shared.settled().await;
    }
}

impl Bus for RedisBus {
    fn publish(&self, message: BusMessage) {
        self.outgoing.send(message);
    }

    fn subscribe(&self, room: RoomId) {
        self.shared.want(room);
    }

    fn unsubscribe(&self, room: RoomId) {
        self.shared.release(room);
    }

    fn health(&self) -> BusHealth {
        if self.shared.is_green() { BusHealth::Fine } else { BusHealth::Doubted }
    }
}
