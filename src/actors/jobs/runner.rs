//! The work of each job: commands to the writers, one after the other, each small enough that orders have their turn between
//! two of them.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock")]

use std::sync::Arc;
use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::storage::commands::{Expirable, MaintenanceProgress, RowKey, Sweepable};
use crate::storage::{Checkpoint, Store};

use super::super::persistence::Persistence;
use super::job::{JobName, JobOutcome};
use super::settings::RetentionSettings;

/// Rows deleted in one command: a few milliseconds of a writer, between which orders have their turn.
const PURGE_ROWS: u32 = 500;

/// Orders indexed in one command: each is written anew.
const INDEX_ROWS: u32 = 100;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Runs jobs. Cheap to clone.
#[derive(Clone)]
pub(super) struct JobRunner {
    pub(super) store: Arc<dyn Store>,
    pub(super) persistence: Persistence,
    pub(super) settings: RetentionSettings,
}

impl JobRunner {
    /// Runs a job to its end.
    pub(super) async fn run(self, name: JobName) -> JobOutcome {
        if name == JobName::Checkpoint {
            return match self.store.checkpoint().await {
                Ok(Checkpoint::Done) => JobOutcome::Done(0),
                Ok(Checkpoint::Busy) => JobOutcome::Busy,
                Err(error) => JobOutcome::Failed(error.to_string()),
            };
        }
        self.write(name).await.map_or_else(JobOutcome::Failed, JobOutcome::Done)
    }

    /// Jobs of the writers; gives the rows deleted.
    async fn write(self, name: JobName) -> Result<u64, String> {
        let days = |days: u32| DAY * days;
        match name {
            JobName::ExpiredTickets => self.purge(Expirable::Tickets, DAY).await,
            JobName::ExpiredSessions => self.purge(Expirable::Sessions, DAY).await,
            JobName::IdempotencyKeys => self.purge(Expirable::IdempotencyKeys, DAY).await,
            JobName::Commands => self.purge(Expirable::Commands, DAY).await,
            JobName::RoomEvents => {
                self.purge(Expirable::RoomEvents, days(self.settings.room_events_days)).await
            }
            JobName::Notifications => {
                self.purge(Expirable::Notifications, days(self.settings.notifications_days)).await
            }
            JobName::Invitations => self.purge(Expirable::Invitations, Duration::ZERO).await,
            JobName::DeviceMarks => {
                self.purge(Expirable::DeviceMarks, days(self.settings.room_events_days)).await
            }
            JobName::OrderAcks => {
                self.purge(Expirable::OrderAcks, days(self.settings.room_events_days)).await
            }
            JobName::OrderSagas => {
                self.purge(Expirable::OrderSagas, days(self.settings.room_events_days)).await
            }
            JobName::Intents => self.purge(Expirable::Intents, days(self.settings.intents_days)).await,
            JobName::PaymentMessages => {
                self.purge(Expirable::PaymentMessages, days(self.settings.payment_messages_days)).await
            }
            JobName::DeadLetters => {
                self.purge(Expirable::DeadLetters, days(self.settings.payment_messages_days)).await
            }
            JobName::Offers => self.purge(Expirable::Offers, days(self.settings.deliveries_days)).await,
            JobName::DeliverySteps => {
                self.purge(Expirable::DeliverySteps, days(self.settings.deliveries_days)).await
            }
            JobName::ReachLeases => self.purge(Expirable::ReachLeases, HOUR).await,
            JobName::Holds => self.purge(Expirable::Holds, DAY).await,
            JobName::Audit => self.purge(Expirable::Audit, days(self.settings.audit_days)).await,
            JobName::Devices => self.purge(Expirable::Devices, days(self.settings.room_events_days)).await,
            JobName::DeviceAcks => {
                self.sweep(Sweepable::DeviceAcks, days(self.settings.room_events_days)).await
            }
            JobName::OrderCounters => self.sweep(Sweepable::OrderCounters, days(7)).await,
            JobName::OrderSearch => self.index_orders().await,
            JobName::OrderDeadlines => self.take_in_orders().await,
            JobName::Analyze => self.persistence.analyze().await.map(|()| 0).map_err(|e| e.to_string()),
            JobName::Checkpoint => Ok(0),
        }
    }

    /// Deletes what is older than `age`, command by command until nothing is left of it.
    async fn purge(&self, what: Expirable, age: Duration) -> Result<u64, String> {
        let before = Timestamp::now().minus(age);
        let mut deleted = 0;
        loop {
            let rows = self.persistence.purge(what, before, PURGE_ROWS).await.map_err(|e| e.to_string())?;
            deleted += rows;
            if rows < u64::from(PURGE_ROWS) {
                return Ok(deleted);
            }
        }
    }

    /// Goes through all rows of `what` and deletes those older than `age`.
    async fn sweep(&self, what: Sweepable, age: Duration) -> Result<u64, String> {
        let before = Timestamp::now().minus(age);
        let (mut deleted, mut after) = (0, None);
        loop {
            let step = self.persistence.sweep(what, before, after, PURGE_ROWS).await;
            let MaintenanceProgress { changed, last } = step.map_err(|e| e.to_string())?;
            deleted += changed;
            let Some(last) = last else { return Ok(deleted) };
            after = Some(RowKey::of_text(&last));
        }
    }

    /// Makes all orders due that have no deadlines. Nothing is deleted by that.
    async fn take_in_orders(&self) -> Result<u64, String> {
        while self.persistence.take_in_orders(PURGE_ROWS).await.map_err(|e| e.to_string())?.last.is_some() {}
        Ok(0)
    }

    /// Puts all orders into the text index that are not in it. Nothing is deleted by that.
    async fn index_orders(&self) -> Result<u64, String> {
        while self.persistence.index_orders(INDEX_ROWS).await.map_err(|e| e.to_string())?.last.is_some() {}
        Ok(0)
    }
}
