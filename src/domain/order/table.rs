//! The order state table: for every status and move, who may make it, where it leads and what follows.
//! Everything that is not in it is forbidden; the tests generate the rest from it.

use std::fmt::Write as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::event::EventType;

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

    /// What a room is told when an order arrives here.
    pub const fn announced_as(self) -> Option<EventType> {
        match self {
            Self::PendingPayment => None,
            Self::Placed => Some(EventType::OrderCreated),
            Self::Cancelled => Some(EventType::OrderCancelled),
            _ => Some(EventType::OrderUpdated),
        }
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

/// In which capacity somebody moves an order.
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

/// What follows a move, in the same commit, besides telling the rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FollowUp {
    /// Store the merchant's notification and start ringing.
    StartAlert,
    /// Somebody answered: stop ringing.
    StopAlert,
    /// Money taken goes back.
    Refund,
    /// Cash is taken now.
    TakeCash,
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// Where the order stands.
    pub from: Status,
    /// Where it goes.
    pub to: Status,
    /// For which kinds of order the line holds.
    pub fulfilments: &'static [Fulfilment],
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

const ANY: &[Fulfilment] = &Fulfilment::ALL;
const BROUGHT: &[Fulfilment] = &[Fulfilment::Delivery];
const FETCHED: &[Fulfilment] = &[Fulfilment::Pickup, Fulfilment::DineIn];

const fn row(
    from: Status,
    to: Status,
    fulfilments: &'static [Fulfilment],
    parties: &'static [Party],
    follows: &'static [FollowUp],
) -> Row {
    Row { from, to, fulfilments, parties, follows }
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
    row(Ready, PickedUp, BROUGHT, &[Member, Driver, Admin], &[]),
    row(Ready, Delivered, FETCHED, &[Member, Admin], &[TakeCash]),
    row(Ready, Cancelled, ANY, &[Member, Admin, System], &[Refund]),
    row(PickedUp, Delivered, BROUGHT, &[Member, Driver, Admin], &[TakeCash]),
    row(PickedUp, Failed, BROUGHT, &[Driver, Admin, System], &[Refund]),
];

/// What the table says about a move.
#[derive(Debug)]
pub enum Verdict {
    /// It may be made.
    Allowed(&'static Row),
    /// The order is there already: nothing changes.
    AlreadyThere,
    /// No line of the table lets this party make this move, whatever the order's status.
    NotTheirMove,
    /// Not from here; these would be allowed.
    Forbidden {
        /// The statuses this party may move the order to now.
        allowed: Vec<Status>,
    },
}

/// Looks up what happens when `party` moves an order of kind `fulfilment` from `from` to `to`.
pub fn verdict(from: Status, to: Status, fulfilment: Fulfilment, party: Party) -> Verdict {
    let theirs =
        || TABLE.iter().filter(move |r| r.parties.contains(&party) && r.fulfilments.contains(&fulfilment));
    if !theirs().any(|r| r.to == to) {
        return Verdict::NotTheirMove;
    }
    if from == to {
        return Verdict::AlreadyThere;
    }
    match theirs().find(|r| r.from == from && r.to == to) {
        Some(row) => Verdict::Allowed(row),
        None => Verdict::Forbidden { allowed: theirs().filter(|r| r.from == from).map(|r| r.to).collect() },
    }
}

/// The table as Markdown, which is how it gets into the documentation.
pub fn to_markdown() -> String {
    let mut out =
        String::from("| from | to | orders | who | what follows |\n| --- | --- | --- | --- | --- |\n");
    let join = |words: Vec<&str>| words.join(", ");
    for r in TABLE {
        let orders = if r.fulfilments.len() == Fulfilment::ALL.len() {
            "all".to_owned()
        } else {
            join(r.fulfilments.iter().map(|f| f.as_str()).collect())
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
mod tests {
    use super::*;

    #[test]
    fn every_move_that_is_not_in_the_table_is_refused() {
        let mut allowed = 0;
        for from in Status::ALL {
            for to in Status::ALL {
                for fulfilment in Fulfilment::ALL {
                    for party in Party::ALL {
                        let listed = TABLE.iter().any(|r| {
                            r.from == from
                                && r.to == to
                                && r.fulfilments.contains(&fulfilment)
                                && r.parties.contains(&party)
                        });
                        match verdict(from, to, fulfilment, party) {
                            Verdict::Allowed(r) => {
                                assert!(listed && r.from == from && r.to == to);
                                allowed += 1;
                            }
                            Verdict::Forbidden { allowed } => assert!(!listed && !allowed.contains(&to)),
                            Verdict::AlreadyThere => assert_eq!(from, to),
                            Verdict::NotTheirMove => assert!(!listed),
                        }
                    }
                }
            }
        }
        let lines: usize = TABLE.iter().map(|r| r.fulfilments.len() * r.parties.len()).sum();
        assert_eq!(allowed, lines, "each line of the table is reachable exactly once");
    }

    #[test]
    fn ends_are_ends_and_everything_else_has_a_way_out() {
        for status in Status::ALL {
            assert_eq!(TABLE.iter().any(|r| r.from == status), !status.is_end(), "{status:?}");
        }
    }

    #[test]
    fn customers_cancel_until_accepted_and_do_nothing_else() {
        for from in Status::ALL {
            for to in Status::ALL {
                let may =
                    matches!(verdict(from, to, Fulfilment::Pickup, Party::Customer), Verdict::Allowed(_));
                assert_eq!(
                    may,
                    to == Cancelled && matches!(from, PendingPayment | Placed),
                    "{from:?} to {to:?}"
                );
            }
        }
    }

    #[test]
    fn members_cancel_until_picked_up() {
        for from in Status::ALL {
            let may =
                matches!(verdict(from, Cancelled, Fulfilment::Delivery, Party::Member), Verdict::Allowed(_));
            assert_eq!(may, from < PickedUp, "{from:?}");
        }
    }

    #[test]
    fn pickup_and_dine_in_go_from_ready_to_delivered() {
        for fulfilment in [Fulfilment::Pickup, Fulfilment::DineIn] {
            assert!(matches!(verdict(Ready, Delivered, fulfilment, Party::Member), Verdict::Allowed(_)));
            assert!(matches!(verdict(Ready, PickedUp, fulfilment, Party::Member), Verdict::NotTheirMove));
        }
        assert!(matches!(
            verdict(Ready, Delivered, Fulfilment::Delivery, Party::Member),
            Verdict::Forbidden { .. }
        ));
    }

    #[test]
    fn only_answers_stop_the_ringing_and_every_way_out_of_placed_is_an_answer() {
        for r in TABLE {
            assert_eq!(r.follows.contains(&StopAlert), r.from == Placed, "{r:?}");
            assert_eq!(r.follows.contains(&StartAlert), r.to == Placed, "{r:?}");
        }
    }

    #[test]
    fn the_printed_table_is_the_one_in_the_docs() {
        let docs = include_str!("../../../docs/orders.md");
        assert!(docs.contains(&to_markdown()), "docs/orders.md must contain this table:\n{}", to_markdown());
    }
}
