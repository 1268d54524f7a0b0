//! The tables of payments and refunds, in the manner of the table of orders: every state and every thing that can happen to it.
//! What stands in no row changes nothing.

use std::fmt::Write as _;

use crate::domain::order::{FailureReason, FollowUp, Fulfilment, Status, TABLE, Way};

use super::model::{PaymentState, RefundState};
use super::news::NewsStatus;

/// A row of the table of payments: news that changes the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentRow {
    /// The state before.
    pub from: PaymentState,
    /// What the provider says.
    pub news: NewsStatus,
    /// The state after.
    pub to: PaymentState,
}

/// Every change of a payment's state by news. News of refunds change refunds only.
pub const PAYMENTS: &[PaymentRow] = {
    use NewsStatus as News;
    use PaymentState::{Failed, Initiated, Succeeded};
    &[
        PaymentRow { from: Initiated, news: News::Success, to: Succeeded },
        PaymentRow { from: Initiated, news: News::Failed, to: Failed },
        PaymentRow { from: Failed, news: News::Success, to: Succeeded },
    ]
};

/// The state of a payment after news; `None` when it stays.
pub fn after(from: PaymentState, news: NewsStatus) -> Option<PaymentState> {
    PAYMENTS.iter().find(|row| row.from == from && row.news == news).map(|row| row.to)
}

/// Something that happens to a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundEvent {
    /// The hub begins to send it.
    Send,
    /// The provider has it and works on it.
    Pending,
    /// The provider says that the money has gone back.
    Done,
    /// The provider refuses it, or could not deliver it.
    Refused,
    /// No answer came, or none that says what happened.
    NoAnswer,
    /// An operator lets it be sent again.
    Retry,
    /// A person gave the money back another way.
    Settled,
    /// A message of the provider says otherwise, or is from before: the provider is asked.
    Doubted,
}

impl RefundEvent {
    /// Every one, in the order of declaration.
    pub const ALL: [Self; 8] = [
        Self::Send,
        Self::Pending,
        Self::Done,
        Self::Refused,
        Self::NoAnswer,
        Self::Retry,
        Self::Settled,
        Self::Doubted,
    ];

    const fn words(self) -> &'static str {
        match self {
            Self::Send => "it is sent, after the provider was asked where it may have been sent before",
            Self::Pending => "the provider works on it",
            Self::Done => "the provider says it is done",
            Self::Refused => "the provider refuses it or says that it failed",
            Self::NoAnswer => "no answer",
            Self::Retry => "an operator lets it be sent again",
            Self::Settled => "a person gave the money back by hand",
            Self::Doubted => "a message says otherwise, or is from before: the provider is asked",
        }
    }
}

/// A row of the table of refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundRow {
    /// The state before.
    pub from: RefundState,
    /// The event that changes it.
    pub event: RefundEvent,
    /// The state after.
    pub to: RefundState,
}

/// Every change of a refund's state.
pub const REFUNDS: &[RefundRow] = {
    use RefundEvent::{Done, Doubted, NoAnswer, Pending, Refused, Retry, Send, Settled};
    use RefundState::{Due, Failed, Sent, Succeeded, Unknown};
    const fn row(from: RefundState, event: RefundEvent, to: RefundState) -> RefundRow {
        RefundRow { from, event, to }
    }
    &[
        row(Due, Send, Sent),
        row(Due, Done, Succeeded),
        row(Due, Settled, Succeeded),
        row(Sent, Send, Sent),
        row(Sent, Pending, Sent),
        row(Sent, Done, Succeeded),
        row(Sent, Refused, Failed),
        row(Sent, NoAnswer, Unknown),
        row(Unknown, Send, Sent),
        row(Unknown, Pending, Sent),
        row(Unknown, Done, Succeeded),
        row(Unknown, Refused, Failed),
        row(Unknown, NoAnswer, Unknown),
        // Days later: the customer's bank sends the money back to the provider.
        row(Succeeded, Refused, Failed),
        row(Succeeded, Doubted, Unknown),
        row(Failed, Doubted, Unknown),
        row(Failed, Retry, Due),
        row(Failed, Done, Succeeded),
        row(Failed, Settled, Succeeded),
    ]
};

/// The state of a refund after an event; `None` when it stays as it is.
pub fn refund_after(from: RefundState, event: RefundEvent) -> Option<RefundState> {
    REFUNDS.iter().find(|row| row.from == from && row.event == event).map(|row| row.to)
}

/// The table of payments as Markdown; `docs/payments.md` contains it, and a test compares.
pub fn payments_to_markdown() -> String {
    let mut out = String::from("| state | the provider says | state after |\n| --- | --- | --- |\n");
    for row in PAYMENTS {
        let _ = writeln!(out, "| `{}` | `{}` | `{}` |", row.from, row.news, row.to);
    }
    out
}

/// The table of refunds as Markdown; `docs/payments.md` contains it, and a test compares.
pub fn refunds_to_markdown() -> String {
    let mut out = String::from("| state | what happens | state after |\n| --- | --- | --- |\n");
    for row in REFUNDS {
        let _ = writeln!(out, "| `{}` | {} | `{}` |", row.from, row.event.words(), row.to);
    }
    out
}

/// Whether an end of an order gives back by itself what was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndRefund {
    /// The paid money goes back.
    Refunds,
    /// It does not; it stands in a list for an operator.
    Keeps,
}

/// What becomes of paid money when an order of this way goes from one status to an end, with this reason where one is needed.
pub fn end_refund(from: Status, to: Status, way: Way, reason: Option<FailureReason>) -> EndRefund {
    let rows = TABLE.iter().filter(|row| row.from == from && row.to == to && row.ways.contains(&way));
    let refunds = rows.flat_map(|row| row.follows).any(|follow| match follow {
        FollowUp::Refund => true,
        FollowUp::RefundFault => reason.is_some_and(FailureReason::refunds),
        _ => false,
    });
    if refunds { EndRefund::Refunds } else { EndRefund::Keeps }
}

/// Reason × payment as Markdown: which end of an order refunds by itself. `docs/payments.md` contains it, and a test compares.
pub fn ends_to_markdown() -> String {
    use Status::{Accepted, Cancelled, Delivered, Failed, PickedUp, Placed, Ready, Rejected};
    let mut out = String::from(
        "| end of the order | paid online | paid otherwise, recorded by a person | not paid |\n| --- | --- | --- | --- |\n",
    );
    let ways = [Way::OwnDelivery, Way::Pickup];
    let mut line = |end: &str, refund: EndRefund, unpaid: &str| {
        let (online, hand) = match refund {
            EndRefund::Refunds => ("refunded by itself", "`refund_due` until somebody gives it back"),
            EndRefund::Keeps => ("kept; an operator decides", "kept; an operator decides"),
        };
        let _ = writeln!(out, "| {end} | {online} | {hand} | {unpaid} |");
    };
    line("`rejected`", end_refund(Placed, Rejected, ways[0], None), "nothing");
    line("`cancelled` without an answer in time", end_refund(Placed, Cancelled, ways[0], None), "nothing");
    line("`cancelled` later, by whomever", end_refund(Accepted, Cancelled, ways[0], None), "nothing");
    for reason in FailureReason::ALL {
        let (from, way) = match reason {
            FailureReason::NoShow => (Ready, Way::of(Fulfilment::Pickup, Default::default())),
            _ => (PickedUp, ways[0]),
        };
        let end = format!("`failed`, `{reason}`");
        line(&end, end_refund(from, Failed, way, Some(reason)), "`uncollected`");
    }
    line("`delivered`", end_refund(PickedUp, Delivered, ways[0], None), "cash counts as paid");
    out
}
