//! The store both databases share: reads over a pool, lanes over connections of their own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::access::MemberRole;
use crate::domain::business::{Business, MenuItem};
use crate::domain::cursor::{Epoch, Head};
use crate::domain::event::Notification;
use crate::domain::ids::{BusinessId, NotificationId, OrderId, SessionId, UserId};
use crate::domain::order::Order;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::RoomEvent;
use crate::telemetry::metrics::Metrics;

use super::acknowledged::Acknowledged;
use super::batch::SqlLane;
use super::cipher::Cipher;
use super::command::{DeviceAck, RowKey, SealedColumn, StoredResponse};
use super::connection::SharedRow;
use super::connector::Connector;
use super::error::StoreError;
use super::ports::{
    BusinessStats, Checkpoint, Circuit, Invitation, Lane, Member, OrderPage, OrderQuery, SealedPage, Session,
    Store, TimelineEntry, User,
};
use super::reading::Reading;
use super::reads::lists::{self, Asker};
use super::reads::{accounts, businesses, invitations, orders, rooms, sealed, timeline};
use super::statement::{Arg, Statement};
use super::{postgres, sqlite};

/// The longest a transaction may take before COMMIT: beyond every statement's own limit, so that it is only met by many slow
/// statements one after the other.
pub(super) const TRANSACTION_LIMIT: Duration = Duration::from_secs(10);

/// A database behind the ports.
#[derive(Debug)]
pub(super) struct SqlStore {
    pub(super) name: &'static str,
    pub(super) max_lanes: usize,
    pub(super) connector: Connector,
    pub(super) migrations: Connector,
    pub(super) reading: Arc<Reading>,
    pub(super) cipher: Arc<Cipher>,
    pub(super) metrics: Metrics,
    /// What its lanes were told is committed.
    pub(super) acknowledged: Arc<Acknowledged>,
}

impl SqlStore {
    pub(super) async fn fetch<T: SharedRow>(
        &self,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Vec<T>, StoreError> {
        self.reading.fetch(statement, args).await
    }

    pub(super) async fn fetch_first<T: SharedRow>(
        &self,
        statement: &Statement,
        args: &[Arg],
    ) -> Result<Option<T>, StoreError> {
        Ok(self.fetch(statement, args).await?.into_iter().next())
    }
}

#[async_trait]
impl Store for SqlStore {
    fn name(&self) -> &'static str {
        self.name
    }

    fn max_lanes(&self) -> usize {
        self.max_lanes
    }

    async fn open_lane(&self) -> Result<Box<dyn Lane>, StoreError> {
        let (connector, cipher) = (self.connector.clone(), Arc::clone(&self.cipher));
        let (metrics, acknowledged) = (self.metrics.clone(), Arc::clone(&self.acknowledged));
        let lane = SqlLane::open(connector, cipher, metrics, acknowledged, TRANSACTION_LIMIT).await?;
        Ok(Box::new(lane))
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        match &self.migrations {
            Connector::Postgres { options, session, timeout, .. } => {
                postgres::migrate(options, session, *timeout).await
            }
            Connector::Sqlite { options, files, .. } => sqlite::migrate(options, files).await,
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.connector.check()?;
        self.reading.ping().await
    }

    fn fault(&self) -> Option<&'static str> {
        self.connector.check().err().map(|_| sqlite::LOST)
    }

