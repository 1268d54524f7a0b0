//! The table of transitions: for each one the parties that may make it, and its consequences. Every transition that is not in it is
//! forbidden; the tests generate those.

use std::time::Duration;

use crate::domain::delivery::DeliveredBy;

use super::failure::FailureReason;
use super::status::{Fulfilment, Party, Status};

mod print;

pub use print::{failures_to_markdown, to_markdown, to_mermaid};

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
    /// The hub accepted: devices go on ringing until somebody has acted on one of them.
    RingOn,
    /// Somebody else than the business ended what it has accepted: its devices ring for that.
    RingEnd,
    /// Money that was taken online is due back.
    Refund,
    /// The same, unless the order failed for a reason of its customer's.
    RefundFault,
    /// Cash counts as paid.
    TakeCash,
    /// Cash that was not taken stays uncollected.
    LeaveCash,
    /// These statuses are passed through: each is a transition of its own in the timeline, by the same party.
    Passes(&'static [Status]),
}

/// The time in which a transition can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At any time.
    Always,
    /// From [`NO_SHOW_AFTER`] after the time at which the order was to be ready.
    CustomerIsLate,
    /// Until [`CORRECTION_WITHIN`] after the order ended.
    EndIsRecent,
}

/// Time that a customer has to fetch an order after it was to be ready.
pub const NO_SHOW_AFTER: Duration = Duration::from_secs(30 * 60);

/// Time in which an operator can correct the end of an order.
pub const CORRECTION_WITHIN: Duration = Duration::from_secs(24 * 3600);

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
    /// The time in which they may.
    pub when: When,
    /// Its consequences in the same commit.
    pub follows: &'static [FollowUp],
}

/// The reason that a transition needs in the words of who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonRule {
    /// None is needed.
    Optional,
    /// Any text will do.
    Required,
    /// One of these words.
    OneOf(&'static [FailureReason]),
}

impl Row {
    /// The reason it needs of `party`: the customer of a cancelled order is owed one, a correction is explained, and why an
    /// order failed decides about its money.
    pub const fn reason(&self, party: Party) -> ReasonRule {
        match (self.from, self.to, party) {
            (Ready, Failed, _) => ReasonRule::OneOf(&[FailureReason::NoShow]),
            (PickedUp, Failed, _) => ReasonRule::OneOf(FailureReason::ON_THE_WAY),
            (_, Failed, _) => ReasonRule::OneOf(&FailureReason::ALL),
            (_, Cancelled, Customer | System) => ReasonRule::Optional,
            (_, Cancelled, Member | Driver | Admin) | (Delivered, _, _) => ReasonRule::Required,
            _ => ReasonRule::Optional,
        }
    }
}

use FollowUp::{LeaveCash, Passes, Refund, RefundFault, RingEnd, RingOn, StartAlert, StopAlert, TakeCash};
use Party::{Admin, Customer, Driver, Member, System};
use Status::{
    Accepted, Cancelled, Delivered, Failed, PendingPayment, PickedUp, Placed, Preparing, Ready, Rejected,
};

const ANY: &[Way] = &Way::ALL;
const OWN: &[Way] = &[Way::OwnDelivery];
const DRIVEN: &[Way] = &[Way::DriverDelivery];
const BROUGHT: &[Way] = &[Way::OwnDelivery, Way::DriverDelivery];
const PICKUP: &[Way] = &[Way::Pickup];
const FETCHED: &[Way] = &[Way::Pickup, Way::DineIn];

const fn row(
    from: Status,
    to: Status,
    ways: &'static [Way],
    parties: &'static [Party],
    follows: &'static [FollowUp],
) -> Row {
    Row { from, to, ways, parties, when: When::Always, follows }
}

/// A row that holds for a time only.
const fn timed(when: When, row: Row) -> Row {
    Row { when, ..row }
}

