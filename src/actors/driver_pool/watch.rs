//! What pools hear of the store without a commit of this node: rows that other nodes wrote, and how many drivers are on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::domain::time::Timestamp;
use crate::storage::{PoolDriver, Store};
use crate::telemetry::Metrics;

use super::DriverPools;
use super::messages::PoolMessage;
use super::settings::{CHANGED_AT_ONCE, CHANGED_EVERY, CHANGED_OVERLAP, COUNT_EVERY, COUNTED_ZONES};

/// Tells pools what has changed, and counts drivers.
pub struct PoolWatch {
    pools: DriverPools,
    store: Arc<dyn Store>,
    metrics: Metrics,
}

impl PoolWatch {
    /// A watch for these pools.
    pub fn new(pools: DriverPools, store: Arc<dyn Store>, metrics: Metrics) -> Self {
        Self { pools, store, metrics }
    }

    /// Runs until [`DriverPools::stop`]. While the store is away it goes on trying.
    pub async fn run(self) {
        let Self { pools, store, metrics } = self;
        let stopped = pools.0.stopped.clone();
        stopped.run_until_cancelled(follow(pools, store, metrics)).await;
    }
}

async fn follow(pools: DriverPools, store: Arc<dyn Store>, metrics: Metrics) {
    let mut ticks = interval(CHANGED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut since, mut counted) = (store.clock().now(), None::<Instant>);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Commits come in bursts: a moment later one read is enough for many.
            () = pools.0.changed.notified() => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        if pools.count() > 0 {
            since = tell_changed(&pools, store.as_ref(), since).await;
        }
        if counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            counted = Some(Instant::now());
            count(store.as_ref(), &metrics).await;
        }
    }
}

/// Tells all pools what has changed since; returns up to when.
async fn tell_changed(pools: &DriverPools, store: &dyn Store, since: Timestamp) -> Timestamp {
    // A transaction that began earlier may have committed later.
    let read = store.drivers_changed(since.minus(CHANGED_OVERLAP), CHANGED_AT_ONCE).await;
    let drivers: Arc<[PoolDriver]> = match read {
        Ok(drivers) => drivers.into(),
        Err(error) => {
            tracing::warn!(%error, "changed drivers could not be read");
            return since;
        }
    };
    let latest = drivers.iter().map(|read| read.driver.updated_at).max();
    if !drivers.is_empty() {
        pools.tell_every(|| PoolMessage::Changed(drivers.clone()));
    }
    latest.map_or(since, |latest| latest.max(since))
}

async fn count(store: &dyn Store, metrics: &Metrics) {
    match store.online_by_zone(COUNTED_ZONES).await {
        Ok(zones) => {
            metrics.drivers_online.reset();
            for (zone, drivers) in zones {
                metrics.drivers_online.with_label_values(&[&zone]).set(i64::from(drivers));
            }
        }
        Err(error) => tracing::warn!(%error, "the drivers who are on could not be counted"),
    }
}
