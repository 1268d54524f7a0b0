//! Keeps what this node heard of drivers in step with the store.

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::actors::persistence::Persistence;
use crate::domain::ids::UserId;
use crate::storage::commands::EndSilentDrivers;
use crate::storage::{ListedDelivery, StoreError};

use super::DriverPositions;
use super::settings::{
    LISTEN_FIRST, OLD_READS_A_ROUND, PASS_EVERY, READS_A_ROUND, READS_AT_ONCE, SILENT_AT_ONCE, SILENT_EVERY,
    STORE_AT_ONCE, STORE_EVERY,
};
use super::state::{Carried, Known, Pass};

/// Passes on positions that had to wait, reads what drivers carry, stores signs of life, and takes silent drivers off. While the store is
/// away it goes on trying.
pub struct PositionKeeper {
    positions: DriverPositions,
    persistence: Persistence,
}

impl PositionKeeper {
    /// A keeper of what `positions` hears.
    pub fn new(positions: DriverPositions, persistence: Persistence) -> Self {
        Self { positions, persistence }
    }

    /// Runs until [`DriverPositions::stop`], and stores what was heard before it returns.
    pub async fn run(self) {
        let stopped = self.positions.0.stopped.clone();
        stopped.run_until_cancelled(self.keep()).await;
        self.store().await;
        self.positions.0.ended.cancel();
    }

    async fn keep(&self) {
        let mut ticks = interval(PASS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A node that has just started has heard nobody yet, and may have been away several times in a row.
        let (mut stored, mut silenced) = (Instant::now(), Instant::now() + LISTEN_FIRST);
        loop {
            tokio::select! {
                () = self.positions.0.wake.notified() => {
                    self.read().await;
                    if self.positions.state().has_first_position() {
                        self.store().await;
                    }
                }
                now = ticks.tick() => {
                    let passes = self.positions.state().tick(self.positions.now());
                    passes.iter().for_each(|pass| self.positions.pass_on(pass));
                    self.read().await;
                    if now.duration_since(stored) >= STORE_EVERY {
                        stored = now;
                        self.store().await;
                    }
                    if now.duration_since(silenced) >= SILENT_EVERY {
                        silenced = now;
                        self.end_silent().await;
                    }
                }
            }
        }
    }

    /// Asks the store what is not known of drivers, a round of them.
    async fn read(&self) {
        let due = self.positions.state().due_reads(READS_A_ROUND, OLD_READS_A_ROUND, self.positions.now());
        let reads = due.into_iter().map(|driver| async move { (driver, self.read_one(driver).await) });
        let mut read = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some((driver, read)) = read.next().await {
            match read {
                Ok(Some(pass)) => self.positions.pass_on(&pass),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "what a driver carries could not be read");
                    self.positions.state().changed(driver);
                    return;
                }
            }
        }
    }

    async fn read_one(&self, driver: UserId) -> Result<Option<Pass>, StoreError> {
        let store = &self.positions.0.store;
        let row = store.driver(driver).await?.filter(|row| row.approved);
        let carried = match &row {
            Some(row) if row.active > 0 => store.carried_by(driver).await?,
            _ => Vec::new(),
        };
        let position = row.as_ref().and_then(|row| row.position);
        let known =
            row.map(|row| Known { zones: row.zones, carried: carried.iter().map(carried_of).collect() });
        Ok(self.positions.state().learned(driver, known, position, self.positions.now()))
    }

    async fn store(&self) {
        loop {
            let seen = self.positions.state().take_unstored(STORE_AT_ONCE);
            if seen.is_empty() {
                return;
            }
            if let Err(error) = self.persistence.write(seen.clone()).await {
                tracing::warn!(%error, drivers = seen.len(), "signs of life of drivers could not be stored");
                return self.positions.state().not_stored(&seen);
            }
        }
    }

    async fn end_silent(&self) {
        // What is refused now is done by the next round, or by another node.
        if let Err(error) = self.persistence.write(EndSilentDrivers { limit: SILENT_AT_ONCE }).await {
            tracing::warn!(%error, "silent drivers could not be taken off");
        }
    }
}

fn carried_of(listed: &ListedDelivery) -> Carried {
    let delivery = &listed.delivery;
    Carried {
        delivery: delivery.id,
        order: delivery.order,
        business: delivery.business,
        is_under_way: delivery.status.is_under_way(),
    }
}
