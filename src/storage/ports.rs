//! What the rest of the house may ask of a database, and what it may rely on. Every promise here is tested by one
//! suite against every implementation.

use std::fmt;

use async_trait::async_trait;

use crate::domain::access::{MemberRole, Role};
use crate::domain::business::{Business, MenuItem};
use crate::domain::cursor::{Epoch, Head};
use crate::domain::event::Notification;
use crate::domain::ids::{BusinessId, InvitationId, NotificationId, OrderId, SessionId, UserId};
use crate::domain::order::{Order, Party, Status};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::RoomEvent;

use super::command::{
    Approval, Command, Committed, Device, DeviceAck, MarkKind, RowKey, SealedColumn, StoredResponse,
};
use super::error::StoreError;

/// Whether a lane runs these commands for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// They cannot have happened.
    First,
    /// An earlier COMMIT had no answer: each command's id is claimed before anything else, waiting for a
    /// transaction that may still be dying, and one that had happened is answered with its first outcome.
    AfterUnknown,
}

/// One writer with a connection of its own. Dropping it in the middle of `run` leaves nothing behind but an
/// unknown outcome, so callers let `run` finish.
#[async_trait]
pub trait Lane: Send {
    /// Runs the commands in order as one transaction and answers each. Either all of them are committed or none.
    ///
    /// Room events get the next numbers of their rooms under the rooms' row locks, so that their order is commit
    /// order and there are no holes. Errors say what is known: [`StoreError::NotHappened`], [`StoreError::TooSlow`] and
    /// [`StoreError::Unavailable`] have changed nothing; after [`StoreError::OutcomeUnknown`] call again with
    /// [`Attempt::AfterUnknown`]. A lane that lost its connection takes a new one at the next call.
    async fn run(&mut self, commands: &[Command], attempt: Attempt) -> Result<Committed, StoreError>;
}

/// An account as stored.
#[derive(Clone)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Lower case.
    pub email: String,
    /// PHC string.
    pub password_hash: String,
    /// What it is for.
    pub role: Role,
    /// What others call its owner.
    pub name: Option<String>,
    /// Whether it may be used.
    pub approved: Approval,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A sign-in that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Where it happened.
    pub device: Option<Device>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last seen, as far as that is stored.
    pub last_active_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
}

/// A member of a business.
#[derive(Clone)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their address.
    pub email: String,
    /// What others call them.
    pub name: Option<String>,
    /// What they may do.
    pub role: MemberRole,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("user", &self.user).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Whose orders a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderScope {
    /// Those a customer placed.
    Customer(UserId),
    /// Those of the businesses somebody is a member of.
    Member(UserId),
    /// All of them.
    Everybody,
}

/// Where in a list a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStart {
    /// After so many orders; the total is counted.
    Offset(u64),
    /// After this order; nothing is counted.
    After(Timestamp, OrderId),
}

/// Which orders a list shows, newest first.
#[derive(Clone, Debug)]
pub struct OrderQuery {
    /// Whose.
    pub scope: OrderScope,
    /// Only of this business.
    pub business: Option<BusinessId>,
    /// Only in this status.
    pub status: Option<Status>,
    /// Words an order must all have at the beginning of its number, of a sku or of a word of its customer's name (see
    /// [`super::search_words`]); none: any order. Where there are only words in which nothing can be looked for, nothing is
    /// found.
    pub words: Vec<String>,
    /// Where to begin.
    pub start: PageStart,
    /// At most so many.
    pub limit: u32,
}

/// How many orders a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// So many, at most [`Total::MOST`].
    Exact(u64),
    /// More than [`Total::MOST`]: further ones are not counted.
    Capped,
}

impl Total {
    /// Orders are counted up to this many.
    pub const MOST: u64 = 10_000;

    /// What counting to one more than [`Total::MOST`] at most came to.
    pub const fn of(counted: u64) -> Self {
        if counted > Self::MOST { Self::Capped } else { Self::Exact(counted) }
    }
}

/// A page of orders.
#[derive(Clone, Debug)]
pub struct OrderPage {
    /// Newest first.
    pub orders: Vec<Order>,
    /// How many there are in all, when counted.
    pub total: Option<Total>,
    /// Whether more follow.
    pub more: More,
}

