//! The comparison of rooms with the store, twice a second, and at once when messages of other nodes were lost: it finds
//! committed events that no message announced, events of other nodes where there is no bus, and a store that is an older copy.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;

use crate::bus::BusHealth;
use crate::domain::room::RoomId;

use super::actor::RoomDeps;
use super::messages::Watermark;

/// Time between two comparisons. A missed last event is found by the second one, so that events of other nodes arrive
/// within 1.5 s where there is no bus.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// The same while messages of other nodes may not arrive.
const POLL_EVERY_IN_DOUBT: Duration = Duration::from_millis(250);

/// Least time between two comparisons.
const LEAST_PAUSE: Duration = Duration::from_millis(50);

/// Rooms in one query, which takes some milliseconds.
const ROOMS_A_QUERY: usize = 500;

/// Queries at once: a slow one holds up one of them, and most connections are left to others.
const QUERIES_AT_ONCE: usize = 2;

/// Compares for as long as the rooms live; after a panic it begins again.
pub(super) async fn poll_heads(deps: RoomDeps) {
    loop {
        // Only maps and counters are shared with the comparison that ended, which other threads change as well.
        if AssertUnwindSafe(poll(deps.clone())).catch_unwind().await.is_err() {
            tracing::error!("the comparison of rooms with the store panicked and begins again");
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}

async fn poll(deps: RoomDeps) {
    let mut begun = Instant::now();
    loop {
        let every = match deps.bus.health() {
            BusHealth::Fine => POLL_EVERY,
            BusHealth::Doubted => POLL_EVERY_IN_DOUBT,
        };
        let lost = tokio::time::timeout_at(begun + every, deps.dirty.notified()).await.is_ok();
        // Losses that follow each other closely are answered by one comparison.
        tokio::time::sleep_until(begun + LEAST_PAUSE).await;
        begun = Instant::now();
        let rooms = deps.registry.rooms();
        // Some rooms a query, so that a slow one does not keep the others from being found.
        let queries = rooms.chunks(ROOMS_A_QUERY).map(|rooms| read_heads(&deps, rooms, lost));
        futures_util::stream::iter(queries).for_each_concurrent(QUERIES_AT_ONCE, |query| query).await;
        let used = i64::try_from(deps.memory.used()).unwrap_or(i64::MAX);
        deps.metrics.room_memory_bytes.set(used);
    }
}

async fn read_heads(deps: &RoomDeps, rooms: &[RoomId], lost: bool) {
    match deps.store.heads(rooms).await {
        Ok(heads) => {
            for (room, head) in heads {
                if let Some(mailbox) = deps.registry.get(&room) {
                    // A full mailbox gets the head of the next comparison.
                    let _ = mailbox.offer(Watermark { head, lost });
                }
            }
        }
        Err(error) => {
            tracing::warn!(%error, rooms = rooms.len(), "the heads of rooms could not be read");
        }
    }
}
