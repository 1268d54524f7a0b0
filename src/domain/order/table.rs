//! The table of transitions: for each one the parties that may make it, and its consequences. Every transition that is not in it is
//! forbidden; the tests generate those.

use std::fmt::Write as _;

use crate::domain::delivery::DeliveredBy;

use super::status::{Fulfilment, Party, Status};

/// The way an order takes to its customer, as far as transitions depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The business delivers it itself.
    OwnDelivery,
    /// A driver of the hub delivers it.
    DriverDelivery,
    /// The customer fetches it.
    Pickup,
    /// It is eaten at a table.
    DineIn,
}

impl Way {
    /// Every way, in the order of declaration.
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

    /// The name in the printed table.
    const fn as_str(self) -> &'static str {
        match self {
            Self::OwnDelivery => "delivery by the business",
            Self::DriverDelivery => "delivery by drivers",
            Self::Pickup => "pickup",
            Self::DineIn => "dine_in",
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

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// The status before the transition.
    pub from: Status,
    /// The status after it.
    pub to: Status,
    /// The ways of the orders that it holds for.
    pub ways: &'static [Way],
    /// The parties that may make it.
    pub parties: &'static [Party],
    /// Its consequences in the same commit.
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

/// Every transition that there is.
pub const TABLE: &[Row] = &[
    row(PendingPayment, Placed, ANY, &[System], &[StartAlert]),
    row(PendingPayment, Cancelled, ANY, &[Customer, Member, Admin, System], &[]),
    row(Placed, Accepted, ANY, &[Member, Admin, System], &[StopAlert]),
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
    /// The party may make it.
    Allowed(&'static Row),
    /// The order has this status already: nothing changes.
    AlreadyThere,
    /// No party ever makes this transition for an order of this way, whatever its status and version.
    NobodysMove {
        /// The statuses this party may move the order to now.
        allowed: Vec<Status>,
    },
    /// Only other parties make this transition, whatever the status of the order.
    NotTheirMove,
    /// The transition does not start from the present status.
    Forbidden {
        /// The statuses this party may move the order to now.
        allowed: Vec<Status>,
    },
}

/// Looks up the transition of an order of this `way` from `from` to `to` by `party`.
pub fn verdict(from: Status, to: Status, way: Way, party: Party) -> Verdict {
    let rows = || TABLE.iter().filter(move |r| r.ways.contains(&way));
    let theirs = || rows().filter(move |r| r.parties.contains(&party));
    let allowed = || theirs().filter(|r| r.from == from).map(|r| r.to).collect();
    // A transition of the hub alone does not count: it is not one that other parties make.
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

/// The table as Markdown; `docs/orders.md` contains it, and a test compares.
pub fn to_markdown() -> String {
    let mut out =
        String::from("| from | to | orders | parties | consequences |\n| --- | --- | --- | --- | --- |\n");
    let join = |words: Vec<&str>| words.join(", ");
    for r in TABLE {
        let orders = if r.ways.len() == Way::ALL.len() {
            "all".to_owned()
        } else {
            join(r.ways.iter().map(|way| way.as_str()).collect())
        };
        let follows = r.follows.iter().map(|f| match f {
            StartAlert => "the merchant's notification is stored and devices ring",
            StopAlert => "devices stop ringing",
            Refund => "money that was taken has to be refunded",
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
