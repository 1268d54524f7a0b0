//! Orders as they are read: one, lists, timelines, and the figures of a business.

use async_trait::async_trait;

use crate::domain::delivery::{DeliveryStatus, LeaveReason, OfferState, Step};
use crate::domain::ids::{BusinessId, DeliveryId, OrderId, PaymentId, RefundId, UserId};
use crate::domain::order::{Order, OrderField, Party, Status};
use crate::domain::payment::{MoneyWay, PaymentState, RefundCause, RefundState};
use crate::domain::saga::{Channel, Rung};
use crate::domain::time::Timestamp;
use crate::storage::commands::MarkKind;
use crate::storage::error::StoreError;

use super::businesses::AnswerTimes;

/// Orders that a list is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderScope {
    /// Orders of one customer.
    Customer(UserId),
    /// Orders of the businesses that a user is a member of.
    Member(UserId),
    /// Every order.
    Everybody,
}

/// Start of a page in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStart {
    /// After so many orders; the total is counted.
    Offset(u64),
    /// After this order; nothing is counted.
    After(Timestamp, OrderId),
}

/// Query of a list of orders, newest first.
#[derive(Clone, Debug)]
pub struct OrderQuery {
    /// Bounds what the caller may see.
    pub scope: OrderScope,
    /// Only orders of this business.
    pub business: Option<BusinessId>,
    /// Only orders in this status.
    pub status: Option<Status>,
    /// Words an order must all have at the beginning of its number, of a sku or of a word of its customer's name (see
    /// [`crate::storage::search_words`]); none: any order. Where there are only words in which nothing can be looked for, nothing is
    /// found.
    pub words: Vec<String>,
    /// Start of the page.
    pub start: PageStart,
    /// Most orders on the page.
    pub limit: u32,
}

/// Number of orders in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// The number, at most [`Total::MOST`].
    Exact(u64),
    /// More than [`Total::MOST`]: further ones are not counted.
    Capped,
}

impl Total {
    /// Orders are counted up to this many.
    pub const MOST: u64 = 10_000;

    /// The total of a count that ended at one more than [`Total::MOST`] at the latest.
    pub const fn of(counted: u64) -> Self {
        if counted > Self::MOST { Self::Capped } else { Self::Exact(counted) }
    }
}

/// A page of orders.
#[derive(Clone, Debug)]
pub struct OrderPage {
    /// Newest first.
    pub orders: Vec<Order>,
    /// Total of the list; `None` where it was not counted.
    pub total: Option<Total>,
    /// Whether more follow.
    pub more: NextPage,
}

/// Whether a page is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextPage {
    /// There is one.
    Exists,
    /// This is the last page.
    Absent,
}

/// Figures of a business today, and the number of orders that wait there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusinessStats {
    /// Orders placed since the day began, without those whose payment is still awaited.
    pub orders: u64,
    /// Sum of those that were not rejected, cancelled or failed, in minor units.
    pub revenue_minor: i64,
    /// Orders of any day that wait for an answer.
    pub pending: u64,
    /// How soon they were answered since the day began.
    pub answers: AnswerTimes,
    /// Time of the read.
    pub at: Timestamp,
}

/// An entry of an order's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// Time of the event.
    pub at: Timestamp,
    /// The event itself.
    pub what: TimelineEvent,
}

