//! The table of transitions as text; `docs/orders.md` contains it, and tests compare.

use std::fmt::Write as _;

use super::super::failure::FailureReason;
use super::super::status::{Party, Status};
use super::{FollowUp, Row, TABLE, Way, When};

/// The table as Markdown.
pub fn to_markdown() -> String {
    let mut out = String::from(
        "| from | to | orders | parties | when | consequences |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for row in TABLE {
        let orders = if row.ways.len() == Way::ALL.len() {
            "all".to_owned()
        } else {
            joined(row.ways.iter().map(|way| way.as_str()))
        };
        let _ = writeln!(
            out,
            "| `{}` | `{}` | {orders} | {} | {} | {} |",
            row.from.as_str(),
            row.to.as_str(),
            joined(row.parties.iter().map(|party| party.as_str())),
            when(row),
            joined(row.follows.iter().map(|follow| consequence(*follow))),
        );
    }
    out
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

const fn when(row: &Row) -> &'static str {
    match row.when {
        When::Always => "",
        When::CustomerIsLate => "from 30 minutes after `ready_at`",
        When::EndIsRecent => "within 24 hours",
    }
}

const fn consequence(follow: FollowUp) -> &'static str {
    match follow {
        FollowUp::StartAlert => "the merchant's notification is stored and devices ring",
        FollowUp::StopAlert => "devices stop ringing",
        FollowUp::RingOn => "devices ring until somebody has acted on one",
        FollowUp::RingEnd => "devices ring for it",
        FollowUp::Refund => "money that was taken has to be refunded",
        FollowUp::RefundFault => "money that was taken has to be refunded if the reason says so",
        FollowUp::TakeCash => "cash counts as paid",
        FollowUp::LeaveCash => "cash that was not paid is `uncollected`",
        FollowUp::Passes(_) => "the skipped transitions are written too",
    }
}

/// The table as a Mermaid state diagram: an arrow from a status to the next, with everybody who may go there.
pub fn to_mermaid() -> String {
    let mut out =
        String::from("stateDiagram-v2\n    [*] --> pending_payment: online\n    [*] --> placed: cash\n");
    for from in Status::ALL {
        for to in Status::ALL {
            let rows = || TABLE.iter().filter(|row| row.from == from && row.to == to);
            if rows().next().is_none() {
                continue;
            }
            let may = |party: &Party| rows().any(|row| row.parties.contains(party));
            let parties = joined(Party::ALL.iter().filter(|party| may(party)).map(|party| party.as_str()));
            let _ = writeln!(out, "    {from} --> {to}: {parties}");
        }
    }
    for end in Status::ALL.iter().filter(|status| status.is_end()) {
        let _ = writeln!(out, "    {end} --> [*]");
    }
    out
}

/// The reasons of a failure as Markdown.
pub fn failures_to_markdown() -> String {
    let mut out =
        String::from("| reason | money that was taken | cash that was not taken |\n| --- | --- | --- |\n");
    for reason in FailureReason::ALL {
        let taken = if reason.refunds() { "has to be refunded" } else { "stays; an operator decides" };
        let _ = writeln!(out, "| `{reason}` | {taken} | `uncollected` |");
    }
    out
}