/// An invitation that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// To work for this business.
    pub business: BusinessId,
    /// What the business is called.
    pub business_name: String,
    /// In this role.
    pub role: MemberRole,
    /// When it was made.
    pub created_at: Timestamp,
    /// The moment from which it cannot be answered any more.
    pub expires_at: Timestamp,
}

/// What a business did today, and what waits there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusinessStats {
    /// Orders placed since the day began; those whose payment is still awaited do not count.
    pub orders: u64,
    /// Total of those of them that were not rejected, cancelled or failed, in minor units.
    pub revenue_minor: i64,
    /// Orders that wait for an answer, from whatever day.
    pub pending: u64,
    /// When the store was asked.
    pub at: Timestamp,
}

/// Something that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happened,
}

/// What happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It moved, or was placed.
    Moved {
        /// From where; nowhere when it was placed.
        from: Option<Status>,
        /// Where to.
        to: Status,
        /// In which capacity somebody moved it.
        party: Party,
        /// Who; `None` is the hub itself.
        user: Option<UserId>,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// A device had it for the first time.
    Acknowledged {
        /// Its own id, else its session's.
        device: String,
        /// Who was signed in on it; `None` where an older release wrote it down.
        user: Option<UserId>,
    },
    /// An event of it was shown or acted upon on a device.
    Marked {
        /// Which of the two.
        kind: MarkKind,
        /// Its own id, else its session's.
        device: String,
        /// Who was signed in on it.
        user: UserId,
    },
}

/// Whether a page is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// More follow.
    Follow,
    /// It is the last.
    End,
}

/// Part of a walk through the values of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedPage {
    /// Rows whose value needs an older key than the current one.
    pub outdated: Vec<RowKey>,
    /// The last row looked at, to go on below; `None` at the end.
    pub last: Option<RowKey>,
}

/// Whether reads reach the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// They do.
    Closed,
    /// Nobody has answered lately: they are refused at once until a probe is answered.
    Open,
}

/// What a checkpoint came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// Nothing is left in the log, or there is none to look after.
    Done,
    /// Somebody reads or writes for too long: a part of the log is left, and its file as large as it was.
    Busy,
}

