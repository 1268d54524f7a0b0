//! What the handle of the bus and its tasks share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::domain::room::RoomId;
use crate::telemetry::Metrics;

use super::probe::{NextStep, Probe};
use super::wanted::Wanted;

/// The rooms that are wanted and the state of the probe.
pub(super) struct Shared {
    wanted: Mutex<Wanted>,
    probe: Mutex<Probe>,
    /// Another room is wanted.
    pub(super) more: Notify,
    /// The probe came back, or subscriptions were confirmed.
    progress: Notify,
    pub(super) metrics: Metrics,
}

impl Shared {
    pub(super) fn new(probe_channels: usize, metrics: Metrics) -> Self {
        let probe = Probe::new(u32::try_from(probe_channels).unwrap_or(u32::MAX));
        let (wanted, more, progress) = (Mutex::default(), Notify::new(), Notify::new());
        Self { wanted, probe: Mutex::new(probe), more, progress, metrics }
    }

    pub(super) fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn probe(&self) -> MutexGuard<'_, Probe> {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn want(&self, room: RoomId) {
        if self.wanted().want(room) {
            self.more.notify_one();
        }
    }

    pub(super) fn release(&self, room: RoomId) {
        self.wanted().release(room);
    }

    /// A connection begins or has ended; whether anything is wanted.
    pub(super) fn restart(&self) -> bool {
        self.probe().restart();
        self.metrics.bus_connected.set(0);
        self.wanted().restart()
    }

    pub(super) fn next_step(&self, now: Instant) -> NextStep {
        let mut probe = self.probe();
        let step = probe.on_time(now);
        self.metrics.bus_connected.set(i64::from(probe.is_green()));
        step
    }

    pub(super) fn probe_arrived(&self, number: u64, channel: u32, now: Instant) {
        let trip = self.probe().arrived(number, channel, now);
        if let Some(trip) = trip {
            self.metrics.bridge_lag_seconds.observe(trip.as_secs_f64());
            self.metrics.bus_connected.set(1);
            self.progress.notify_waiters();
        }
    }

    pub(super) fn confirmed(&self, rooms: usize) {
        self.wanted().confirmed(rooms);
        self.progress.notify_waiters();
    }

    pub(super) fn is_green(&self) -> bool {
        self.probe().is_green()
    }

    /// Waits until the probe is green and everything that is wanted is subscribed.
    pub(super) async fn settled(&self) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.is_green() && self.wanted().is_settled() {
                return;
            }
            progress.await;
        }
    }
}
