//! The order state table: for every status and move, who may make it, where it leads and what follows.
//! Everything that is not in it is forbidden; the tests generate the rest from it.

use std::fmt::Write as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::delivery::DeliveredBy;

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for an online payment; the merchant does not know of it yet.
    PendingPayment,
    /// Rings until somebody answers.
    Placed,
    /// The merchant said yes.
    Accepted,
    /// Being made.
    Preparing,
    /// Made, waits to be handed over.
    Ready,
    /// On its way to the customer.
    PickedUp,
    /// With the customer. An end.
    Delivered,
    /// The merchant said no. An end.
    Rejected,
    /// Called off. An end.
    Cancelled,
    /// Could not be delivered. An end.
    Failed,
}

impl Status {
    /// Every status, in the order of an order's life.
    pub const ALL: [Self; 10] = [
        Self::PendingPayment,
        Self::Placed,
        Self::Accepted,
        Self::Preparing,
        Self::Ready,
        Self::PickedUp,
        Self::Delivered,
        Self::Rejected,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingPayment => "pending_payment",
            Self::Placed => "placed",
            Self::Accepted => "accepted",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::PickedUp => "picked_up",
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether no move leads out of it.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Delivered | Self::Rejected | Self::Cancelled | Self::Failed)
    }

    /// Whether it is an end without the customer having got anything: no revenue, and with a reason.
    pub const fn is_end_without_delivery(self) -> bool {
        matches!(self, Self::Rejected | Self::Cancelled | Self::Failed)
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or(UnknownStatus)
    }
}

/// A word that names no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown order status")]
pub struct UnknownStatus;

/// How the customer gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fulfilment {
    /// A driver brings it.
    Delivery,
    /// The customer comes for it.
    Pickup,
    /// Eaten at a table.
    DineIn,
}

impl Fulfilment {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Delivery, Self::Pickup, Self::DineIn];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Pickup => "pickup",
            Self::DineIn => "dine_in",
        }
    }
}

impl FromStr for Fulfilment {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|f| f.as_str() == text).ok_or(UnknownStatus)
    }
}

/// How an order gets to its customer, as far as it matters for its moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The business brings it itself.
    OwnDelivery,
    /// A driver of the hub brings it.
    DriverDelivery,
    /// The customer comes for it.
    Pickup,
    /// Eaten at a table.
    DineIn,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::OwnDelivery, Self::DriverDelivery, Self::Pickup, Self::DineIn];

    /// The way of an order of this kind; `by` counts for deliveries.
    pub const fn of(fulfilment: Fulfilment, by: DeliveredBy) -> Self {
        match (fulfilment, by) {
            (Fulfilment::Delivery, DeliveredBy::Business) => Self::OwnDelivery,
            (Fulfilment::Delivery, DeliveredBy::Drivers) => Self::DriverDelivery,
            (Fulfilment::Pickup, _) => Self::Pickup,
            (Fulfilment::DineIn, _) => Self::DineIn,
        }
    }

    /// What the printed table calls it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::OwnDelivery => "delivery by the business",
            Self::DriverDelivery => "delivery by drivers",
            Self::Pickup => "pickup",
            Self::DineIn => "dine_in",
        }
    }
}

/// The capacity in which somebody moves an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The customer who ordered.
    Customer,
    /// A member of the business.
    Member,
    /// The driver the delivery is assigned to.
    Driver,
    /// An operator.
    Admin,
    /// The hub itself: payments and deadlines.
    System,
}

impl Party {
    /// Every capacity.
    pub const ALL: [Self; 5] = [Self::Customer, Self::Member, Self::Driver, Self::Admin, Self::System];

    /// The word in the log of an order.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Member => "member",
            Self::Driver => "driver",
            Self::Admin => "admin",
            Self::System => "system",
        }
    }
}

/// A consequence of a transition in the same commit, besides the events every transition has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FollowUp {
    /// The merchant's notification is stored, and the event rings.
    StartAlert,
    /// Somebody answered: the event does not ring, which silences devices.
    StopAlert,
    /// Money that was taken online is due back.
    Refund,
    /// Cash counts as paid.
    TakeCash,
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// Where the order stands.
    pub from: Status,
    /// Where it goes.
    pub to: Status,
    /// For which orders the line holds.
    pub ways: &'static [Way],
    /// Who may make the move.
    pub parties: &'static [Party],
    /// What else happens in the same commit.
    pub follows: &'static [FollowUp],
}

use FollowUp::{Refund, StartAlert, StopAlert, TakeCash};
use Party::{Admin, Customer, Driver, Member, System};
use Status::{
    Accepted, Cancelled, Delivered, Failed, PendingPayment, PickedUp, Placed, Preparing, Ready, Rejected,
};