/// Event in the life of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimelineEvent {
    /// A transition, or the placing of the order.
    Moved {
        /// Status before; `None` for the placing.
        from: Option<Status>,
        /// Status after.
        to: Status,
        /// Capacity in which the user acted.
        party: Party,
        /// The user; `None` for the hub itself.
        user: Option<UserId>,
        /// Reason in the user's words.
        reason: Option<String>,
    },
    /// The first acknowledgement of the order by a device.
    Acknowledged {
        /// Id of the device, else of its login session.
        device: String,
        /// User of the device; `None` where an older release stored it.
        user: Option<UserId>,
    },
    /// An event of the order was shown or acted upon on a device.
    Marked {
        /// Shown or acted upon.
        kind: MarkKind,
        /// Its own id, else its session's.
        device: String,
        /// User of the device.
        user: UserId,
    },
    /// Something that the order says was changed without a transition.
    Changed {
        /// What, in the words of the order.
        fields: Vec<OrderField>,
        /// Capacity in which the user acted.
        party: Party,
        /// The user.
        user: Option<UserId>,
    },
    /// The rings of the order after its first event, all in one: the entry stands at the first.
    Rang {
        /// Number of rings.
        rings: u64,
        /// Time of the last.
        last: Timestamp,
    },
    /// A rung of the alert ladder used a channel.
    Reached {
        /// The channel.
        channel: Channel,
        /// The rung.
        rung: Rung,
        /// What came of it, in the word of the intent: `due`, `sent`, `not_configured`, `failed` or `cancelled`.
        state: String,
    },
    /// A payment was begun, or recorded by a person.
    Payment {
        /// The payment.
        payment: PaymentId,
        /// How it is paid.
        way: MoneyWay,
        /// How far it is now.
        state: PaymentState,
        /// What is asked for, in minor units.
        amount_minor: i64,
        /// What was captured, in minor units.
        captured_minor: i64,
        /// Who began or recorded it.
        user: UserId,
    },
    /// A refund became due.
    Refund {
        /// The refund.
        refund: RefundId,
        /// How much, in minor units.
        amount_minor: i64,
        /// Why there is one.
        cause: RefundCause,
        /// How it goes back.
        way: MoneyWay,
        /// How far it is now.
        state: RefundState,
        /// Attempts to send it.
        attempts: u32,
        /// The reason, in the words of who demanded it.
        reason: Option<String>,
        /// Who demanded it, or settled it by hand.
        user: Option<UserId>,
    },
    /// A message of the payment provider came.
    Message {
        /// What became of it: `due`, `done` or `dead`.
        state: String,
        /// Attempts to work on it that did not work.
        attempts: u32,
    },
    /// A driver was asked, or an operator assigned one.
    Offered {
        /// The driver.
        driver: UserId,
        /// The wave, from 1; 0: by an operator's hand.
        wave: u32,
        /// How it stands.
        state: OfferState,
        /// The reason, in the words of a driver who declined.
        reason: Option<String>,
        /// When it was answered or closed.
        ended_at: Option<Timestamp>,
    },
    /// A step of the delivery was reported.
    Stepped {
        /// The step.
        step: Step,
        /// The capacity in which it was reported.
        party: Party,
        /// By whom.
        user: Option<UserId>,
        /// The time that the device gave.
        said_at: Option<Timestamp>,
        /// Whether the driver had the delivery no more: it changed nothing.
        late: bool,
        /// How far the driver was from the place, metres.
        far_m: Option<i64>,
        /// Why it failed, or `left_at_door`.
        reason: Option<String>,
        /// `code`, or the reference of a photo.
        proof: Option<String>,
    },
    /// The delivery by drivers began.
    Delivery {
        /// The delivery.
        delivery: DeliveryId,
        /// Where it stands now.
        status: DeliveryStatus,
        /// Who has it, or had it at its end.
        driver: Option<UserId>,
        /// Why it last left a driver or was cancelled.
        reason: Option<LeaveReason>,
    },
    /// The time at which the hub will act on the present status by itself.
    Deadline,
}

/// Reads of orders.
#[async_trait]
pub trait OrderReads: Send + Sync {
    /// An order, phone and address in the clear.
    async fn order(&self, id: OrderId) -> Result<Option<Order>, StoreError>;
    /// A page of orders. A member of more than 1,000 businesses sees the orders of the 1,000 oldest.
    async fn orders(&self, query: &OrderQuery) -> Result<OrderPage, StoreError>;
    /// Plans of the statements that answer this list: each statement, then its plan in the database's own words.
    async fn plans_of_orders(&self, query: &OrderQuery) -> Result<Vec<String>, StoreError>;
    /// Timeline of an order, oldest first: every transition and change, at most 500 acknowledgements and 500 marks, its rings as one
    /// entry, the use of channels, its delivery, at most 500 offers and 500 steps, payments and refunds as they are now, at most 500 messages of the payment provider, and the next deadline, which lies ahead.
    async fn timeline(&self, order: OrderId) -> Result<Vec<TimelineEntry>, StoreError>;
    /// Figures of a business since `since`, the beginning of its day.
    async fn business_stats(
        &self,
        business: BusinessId,
        since: Timestamp,
    ) -> Result<BusinessStats, StoreError>;
}