    async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        match &self.connector {
            Connector::Postgres { .. } => Ok(Checkpoint::Done),
            Connector::Sqlite { options, files, .. } => sqlite::checkpoint(options, files).await,
        }
    }

    async fn backup(&self, file: &std::path::Path) -> Result<(), StoreError> {
        match &self.connector {
            Connector::Postgres { .. } => Err(StoreError::NotHappened(
                "a Postgres database is backed up with its own tools: pg_dump or pg_basebackup".to_owned(),
            )),
            Connector::Sqlite { options, files, .. } => sqlite::backup(options, files, file).await,
        }
    }

    fn pool_size(&self) -> (u32, u32) {
        self.reading.pool_size()
    }

    fn circuit(&self) -> Circuit {
        self.reading.circuit()
    }

    async fn close(&self) {
        self.reading.close().await;
        if let Connector::Sqlite { files, .. } = &self.connector {
            files.close().await;
        }
    }

    async fn unusual_addresses(&self, limit: u32) -> Result<Vec<(UserId, String)>, StoreError> {
        accounts::unusual_addresses(self, limit).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        accounts::user_by_email(self, email).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        accounts::user(self, id).await
    }

    async fn sessions_ended_since(&self, since: Timestamp) -> Result<Vec<SessionId>, StoreError> {
        accounts::sessions_ended_since(self, since).await
    }

    async fn sessions_of(
        &self,
        user: UserId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        accounts::sessions_of(self, user, now, limit).await
    }

    async fn session_owner(&self, id: SessionId) -> Result<Option<UserId>, StoreError> {
        accounts::session_owner(self, id).await
    }

    async fn knows_device(&self, user: UserId, device: &str) -> Result<bool, StoreError> {
        accounts::knows_device(self, user, device).await
    }

    async fn business(&self, id: BusinessId) -> Result<Option<Business>, StoreError> {
        businesses::business(self, id).await
    }

    async fn businesses_of(
        &self,
        user: UserId,
        after: Option<BusinessId>,
        limit: u32,
    ) -> Result<Vec<Business>, StoreError> {
        businesses::businesses_of(self, user, after, limit).await
    }

    async fn businesses(&self, after: Option<BusinessId>, limit: u32) -> Result<Vec<Business>, StoreError> {
        businesses::businesses(self, after, limit).await
    }

    async fn membership(&self, business: BusinessId, user: UserId) -> Result<Option<MemberRole>, StoreError> {
        businesses::membership(self, business, user).await
    }

    async fn invitations_of(&self, user: UserId, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
        invitations::of_user(self, user, now).await
    }

    async fn members(&self, business: BusinessId) -> Result<Vec<Member>, StoreError> {
        businesses::members(self, business).await
    }

    async fn menu(&self, business: BusinessId) -> Result<Vec<MenuItem>, StoreError> {
        businesses::menu(self, business).await
    }

    async fn order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        orders::order(self, id).await
    }

    async fn orders(&self, query: &OrderQuery) -> Result<OrderPage, StoreError> {
        lists::page(&Asker::new(self), query).await
    }

    async fn plans_of_orders(&self, query: &OrderQuery) -> Result<Vec<String>, StoreError> {
        let asker = Asker::explaining(self);
        lists::page(&asker, query).await?;
        Ok(asker.into_plans())
    }

    async fn timeline(&self, order: OrderId) -> Result<Vec<TimelineEntry>, StoreError> {
        timeline::timeline(self, order).await
    }

    async fn notification_reads(
        &self,
        user: UserId,
        notifications: &[NotificationId],
    ) -> Result<Vec<(NotificationId, Timestamp)>, StoreError> {
        businesses::notification_reads(self, user, notifications).await
    }

    async fn business_stats(
        &self,
        business: BusinessId,
        since: Timestamp,
    ) -> Result<BusinessStats, StoreError> {
        orders::stats(self, business, since).await
    }

    async fn kept_answer(&self, scope: &str, key: &str) -> Result<Option<StoredResponse>, StoreError> {
        accounts::kept_answer(self, scope, key).await
    }

    async fn notifications(
        &self,
        business: BusinessId,
        before: Option<NotificationId>,
        limit: u32,
    ) -> Result<Vec<Notification>, StoreError> {
        businesses::notifications(self, business, before, limit).await
    }

    async fn sealed_below(
        &self,
        column: SealedColumn,
        below: Option<&RowKey>,
        limit: u32,
    ) -> Result<SealedPage, StoreError> {
        sealed::sealed_below(self, column, below, limit).await
    }

    async fn epoch(&self) -> Result<Epoch, StoreError> {
        rooms::epoch(self).await
    }

    async fn head(&self, room: RoomId) -> Result<Head, StoreError> {
        rooms::head(self, room).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Head)>, StoreError> {
        rooms::heads(self, rooms).await
    }

    async fn events_after(&self, room: RoomId, after: u64, limit: u32) -> Result<Vec<RoomEvent>, StoreError> {
        rooms::events_after(self, room, after, limit).await
    }

    async fn device_ack(&self, room: RoomId, device: &str) -> Result<Option<DeviceAck>, StoreError> {
        rooms::device_ack(self, room, device).await
    }
}