const ANY: &[Way] = &Way::ALL;
const OWN: &[Way] = &[Way::OwnDelivery];
const DRIVEN: &[Way] = &[Way::DriverDelivery];
const FETCHED: &[Way] = &[Way::Pickup, Way::DineIn];

const fn row(
    from: Status,
    to: Status,
    ways: &'static [Way],
    parties: &'static [Party],
    follows: &'static [FollowUp],
) -> Row {
    Row { from, to, ways, parties, follows }
}

/// The table.
pub const TABLE: &[Row] = &[
    row(PendingPayment, Placed, ANY, &[System], &[StartAlert]),
    row(PendingPayment, Cancelled, ANY, &[Customer, Member, Admin, System], &[]),
    row(Placed, Accepted, ANY, &[Member, Admin], &[StopAlert]),
    row(Placed, Rejected, ANY, &[Member, Admin], &[StopAlert, Refund]),
    row(Placed, Cancelled, ANY, &[Customer, Member, Admin, System], &[StopAlert, Refund]),
    row(Accepted, Preparing, ANY, &[Member, Admin], &[]),
    row(Accepted, Cancelled, ANY, &[Member, Admin, System], &[Refund]),
    row(Preparing, Ready, ANY, &[Member, Admin], &[]),
    row(Preparing, Cancelled, ANY, &[Member, Admin, System], &[Refund]),
    row(Ready, PickedUp, OWN, &[Member, Admin], &[]),
    row(Ready, PickedUp, DRIVEN, &[Driver, Admin], &[]),
    row(Ready, Delivered, FETCHED, &[Member, Admin], &[TakeCash]),
    row(Ready, Cancelled, ANY, &[Member, Admin, System], &[Refund]),
    row(PickedUp, Delivered, OWN, &[Member, Admin], &[TakeCash]),
    row(PickedUp, Delivered, DRIVEN, &[Driver, Admin], &[TakeCash]),
    row(PickedUp, Failed, OWN, &[Member, Admin, System], &[Refund]),
    row(PickedUp, Failed, DRIVEN, &[Driver, Admin, System], &[Refund]),
];

/// The table's answer about a transition.
#[derive(Debug)]
pub enum Verdict {
    /// It may be made.
    Allowed(&'static Row),
    /// The order is there already: nothing changes.
    AlreadyThere,
    /// Nobody ever makes this move with an order like this: no version and no role would change that.
    NobodysMove {
        /// The statuses this party may move the order to now.
        allowed: Vec<Status>,
    },
    /// Only others make this move, whatever the order's status.
    NotTheirMove,
    /// Not from here; these would be allowed.
    Forbidden {
        /// The statuses this party may move the order to now.
        allowed: Vec<Status>,
    },
}

/// Looks up what happens when `party` moves an order that goes this `way` from `from` to `to`.
pub fn verdict(from: Status, to: Status, way: Way, party: Party) -> Verdict {
    let rows = || TABLE.iter().filter(move |r| r.ways.contains(&way));
    let theirs = || rows().filter(move |r| r.parties.contains(&party));
    let allowed = || theirs().filter(|r| r.from == from).map(|r| r.to).collect();
    // What only the hub itself does is nothing to leave to somebody else.
    let is_somebodys = |r: &Row| r.parties.contains(&party) || r.parties.iter().any(|p| *p != System);
    if !rows().any(|r| r.to == to && is_somebodys(r)) {
        return if from == to { Verdict::AlreadyThere } else { Verdict::NobodysMove { allowed: allowed() } };
    }
    if !theirs().any(|r| r.to == to) {
        return Verdict::NotTheirMove;
    }
    if from == to {
        return Verdict::AlreadyThere;
    }
    match theirs().find(|r| r.from == from && r.to == to) {
        Some(row) => Verdict::Allowed(row),
        None => Verdict::Forbidden { allowed: allowed() },
    }
}

/// The table as Markdown, which is how it gets into the documentation.
pub fn to_markdown() -> String {
    let mut out =
        String::from("| from | to | orders | who | what follows |\n| --- | --- | --- | --- | --- |\n");
    let join = |words: Vec<&str>| words.join(", ");
    for r in TABLE {
        let orders = if r.ways.len() == Way::ALL.len() {
            "all".to_owned()
        } else {
            join(r.ways.iter().map(|way| way.as_str()).collect())
        };
        let follows = r.follows.iter().map(|f| match f {
            StartAlert => "the merchant's notification is stored and devices ring",
            StopAlert => "devices fall silent",
            Refund => "money taken is due back",
            TakeCash => "cash counts as paid",
        });
        let _ = writeln!(
            out,
            "| `{}` | `{}` | {orders} | {} | {} |",
            r.from.as_str(),
            r.to.as_str(),
            join(r.parties.iter().map(|p| p.as_str()).collect()),
            join(follows.collect()),
        );
    }
    out
}

#[cfg(test)]
mod tests;
