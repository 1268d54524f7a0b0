//! What upkeep works on: sealed columns, rows that run out, and how far it came.

use serde::{Deserialize, Serialize};

use crate::domain::cursor::Cursor;

/// A column of sealed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedColumn {
    /// Customers' phone numbers.
    OrderPhone,
    /// Where orders are taken to.
    OrderAddress,
    /// Answers kept under idempotency keys.
    KeptAnswer,
}

impl SealedColumn {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::OrderPhone, Self::OrderAddress, Self::KeptAnswer];

    /// Its table and its name.
    pub const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::OrderPhone => ("orders", "phone"),
            Self::OrderAddress => ("orders", "address"),
            Self::KeptAnswer => ("idempotency_keys", "body"),
        }
    }

    /// Both, as `orders.phone`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderPhone => "orders.phone",
            Self::OrderAddress => "orders.address",
            Self::KeptAnswer => "idempotency_keys.body",
        }
    }
}

/// The primary key of a row that holds a sealed value: one text, or two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// Its first column.
    pub first: String,
    /// Its second; empty where there is none.
    pub second: String,
}

/// How far a command came that goes through many rows in steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advanced {
    /// Rows changed.
    pub changed: u64,
    /// The last row looked at, for the next command; `None` at the end.
    pub last: Option<String>,
}

/// What became of a room that was to change its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochChange {
    /// It counts in the new epoch, from here on.
    Made(Cursor),
    /// Somebody was first: it ends here, in another epoch than the one seen.
    NotNeeded(Cursor),
}

/// What runs out and is deleted some time after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purgeable {
    /// Used tickets, by when they ran out.
    Tickets,
    /// Sign-ins, by when they ran out or were ended.
    Sessions,
    /// Idempotency keys and their answers, by when they were first used.
    IdempotencyKeys,
    /// The record that makes a command happen once, by when the command was made.
    Commands,
    /// Events of rooms, by when they happened. Where a room's history ends is kept, so that its numbers go on and who
    /// comes back from before gets `resync`.
    RoomEvents,
    /// Notifications with their read marks, by when they were made.
    Notifications,
    /// Invitations, by when they ran out.
    Invitations,
}
