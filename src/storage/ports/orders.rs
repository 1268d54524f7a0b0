//! Orders as they are read: one, lists, timelines, and the figures of a business.

use async_trait::async_trait;

use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::order::{Order, Party, Status};
use crate::domain::time::Timestamp;
use crate::storage::command::MarkKind;
use crate::storage::error::StoreError;

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

/// Whether a page is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// More follow.
    Follow,
    /// It is the last.
    End,
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
    pub what: TimelineEvent,
}

/// What happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimelineEvent {
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

/// Reads of orders.
#[async_trait]
pub trait OrderReads: Send + Sync {
    /// An order, phone and address in the clear.
    async fn order(&self, id: OrderId) -> Result<Option<Order>, StoreError>;
    /// A page of orders. Whoever is a member of more than 1,000 businesses sees those of the 1,000 oldest.
    async fn orders(&self, query: &OrderQuery) -> Result<OrderPage, StoreError>;
    /// How the database answers this list: the plan of each statement, in its own words, the statement before it.
    async fn plans_of_orders(&self, query: &OrderQuery) -> Result<Vec<String>, StoreError>;
    /// What happened to an order, oldest first: every move, and at most 500 acknowledgements and 500 marks.
    async fn timeline(&self, order: OrderId) -> Result<Vec<TimelineEntry>, StoreError>;
    /// What a business did since `since`, the beginning of its day, and what waits there.
    async fn business_stats(
        &self,
        business: BusinessId,
        since: Timestamp,
    ) -> Result<BusinessStats, StoreError>;
}
