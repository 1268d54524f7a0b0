//! What a saga is told when it is fired, and what it wants done.

use crate::domain::business::Acceptance;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::dispatch::Position;
use crate::domain::ids::UserId;
use crate::domain::location::Location;
use crate::domain::order::{FollowUp, Status};
use crate::domain::time::Timestamp;

use super::clocks::Clocks;
use super::terms::SagaTerms;
use super::words::{Channel, OpsAlarm, RingKind, Rung};

/// A time without the hub, after which deadlines wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The first commit after the outage: orders placed before it are covered.
    pub outage_ended_at: Timestamp,
    /// No deadline of such an order ends earlier.
    pub until: Timestamp,
}

/// The payment of an order that has waited for it too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnpaidFacts {
    /// None is open: the customer has not begun to pay, or it failed.
    #[default]
    Nothing,
    /// One is open at the provider, which has to be asked before the order is cancelled.
    Open,
    /// A message of the provider about the order has not been worked on yet, or waits for an operator.
    Unprocessed,
}

/// The facts of the transaction that fires a saga.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The store's time.
    pub now: Timestamp,
    /// The hub's clocks.
    pub clocks: &'a Clocks,
    /// How far the payment is that the order waits for.
    pub unpaid: UnpaidFacts,
    /// The delivery of the order, where drivers bring it.
    pub delivery: Option<DeliveryFacts>,
    /// Whether a device has acknowledged the order's `order_created`.
    pub delivered: bool,
    /// When a device last acted on an event of the order.
    pub acted_at: Option<Timestamp>,
    /// When the driver of the order last acted on an event of it.
    pub driver_acted_at: Option<Timestamp>,
    /// Whether calls and mail of the business are silent.
    pub muted: bool,
    /// The last call to the business for waiting orders.
    pub called_at: Option<Timestamp>,
    /// The last mail to the business for waiting orders.
    pub mailed_at: Option<Timestamp>,
    /// The grace after the last outage.
    pub grace: Option<Grace>,
    /// Whether an operator holds the cancelling of orders here.
    pub cancel_held: bool,
    /// The business's own times.
    pub saga_terms: SagaTerms,
    /// The business's defaults for an order accepted now.
    pub terms: Option<Acceptance>,
}

impl Facts<'_> {
    /// The end of the grace, for a deadline at `due` of an order that has waited since before the outage, and ends in the grace.
    pub(super) fn after_outage(&self, due: Timestamp, since: Timestamp) -> Option<Timestamp> {
        let grace = self.grace.filter(|grace| since < grace.outage_ended_at && due < grace.until)?;
        (self.now < grace.until).then_some(grace.until)
    }

    /// Whether a deadline at `due` of an order that has waited since before the outage runs out by the end of the grace.
    pub(super) fn was_in_grace(&self, due: Timestamp, since: Timestamp) -> bool {
        self.grace.is_some_and(|grace| since < grace.outage_ended_at && due <= grace.until)
    }

    /// The time of a step of the ladder that fell into the outage: as long after its end as it was to be after the beginning.
    pub(super) fn anew(&self, at: Timestamp, since: Timestamp) -> Option<Timestamp> {
        let grace = self.grace.filter(|grace| since < grace.outage_ended_at && at < grace.outage_ended_at)?;
        Some(grace.outage_ended_at.plus(at.since(since)))
    }

    /// The time at which a cancel that an operator holds is looked at again.
    pub(super) fn held(&self) -> Option<Timestamp> {
        self.cancel_held.then(|| self.now.plus(self.clocks.held))
    }
}

/// What is known of a delivery when its order is fired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeliveryFacts {
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Who has it.
    pub driver: Option<UserId>,
    /// The last position of that driver.
    pub position: Option<Position>,
    /// The last sign of life of that driver.
    pub alive_at: Option<Timestamp>,
    /// Whether the account of that driver may work; one that is suspended may not.
    pub may_work: bool,
    /// Where it is fetched.
    pub pickup: Location,
    /// When the last open offer ends; `None`: none is open.
    pub offers_until: Option<Timestamp>,
    /// Whether an operator holds the search here.
    pub held: bool,
}

/// A ring of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The reason for it.
    pub kind: RingKind,
    /// Which one of the order, from 1; the event of the order itself is none.
    pub ring: u32,
    /// When the order will be cancelled without an answer.
    pub deadline_at: Option<Timestamp>,
}

/// An order that ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The customer who got none.
    pub customer: UserId,
    /// Whether it counts for the pause of its business.
    pub counts: bool,
}

/// Something a saga wants done in the commit that fires it, or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SagaEffect {
    /// Devices of the business ring; told after the commit and not stored as an event.
    Ring(Ring),
    /// The devices of this driver ring.
    RingDriver(UserId, Ring),
    /// A fallback channel is used.
    Use(Channel, Rung),
    /// The provider is asked about the open payment of the order, and told to close it.
    ClosePayment,
    /// The order was moved by the hub: its events follow as for any move.
    Moved {
        /// The status before.
        from: Status,
        /// What the table says follows.
        follows: &'static [FollowUp],
    },
    /// The devices of the business are reminded by a notification that the order is late.
    Remind,
    /// Operators are told.
    Alarm(OpsAlarm),
    /// Offers whose time is over are closed.
    ExpireOffers,
    /// The pool of the zone is asked whom to ask, from this wave on.
    Look {
        /// The number of the wave, from 1.
        wave: u32,
    },
    /// Operators and the business are told that nobody brings the order yet.
    NoDriver,
    /// The driver is asked whether they still come.
    AskDriver,
    /// The delivery is taken from a driver who does not come, and offered anew.
    TakeFromDriver,
    /// The business did not answer in time.
    Unanswered(Unanswered),
}