/// The database, for reading, and for opening lanes. Cheap to share. Reads see every commit that was answered
/// before they began. All of them end within the configured time-outs, with [`StoreError::Unavailable`] when the
/// database is away: at once when that is known ([`Circuit::Open`]).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// A word for logs and health: `postgres` or `sqlite`.
    fn name(&self) -> &'static str;
    /// How many lanes it can use at once; 1 where there can be only one writer.
    fn max_lanes(&self) -> usize;
    /// Opens a writer.
    async fn open_lane(&self) -> Result<Box<dyn Lane>, StoreError>;
    /// Brings the schema up to date; safe to run on several nodes at once.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Whether reads are refused unasked because nobody has answered lately.
    fn circuit(&self) -> Circuit;
    /// Connections open and idle, for the metric.
    fn pool_size(&self) -> (u32, u32);
    /// What is known to be wrong without asking, for operators; writes are refused meanwhile.
    fn fault(&self) -> Option<&'static str>;
    /// Gives the log's space back where the database does not do so by itself: folds SQLite's write-ahead log into the
    /// file. Waits for readers and the writer a second at most, then leaves the rest for the next time.
    async fn checkpoint(&self) -> Result<Checkpoint, StoreError>;
    /// Writes a consistent copy of a SQLite database, made while the hub runs, to a new file that only its owner can
    /// read; [`StoreError::NotHappened`] when the file exists, and for Postgres, which has tools of its own.
    async fn backup(&self, file: &std::path::Path) -> Result<(), StoreError>;
    /// Closes every connection, letting reads that run finish.
    async fn close(&self);

    /// Accounts whose addresses have something in them that those of today have not, or an encoded domain, by id, at most
    /// `limit`. Reads every account.
    async fn unusual_addresses(&self, limit: u32) -> Result<Vec<(UserId, String)>, StoreError>;
    /// The account with this address, as it is stored.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError>;
    /// The account with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    /// Sign-ins that were ended at or after `since`, so that their access tokens are refused after a
    /// restart; in any order.
    async fn sessions_ended_since(&self, since: Timestamp) -> Result<Vec<SessionId>, StoreError>;
    /// A user's sign-ins that have neither ended nor run out by `now`, the last active first, at most `limit`.
    async fn sessions_of(&self, user: UserId, now: Timestamp, limit: u32)
    -> Result<Vec<Session>, StoreError>;
    /// Whose sign-in it is, also of one that has ended.
    async fn session_owner(&self, id: SessionId) -> Result<Option<UserId>, StoreError>;
    /// Whether the user signed in on a device of this id before, as far as sign-ins are kept: also ones that have ended.
    async fn knows_device(&self, user: UserId, device: &str) -> Result<bool, StoreError>;

    /// A business.
    async fn business(&self, id: BusinessId) -> Result<Option<Business>, StoreError>;
    /// The businesses somebody is a member of, oldest first, at most `limit` after `after`.
    async fn businesses_of(
        &self,
        user: UserId,
        after: Option<BusinessId>,
        limit: u32,
    ) -> Result<Vec<Business>, StoreError>;
    /// All businesses, oldest first, at most `limit` after `after`.
    async fn businesses(&self, after: Option<BusinessId>, limit: u32) -> Result<Vec<Business>, StoreError>;
    /// What somebody may do at a business; `None` when they are no member or there is no such business.
    async fn membership(&self, business: BusinessId, user: UserId) -> Result<Option<MemberRole>, StoreError>;
    /// Everybody who works for a business, owners first.
    async fn members(&self, business: BusinessId) -> Result<Vec<Member>, StoreError>;
    /// A user's invitations that wait for an answer at `now`, newest first; there are at most
    /// [`crate::domain::business::MAX_INVITATIONS_OF_USER`].
    async fn invitations_of(&self, user: UserId, now: Timestamp) -> Result<Vec<Invitation>, StoreError>;
    /// The menu, by category and name.
    async fn menu(&self, business: BusinessId) -> Result<Vec<MenuItem>, StoreError>;

    /// An order, phone and address in the clear.
    async fn order(&self, id: OrderId) -> Result<Option<Order>, StoreError>;
    /// A page of orders. Whoever is a member of more than 1,000 businesses sees those of the 1,000 oldest.
    async fn orders(&self, query: &OrderQuery) -> Result<OrderPage, StoreError>;
    /// How the database answers this list: the plan of each statement, in its own words, the statement before it.
    async fn plans_of_orders(&self, query: &OrderQuery) -> Result<Vec<String>, StoreError>;
    /// What happened to an order, oldest first: every move, and at most 500 acknowledgements and 500 marks.
    async fn timeline(&self, order: OrderId) -> Result<Vec<TimelineEntry>, StoreError>;
    /// When somebody has read these notifications, in any order; those they have not read are left out.
    async fn notification_reads(
        &self,
        user: UserId,
        notifications: &[NotificationId],
    ) -> Result<Vec<(NotificationId, Timestamp)>, StoreError>;
    /// What a business did since `since`, the beginning of its day, and what waits there.
    async fn business_stats(
        &self,
        business: BusinessId,
        since: Timestamp,
    ) -> Result<BusinessStats, StoreError>;
    /// The first answer under an idempotency key.
    async fn kept_answer(&self, scope: &str, key: &str) -> Result<Option<StoredResponse>, StoreError>;
    /// Notifications of a business, newest first, at most `limit` older than `before`.
    async fn notifications(
        &self,
        business: BusinessId,
        before: Option<NotificationId>,
        limit: u32,
    ) -> Result<Vec<Notification>, StoreError>;

    /// Which values an older key seals among the next `limit` rows below `below`, from the last row down: a walk never
    /// runs after the rows that are written meanwhile, which come above it. Opens nothing and locks nothing.
    async fn sealed_below(
        &self,
        column: SealedColumn,
        below: Option<&RowKey>,
        limit: u32,
    ) -> Result<SealedPage, StoreError>;

    /// The epoch new rooms begin in.
    async fn epoch(&self) -> Result<Epoch, StoreError>;
    /// Where a room's history ends; sequence 0 of the present epoch for a room without events.
    async fn head(&self, room: RoomId) -> Result<Head, StoreError>;
    /// Where the histories of these rooms end, each once and in any order, as of one moment.
    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Head)>, StoreError>;
    /// Events of a room after `after` (a sequence number), in order without holes, at most `limit`. Empty when the
    /// first of them is no longer kept.
    async fn events_after(&self, room: RoomId, after: u64, limit: u32) -> Result<Vec<RoomEvent>, StoreError>;
    /// How far a device has acknowledged a room.
    async fn device_ack(&self, room: RoomId, device: &str) -> Result<Option<DeviceAck>, StoreError>;
}
