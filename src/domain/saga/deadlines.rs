//! The table of deadlines: what the hub does to an order by itself, and when. It describes; a test fires each row and looks.

use std::fmt::Write as _;
use std::time::Duration;

use crate::domain::order::Status;

use super::alert::AlertRule;
use super::clocks::Clocks;

/// The moment from which a deadline counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// The commit that placed the order, or that moved it to this status.
    Entered,
    /// `ready_at` of the order.
    ReadyAt,
}

/// What happens at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The order is moved.
    Move(Status),
    /// Devices of the business ring.
    Ring,
    /// The business's webhook is used.
    Webhook,
    /// Mail is sent.
    Mail,
    /// Somebody is called.
    Call,
    /// Devices of the business are reminded.
    Remind,
    /// Operators are told.
    TellOperators,
}

/// One row of the table.
pub struct DeadlineRow {
    /// The status in which the order waits.
    pub status: Status,
    /// The orders it holds for, in words.
    pub orders: &'static str,
    /// An alert rule, way and acknowledgement for which it holds, for the test.
    pub holds_for: Sample,
    /// The moment it counts from.
    pub from: Beginning,
    /// The time until it acts.
    pub after: fn(&Clocks) -> Duration,
    /// The setting of that time; empty where it has none.
    pub setting: &'static str,
    /// What happens then.
    pub does: Consequence,
}

/// An order that a row holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How it rings.
    pub rule: AlertRule,
    /// Whether it is brought.
    pub is_delivery: bool,
    /// Whether a device has acknowledged it.
    pub is_delivered: bool,
}

const fn sample(rule: AlertRule, is_delivery: bool, is_delivered: bool) -> Sample {
    Sample { rule, is_delivery, is_delivered }
}

const PICKUP: Sample = sample(AlertRule::Full, false, false);
const IGNORED: Sample = sample(AlertRule::Full, false, true);
const DELIVERY: Sample = sample(AlertRule::Full, true, false);
const GUEST: Sample = sample(AlertRule::Guest, false, false);
const MEMBER: Sample = sample(AlertRule::Member, false, false);
const MEMBER_DELIVERY: Sample = sample(AlertRule::Member, true, false);