/// Every transition that there is.
pub const TABLE: &[Row] = &[
    row(PendingPayment, Placed, ANY, &[System], &[StartAlert]),
    row(PendingPayment, Cancelled, ANY, &[Customer, Member, Admin, System], &[]),
    row(Placed, Accepted, ANY, &[Member, Admin], &[StopAlert]),
    row(Placed, Accepted, ANY, &[System], &[RingOn]),
    row(Placed, Delivered, FETCHED, &[System], &[StopAlert, LeaveCash]),
    row(Placed, Rejected, ANY, &[Member, Admin], &[StopAlert, Refund]),
    row(Placed, Cancelled, ANY, &[Customer, Member, Admin, System], &[StopAlert, Refund]),
    row(Accepted, Preparing, ANY, &[Member, Admin], &[]),
    row(Accepted, Ready, ANY, &[Member, Admin], &[]),
    row(Accepted, PickedUp, DRIVEN, &[Driver, Admin], &[Passes(&[Preparing, Ready])]),
    row(Accepted, Delivered, FETCHED, &[Member, Admin], &[TakeCash]),
    row(Accepted, Delivered, FETCHED, &[System], &[LeaveCash]),
    row(Accepted, Cancelled, ANY, &[Member], &[Refund]),
    row(Accepted, Cancelled, ANY, &[Admin, System], &[RingEnd, Refund]),
    row(Preparing, Ready, ANY, &[Member, Admin], &[]),
    row(Preparing, PickedUp, DRIVEN, &[Driver, Admin], &[Passes(&[Ready])]),
    row(Preparing, Delivered, FETCHED, &[Member, Admin], &[TakeCash]),
    row(Preparing, Delivered, FETCHED, &[System], &[LeaveCash]),
    row(Preparing, Cancelled, ANY, &[Member], &[Refund]),
    row(Preparing, Cancelled, ANY, &[Admin, System], &[RingEnd, Refund]),
    row(Ready, Preparing, ANY, &[Member, Admin], &[]),
    row(Ready, PickedUp, OWN, &[Member, Admin], &[]),
    row(Ready, PickedUp, DRIVEN, &[Driver, Admin], &[]),
    row(Ready, Delivered, FETCHED, &[Member, Admin], &[TakeCash]),
    row(Ready, Delivered, FETCHED, &[System], &[LeaveCash]),
    timed(When::CustomerIsLate, row(Ready, Failed, PICKUP, &[Member, Admin], &[RefundFault, LeaveCash])),
    row(Ready, Cancelled, ANY, &[Member], &[Refund]),
    row(Ready, Cancelled, ANY, &[Admin, System], &[RingEnd, Refund]),
    row(PickedUp, Delivered, OWN, &[Member, Admin], &[TakeCash]),
    row(PickedUp, Delivered, DRIVEN, &[Driver, Admin], &[TakeCash]),
    row(PickedUp, Failed, OWN, &[Member, Admin], &[RefundFault, LeaveCash]),
    row(PickedUp, Failed, DRIVEN, &[Driver, Admin], &[RefundFault, LeaveCash]),
    timed(When::EndIsRecent, row(Delivered, PickedUp, BROUGHT, &[Admin], &[])),
    timed(When::EndIsRecent, row(Delivered, Failed, ANY, &[Admin], &[])),
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

/// The rows by which `party` may move an order of this `way` from `from`.
pub fn allowed(from: Status, way: Way, party: Party) -> impl Iterator<Item = &'static Row> {
    let theirs = move |row: &&Row| row.ways.contains(&way) && row.parties.contains(&party);
    TABLE.iter().filter(move |row| row.from == from && theirs(row))
}

/// Looks up the transition of an order of this `way` from `from` to `to` by `party`.
pub fn verdict(from: Status, to: Status, way: Way, party: Party) -> Verdict {
    let rows = || TABLE.iter().filter(move |r| r.ways.contains(&way));
    let theirs = || rows().filter(move |r| r.parties.contains(&party));
    let allowed = || allowed(from, way, party).map(|row| row.to).collect();
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

#[cfg(test)]
mod tests;
