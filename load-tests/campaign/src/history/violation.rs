//! Broken promises, each with what shows it.

use std::fmt;

use bellhop_client::Cursor;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    // Rooms in the store.
    HoleInRoom { room: String, after: u64, next: u64 },
    HeadWithoutEvent { room: String, head: u64, last: u64 },
    EventNumberedTwice { room: String, id: String, at: [Cursor; 2] },
    EpochChanged { room: String, epochs: Vec<u32> },
    // Rooms at clients.
    NoStart { client: String, room: String },
    Skipped { client: String, room: String, after: Cursor, got: Cursor },
    OtherHistory { client: String, room: String, after: Cursor, got: Cursor },
    ResumedElsewhere { client: String, room: String, at: Cursor, told: Cursor },
    PositionWithTwoEvents { client: String, room: String, at: Cursor, ids: [String; 2] },
    NeedlessResync { client: String, room: String, at: Cursor, told: Cursor },
    NotStored { client: String, room: String, at: Cursor, id: String },
    NotToTheEnd { client: String, room: String, at: Option<Cursor>, head: Cursor },
    // Orders.
    OrderLost { key: String, order: String },
    OrderDoubled { key: String, orders: Vec<String> },
    AnsweredDifferently { key: String, orders: Vec<String> },
    RefusedAndStored { key: String, refused: String, order: String },
    NobodyAsked { key: String, order: String },
    OneOrderForTwoKeys { order: String, keys: Vec<String> },
    NumberTwice { business: String, number: i64, orders: Vec<String> },
    MoveLost { order: String, version: i64, status: String },
    MovesDoNotFollow { order: String, after: String, next: String },
    Announced { order: String, times: usize, placed: bool },
    NotAtAnEnd { order: String, status: String },
    // Money.
    BooksDiffer { payment: String, captured: [i64; 2], refunded: [i64; 2] },
    RefundedTwice { payment: String, refund: String },
    UnknownPayment { payment: String, order: String },
    MoneyWrong { order: String, keeps: i64, owes: i64 },
    // Deliveries.
    AssignedTwice { delivery: String, attempt: i64, drivers: Vec<String> },
    TwoDeliveries { order: String, deliveries: Vec<String> },
    TakenAndNotStored { offer: String, driver: String, delivery: String },
    HandedOverUnasked { delivery: String, drivers: [String; 2] },
    CapacityWrong { driver: String, active: i64, carries: i64, capacity: i64 },
}

impl Violation {
    /// The room whose history shows it.
    pub(crate) fn room(&self) -> Option<&str> {
        match self {
            Self::HoleInRoom { room, .. }
            | Self::HeadWithoutEvent { room, .. }
            | Self::EventNumberedTwice { room, .. }
            | Self::EpochChanged { room, .. }
            | Self::NoStart { room, .. }
            | Self::Skipped { room, .. }
            | Self::OtherHistory { room, .. }
            | Self::ResumedElsewhere { room, .. }
            | Self::PositionWithTwoEvents { room, .. }
            | Self::NeedlessResync { room, .. }
            | Self::NotStored { room, .. }
            | Self::NotToTheEnd { room, .. } => Some(room),
            _ => None,
        }
    }

    /// Ids and keys whose rows show it.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::OrderLost { key, order } | Self::NobodyAsked { key, order } => vec![key, order],
            Self::RefusedAndStored { key, order, .. } => vec![key, order],
            Self::OrderDoubled { key, orders } | Self::AnsweredDifferently { key, orders } => {
                std::iter::once(key.as_str()).chain(orders.iter().map(String::as_str)).collect()
            }
            Self::NumberTwice { orders, .. } => orders.iter().map(String::as_str).collect(),
            Self::OneOrderForTwoKeys { order, .. }
            | Self::MoveLost { order, .. }
            | Self::MovesDoNotFollow { order, .. }
            | Self::Announced { order, .. }
            | Self::NotAtAnEnd { order, .. }
            | Self::MoneyWrong { order, .. } => vec![order],
            Self::UnknownPayment { payment, order } => vec![payment, order],
            Self::BooksDiffer { payment, .. } | Self::RefundedTwice { payment, .. } => vec![payment],
            Self::AssignedTwice { delivery, .. }
            | Self::TakenAndNotStored { delivery, .. }
            | Self::HandedOverUnasked { delivery, .. } => vec![delivery],
            Self::TwoDeliveries { order, .. } => vec![order],
            Self::CapacityWrong { driver, .. } => vec![driver],
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