/// Every deadline that there is.
pub const DEADLINES: &[DeadlineRow] = {
    use Beginning::{Entered, ReadyAt};
    use Consequence::{Call, Mail, Move, Remind, Ring, TellOperators, Webhook};
    use Status::{Accepted, Cancelled, Delivered, PendingPayment, PickedUp, Placed, Preparing, Ready};
    type After = fn(&Clocks) -> Duration;
    const fn row(
        status: Status,
        (orders, holds_for): (&'static str, Sample),
        from: Beginning,
        (setting, after): (&'static str, After),
        does: Consequence,
    ) -> DeadlineRow {
        DeadlineRow { status, orders, holds_for, from, after, setting, does }
    }
    const ALL: (&str, Sample) = ("all", PICKUP);
    const UNDELIVERED: (&str, Sample) = ("no device has acknowledged it", PICKUP);
    const TIMED: (&str, Sample) = ("of customers, but `dine_in`", IGNORED);
    const FETCHED: (&str, Sample) = ("pickup, dine_in", PICKUP);
    &[
        row(PendingPayment, ALL, Entered, ("", |c| c.unpaid), Move(Cancelled)),
        row(Placed, UNDELIVERED, Entered, ("alerts.undelivered_s", |c| c.undelivered), Webhook),
        row(Placed, UNDELIVERED, Entered, ("alerts.undelivered_s", |c| c.undelivered), Ring),
        row(
            Placed,
            ("all, again and again", PICKUP),
            Entered,
            ("alerts.ring_every_s", |c| c.ring_every),
            Ring,
        ),
        row(Placed, UNDELIVERED, Entered, ("alerts.mail_s", |c| c.mail), Mail),
        row(Placed, UNDELIVERED, Entered, ("alerts.call_s", |c| c.call), Call),
        row(Placed, TIMED, Entered, ("alerts.escalate_s", |c| c.escalate), Webhook),
        row(Placed, TIMED, Entered, ("alerts.escalate_s", |c| c.escalate), Mail),
        row(Placed, TIMED, Entered, ("alerts.escalate_s", |c| c.escalate), Call),
        row(Placed, TIMED, Entered, ("alerts.accept_s", |c| c.accept), Move(Cancelled)),
        row(Placed, TIMED, Entered, ("alerts.accept_s", |c| c.accept), TellOperators),
        row(
            Placed,
            ("`dine_in` of customers", GUEST),
            Entered,
            ("alerts.accept_s", |c| c.accept),
            TellOperators,
        ),
        row(
            Placed,
            ("of members and `dine_in`, no delivery", MEMBER),
            Entered,
            ("sagas.forgotten_s", |c| c.forgotten),
            Move(Delivered),
        ),
        row(
            Placed,
            ("deliveries of members", MEMBER_DELIVERY),
            Entered,
            ("sagas.forgotten_s", |c| c.forgotten),
            TellOperators,
        ),
        row(Accepted, ALL, ReadyAt, ("sagas.late_s", |c| c.late), Remind),
        row(Accepted, ALL, ReadyAt, ("sagas.very_late_s", |c| c.very_late), TellOperators),
        row(Accepted, FETCHED, Entered, ("sagas.forgotten_s", |c| c.forgotten), Move(Delivered)),
        row(Preparing, ALL, ReadyAt, ("sagas.late_s", |c| c.late), Remind),
        row(Preparing, ALL, ReadyAt, ("sagas.very_late_s", |c| c.very_late), TellOperators),
        row(Preparing, FETCHED, Entered, ("sagas.forgotten_s", |c| c.forgotten), Move(Delivered)),
        row(Ready, ALL, Entered, ("sagas.handover_s", |c| c.handover), TellOperators),
        row(Ready, FETCHED, Entered, ("sagas.forgotten_s", |c| c.forgotten), Move(Delivered)),
        row(
            PickedUp,
            ("deliveries", DELIVERY),
            Entered,
            ("sagas.under_way_s", |c| c.under_way),
            TellOperators,
        ),
    ]
};

impl Consequence {
    fn words(self) -> String {
        match self {
            Self::Move(to) => format!("it is moved to `{to}`"),
            Self::Ring => "devices ring".to_owned(),
            Self::Webhook => "the webhook is used".to_owned(),
            Self::Mail => "mail is sent".to_owned(),
            Self::Call => "somebody is called".to_owned(),
            Self::Remind => "devices are reminded".to_owned(),
            Self::TellOperators => "operators are told".to_owned(),
        }
    }
}

/// The time until a row acts, as people write it.
fn time(after: Duration) -> String {
    match after.as_secs() {
        seconds if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        seconds if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

const fn from(row: &DeadlineRow) -> &'static str {
    match row.from {
        Beginning::Entered => "the transition to it",
        Beginning::ReadyAt => "`ready_at`",
    }
}

/// The table as Markdown, with the default times; `docs/orders.md` contains it, and a test compares.
pub fn deadlines_to_markdown() -> String {
    let mut out = String::from(
        "| status | orders | from | after | setting | what happens |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    let clocks = Clocks::default();
    for row in DEADLINES {
        let (after, does) = (time((row.after)(&clocks)), row.does.words());
        let (status, orders) = (row.status, row.orders);
        let setting = if row.setting.is_empty() { String::new() } else { format!("`{}`", row.setting) };
        let _ = writeln!(out, "| `{status}` | {orders} | {} | {after} | {setting} | {does} |", from(row));
    }
    out
}

/// The same as a Mermaid diagram: an arrow for each transition the hub makes, and beside each status what it does there.
pub fn deadlines_to_mermaid() -> String {
    let clocks = Clocks::default();
    let mut out = String::from("stateDiagram-v2\n");
    for status in Status::ALL {
        let here = || DEADLINES.iter().filter(move |row| row.status == status);
        for row in here() {
            if let Consequence::Move(to) = row.does {
                let _ = writeln!(
                    out,
                    "    {status} --> {to}: {}, {}",
                    time((row.after)(&clocks)),
                    row.orders.replace('`', "")
                );
            }
        }
        let notes = here().filter(|row| !matches!(row.does, Consequence::Move(_)));
        let mut lines: Vec<String> = notes
            .map(|row| {
                let from = if row.from == Beginning::ReadyAt { " after ready_at" } else { "" };
                format!("        {}{from}: {}\n", time((row.after)(&clocks)), row.does.words())
            })
            .collect();
        lines.dedup();
        if !lines.is_empty() {
            let _ = write!(out, "    note right of {status}\n{}    end note\n", lines.concat());
        }
    }
    out
}
