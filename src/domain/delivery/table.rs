//! The table of deliveries: every status and every thing that can happen to it. What stands in no row is forbidden.

use std::fmt::Write as _;

use crate::domain::order::Party;

use super::status::{DeliveryStatus, Step};

/// Something that happens to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryStep {
    /// A wave of offers is opened.
    Offer,
    /// The last open offer was closed without a driver.
    Unoffer,
    /// A driver accepts, or an operator gives it to one.
    Assign,
    /// It leaves its driver, and is searched for again.
    Leave,
    /// An operator gives what is under way to another driver.
    HandOver,
    /// The driver reports a step.
    Report(Step),
    /// The order ends before it was picked up, or is brought another way.
    Cancel,
    /// An operator takes back that it was delivered.
    Correct,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The status before.
    pub from: DeliveryStatus,
    /// What happens to it.
    pub step: DeliveryStep,
    /// The status after.
    pub to: DeliveryStatus,
    /// Who may cause it.
    pub parties: &'static [Party],
    /// What follows in the same commit.
    pub follows: &'static str,
}

use DeliveryStatus::{
    Assigned, AtDropoff, AtPickup, Cancelled, Delivered, Failed, Offered, PickedUp, Returned, Unassigned,
};
use DeliveryStep::{Assign, Cancel, Correct, HandOver, Leave, Offer, Report, Unoffer};
use Party::{Admin, Customer, Driver, Member, System};

const HUB: &[Party] = &[System];
const TAKES: &[Party] = &[Driver, Admin];
const LEAVES: &[Party] = &[Driver, Admin, System];
const ADMIN: &[Party] = &[Admin];
const ENDS: &[Party] = &[Customer, Member, Admin, System];

const OPENS: &str = "each driver asked hears it; the offers have one deadline";
const SEARCH: &str = "the search goes on";
const ASSIGNS: &str =
    "the other offers are closed; it counts for the capacity; the driver joins the order's room";
const FREES: &str = "capacity is free, the driver leaves the order's room, the search begins anew";
const TAKES_OVER: &str = "the order becomes picked_up";
const ENDS_ORDER: &str = "the order becomes the same; capacity is free";
const CANCELS: &str =
    "open offers are closed, capacity is free, the driver is told and leaves the order's room";
const TOLD: &str = "the order's room is told";

const fn row(
    from: DeliveryStatus,
    step: DeliveryStep,
    to: DeliveryStatus,
    parties: &'static [Party],
    follows: &'static str,
) -> DeliveryRow {
    DeliveryRow { from, step, to, parties, follows }
}

/// Everything that can happen.
pub const TABLE: &[DeliveryRow] = &[
    row(Unassigned, Offer, Offered, HUB, OPENS),
    row(Unassigned, Assign, Assigned, ADMIN, ASSIGNS),
    row(Unassigned, Cancel, Cancelled, ENDS, CANCELS),
    row(Offered, Offer, Offered, HUB, OPENS),
    row(Offered, Unoffer, Unassigned, HUB, SEARCH),
    row(Offered, Assign, Assigned, TAKES, ASSIGNS),
    row(Offered, Cancel, Cancelled, ENDS, CANCELS),
    row(Assigned, Report(Step::AtPickup), AtPickup, TAKES, TOLD),
    row(Assigned, Report(Step::PickedUp), PickedUp, TAKES, TAKES_OVER),
    row(Assigned, Assign, Assigned, ADMIN, ASSIGNS),
    row(Assigned, Leave, Unassigned, LEAVES, FREES),
    row(Assigned, Cancel, Cancelled, ENDS, CANCELS),
    row(AtPickup, Report(Step::PickedUp), PickedUp, TAKES, TAKES_OVER),
    row(AtPickup, Assign, Assigned, ADMIN, ASSIGNS),
    row(AtPickup, Leave, Unassigned, LEAVES, FREES),
    row(AtPickup, Cancel, Cancelled, ENDS, CANCELS),
    row(PickedUp, Report(Step::AtDropoff), AtDropoff, TAKES, TOLD),
    row(PickedUp, Report(Step::Delivered), Delivered, TAKES, ENDS_ORDER),
    row(PickedUp, Report(Step::Failed), Failed, TAKES, ENDS_ORDER),
    row(PickedUp, HandOver, PickedUp, ADMIN, ASSIGNS),
    row(AtDropoff, Report(Step::Delivered), Delivered, TAKES, ENDS_ORDER),
    row(AtDropoff, Report(Step::Failed), Failed, TAKES, ENDS_ORDER),
    row(AtDropoff, HandOver, PickedUp, ADMIN, ASSIGNS),
    row(Failed, Report(Step::Returned), Returned, TAKES, TOLD),
    row(Delivered, Correct, PickedUp, ADMIN, TAKES_OVER),
    row(Delivered, Report(Step::Failed), Failed, ADMIN, ENDS_ORDER),
];

/// The row by which `party` causes this, if there is one.
pub fn find(from: DeliveryStatus, step: DeliveryStep, party: Party) -> Option<&'static DeliveryRow> {
    TABLE.iter().find(|row| row.from == from && row.step == step && row.parties.contains(&party))
}

/// The steps that `party` may report now.
pub fn reportable(from: DeliveryStatus, party: Party) -> Vec<Step> {
    let theirs = TABLE.iter().filter(|row| row.from == from && row.parties.contains(&party));
    theirs.filter_map(|row| if let Report(step) = row.step { Some(step) } else { None }).collect()
}

impl DeliveryStep {
    /// The words in the printed table.
    fn words(self) -> String {
        match self {
            Self::Offer => "a wave of offers".to_owned(),
            Self::Unoffer => "no offer is left".to_owned(),
            Self::Assign => "accepted, or assigned by an operator".to_owned(),
            Self::Leave => "given back or taken away".to_owned(),
            Self::HandOver => "another driver takes over".to_owned(),
            Self::Report(step) => format!("step `{step}`"),
            Self::Cancel => "the order ends, or is brought another way".to_owned(),
            Self::Correct => "the end is corrected".to_owned(),
        }
    }
}

/// The table as Markdown.
pub fn to_markdown() -> String {
    let mut text =
        "| from | what happens | to | by | what follows |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for DeliveryRow { from, step, to, parties, follows } in TABLE {
        let by: Vec<&str> = parties.iter().map(|party| party.as_str()).collect();
        let (what, by) = (step.words(), by.join(", "));
        writeln!(text, "| `{from}` | {what} | `{to}` | {by} | {follows} |").expect("a text takes any text");
    }
    text
}

/// The table as a state diagram for Mermaid.
pub fn to_mermaid() -> String {
    let mut text = "stateDiagram-v2\n    [*] --> unassigned\n".to_owned();
    for row in TABLE.iter().filter(|row| row.from != row.to) {
        let label = row.step.words().replace('`', "");
        writeln!(text, "    {} --> {}: {label}", row.from, row.to).expect("a text takes any text");
    }
    for end in [Delivered, Returned, Cancelled] {
        writeln!(text, "    {end} --> [*]").expect("a text takes any text");
    }
    text
}
