//! The places of sockets that all nodes give together, in Redis.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Pipeline, Script};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::domain::address::AddressBlock;
use crate::domain::ids::UserId;
use crate::redis_client::RedisClient;
use crate::storage::KnownNodes;

/// The longest an upgrade waits for Redis; then this node decides by itself.
const WITHIN: Duration = Duration::from_millis(50);

/// Numbers in Redis are kept for this long without being written again: longer than a node that has gone counts as there.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Pause between two writes of what has changed: a client that comes back at once finds its old place free.
const WRITE_EVERY: Duration = Duration::from_millis(100);

/// All numbers of this node are written again after so many writes, 20 s: what Redis lost comes back.
const ALL_AGAIN: u32 = 200;

/// Numbers in one round trip.
const A_WRITE: usize = 500;

/// Most numbers that wait to be written; further ones are written with all.
const MAX_CHANGED: usize = 65_536;

/// The longest wait for one such write.
const WRITE_WITHIN: Duration = Duration::from_secs(1);

/// Whose sockets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    /// Those of a user.
    User(UserId),
    /// Those of an address.
    Address(AddressBlock),
}

/// The numbers of sockets of other nodes. A node that is alone neither reads nor writes any.
pub(super) struct SharedPlaces {
    client: RedisClient,
    nodes: KnownNodes,
    script: Script,
    changed: Mutex<HashSet<Counted>>,
}

impl std::fmt::Debug for SharedPlaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedPlaces")
    }
}

impl SharedPlaces {
    pub(super) fn new(client: RedisClient, nodes: KnownNodes) -> Self {
        let script = Script::new(include_str!("places.lua"));
        Self { client, nodes, script, changed: Mutex::default() }
    }

    /// Whether there is a place for the last of `mine` sockets that this node has. Yes when Redis does not say in time.
    pub(super) async fn admits(&self, counted: Counted, mine: usize, most: usize) -> bool {
        let nodes = self.nodes.ready();
        if nodes.len() < 2 {
            return true;
        }
        let own = self.nodes.own();
        let key = self.key(counted);
        let mut invocation = self.script.prepare_invoke();
        let kept_ms = KEPT_FOR.as_millis() as u64;
        invocation.key(key).arg(own.to_string()).arg(mine).arg(most).arg(kept_ms);
        for node in nodes.iter().filter(|node| **node != own) {
            invocation.arg(node.to_string());
        }
        // Its own limit: that of the client is for connections that have died.
        let answer = self.client.invoke::<i64>(&invocation, WRITE_WITHIN);
        !matches!(tokio::time::timeout(WITHIN, answer).await, Ok(Ok(0)))
    }

    /// Notes that a number has changed. Never waits.
    pub(super) fn changed(&self, counted: Counted) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if changed.len() < MAX_CHANGED {
            changed.insert(counted);
        }
    }

    /// Writes what has changed until it is stopped. `count` is the number of sockets now, `all` lists whoever has some.
    pub(super) async fn keep(
        self: Arc<Self>,
        count: impl Fn(Counted) -> usize,
        all: impl Fn() -> Vec<Counted>,
        stop: CancellationToken,
    ) {
        let mut ticks = interval(WRITE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut until_all, mut alone) = (ALL_AGAIN, true);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let changed = std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
            let was_alone = std::mem::replace(&mut alone, self.nodes.count() < 2);
            if alone {
                continue;
            }
            until_all -= 1;
            let due: Vec<Counted> = if was_alone || until_all == 0 {
                until_all = ALL_AGAIN;
                all().into_iter().chain(changed).collect()
            } else {
                changed.into_iter().collect()
            };
            for chunk in due.chunks(A_WRITE) {
                self.write(chunk, &count).await;
            }
        }
    }

    async fn write(&self, chunk: &[Counted], count: &impl Fn(Counted) -> usize) {
        let own = self.nodes.own().to_string();
        let kept_ms = i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
        // One by one on a cluster, where each key may be elsewhere.
        let size = if self.client.is_cluster() { 1 } else { chunk.len().max(1) };
        for some in chunk.chunks(size) {
            let mut pipeline = Pipeline::new();
            for counted in some {
                let key = self.key(*counted);
                match count(*counted) {
                    0 => pipeline.hdel(&key, &own).ignore(),
                    sockets => pipeline.hset(&key, &own, sockets).ignore().pexpire(&key, kept_ms).ignore(),
                };
            }
            let written =
                self.client.run(WRITE_WITHIN, async |mut link| pipeline.exec_async(&mut link).await);
            if written.await.is_err() {
                // All are written again soon.
                return;
            }
        }
    }

    fn key(&self, counted: Counted) -> String {
        match counted {
            Counted::User(user) => self.client.key(&format!("sockets:{user}")),
            Counted::Address(block) => self.client.key(&format!("sockets:{block}")),
        }
    }
}
