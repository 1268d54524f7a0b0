//! Gauges about the whole hub that are read from the database, and the time of the last backup.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::domain::hold::HeldAction;
use crate::domain::time::Timestamp;
use crate::storage::{Store, StoreError};
use crate::telemetry::Metrics;

/// Pause between two reads: short beside the time for which an alert waits.
const READ_EVERY: Duration = Duration::from_secs(30);

/// Zones in which deliveries without a driver have a series of their own.
const ZONES: u32 = 100;

/// Standbys that have a series of their own.
const REPLICAS: u32 = 16;

/// The metric of the last backup, in the file of `ops.backup_status` and on `/metrics`.
const BACKUP: &str = "backup_last_success_timestamp_seconds";

/// Reads what somebody on call watches into the metrics.
pub(super) struct Oversight {
    store: Arc<dyn Store>,
    metrics: Metrics,
    /// The file that says when the last backup succeeded.
    backup: Option<PathBuf>,
}

impl Oversight {
    pub(super) fn new(settings: &Settings, store: &Arc<dyn Store>, metrics: &Metrics) -> Self {
        let backup = settings.http.ops.backup_status.clone();
        let backup = Some(backup).filter(|file| !file.as_os_str().is_empty());
        Self { store: store.clone(), metrics: metrics.clone(), backup }
    }

    /// Reads until it is stopped. While the database is away the gauges keep what they were.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.read().await {
                tracing::debug!(%error, "figures for the metrics could not be read; trying again");
            }
            if let Some(file) = &self.backup {
                self.show_backup(last_backup(file).await);
            }
        }
    }

    async fn read(&self) -> Result<(), StoreError> {
        let (store, metrics) = (&self.store, &self.metrics);
        let now = store.clock().now();
        let overdue = store.overdue(now).await?;
        metrics.refunds_waiting.with_label_values(&["failed"]).set(overdue.refunds_failed.into());
        metrics.refunds_waiting.with_label_values(&["late"]).set(overdue.refunds_late.into());
        metrics.orders_paid_not_placed.set(overdue.paid_not_placed.into());
        metrics.deadlines_overdue.set(overdue.deadlines.into());
        let businesses = store.businesses_in_use(now).await?;
        metrics.businesses_in_use.with_label_values(&["open"]).set(businesses.open.into());
        let paused = i64::from(businesses.paused_by_machine);
        metrics.businesses_in_use.with_label_values(&["paused_by_machine"]).set(paused);
        self.read_holds(now).await?;
        let zones = store.without_driver(ZONES).await?;
        metrics.deliveries_without_driver.reset();
        for (zone, deliveries) in zones {
            metrics.deliveries_without_driver.with_label_values(&[&zone]).set(deliveries.into());
        }
        metrics.database_size_bytes.set(i64::try_from(store.size().await?).unwrap_or(i64::MAX));
        let replicas = store.replica_lags(REPLICAS).await?;
        metrics.database_replica_lag_seconds.reset();
        for (name, seconds) in replicas {
            metrics.database_replica_lag_seconds.with_label_values(&[&name]).set(seconds);
        }
        Ok(())
    }

    async fn read_holds(&self, now: Timestamp) -> Result<(), StoreError> {
        let holds = self.store.holds(now).await?;
        for what in HeldAction::ALL {
            let of_kind = holds.iter().filter(|stored| stored.hold.what == what);
            let oldest = of_kind.map(|stored| now.since(stored.created_at)).max().unwrap_or_default();
            let seconds = i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX);
            self.metrics.hold_age_seconds.with_label_values(&[what.as_str()]).set(seconds);
        }
        Ok(())
    }

    /// A file that cannot be read shows nothing, which is an alert of its own.
    fn show_backup(&self, at: Option<i64>) {
        let gauge = &self.metrics.backup_last_success_timestamp_seconds;
        gauge.reset();
        if let Some(at) = at {
            gauge.with_label_values::<&str>(&[]).set(at);
        }
    }
}

/// The time in the file, in the text format of Prometheus.
async fn last_backup(file: &Path) -> Option<i64> {
    let text = tokio::fs::read_to_string(file).await;
    let text =
        text.inspect_err(|error| tracing::debug!(%error, "ops.backup_status could not be read")).ok()?;
    parse_backup(&text)
}

fn parse_backup(text: &str) -> Option<i64> {
    let values = text.lines().filter_map(|line| line.strip_prefix(BACKUP));
    // A name that only begins so is followed by more of it; labels are allowed.
    let values = values.filter_map(|rest| match rest.strip_prefix('{') {
        Some(labels) => labels.split_once('}').map(|(_, value)| value),
        None => rest.strip_prefix(' '),
    });
    let times = values.filter_map(|value| value.split_whitespace().next()?.parse::<f64>().ok());
    times.filter(|at| at.is_finite() && *at > 0.0).map(|at| at as i64).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_backup_in_the_file_counts() {
        let text = "# TYPE backup_last_success_timestamp_seconds gauge\n\
                    backup_last_success_timestamp_seconds{kind=\"base\"} 1.7e9\n\
                    backup_last_success_timestamp_seconds 1700000100\n\
                    backup_last_success_timestamp_seconds_of_another 1800000000\n";
        assert_eq!(parse_backup(text), Some(1_700_000_100));
    }

    #[test]
    fn a_file_without_a_time_is_no_backup() {
        for text in
            ["", "backup_last_success_timestamp_seconds", "backup_last_success_timestamp_seconds never\n"]
        {
            assert_eq!(parse_backup(text), None, "{text}");
        }
    }
}
