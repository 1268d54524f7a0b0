//! Holds that operators set and lift, on whichever node.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::time::Timestamp;
use crate::storage::Store;
use crate::storage::cache::CurrentHolds;

/// Pause between two reads: with the time of an answer a hold counts within two seconds.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Reads the holds into memory until it is stopped. While the store is away those that were read last count.
pub(super) async fn follow(holds: CurrentHolds, store: Arc<dyn Store>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(READ_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => match store.holds(Timestamp::now()).await {
                Ok(read) => holds.replace(read.into_iter().map(|stored| stored.hold)),
                Err(error) => tracing::debug!(%error, "holds could not be read; trying again"),
            },
        }
    }
}
