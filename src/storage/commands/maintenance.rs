//! Maintenance: rows that run out, and how far a command came.

use serde::{Deserialize, Serialize};

use crate::domain::cursor::{Cursor, Epoch};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

use super::RowKey;

/// Deletes rows that are older than a moment.
#[derive(Clone, Copy, Debug)]
pub struct Purge {
    /// The kind of rows.
    pub what: Expirable,
    /// Rows of this moment or later stay.
    pub before: Timestamp,
    /// The most rows to delete.
    pub limit: u32,
}

/// Goes through rows in the order of their keys and deletes those older than a moment.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The kind of rows.
    pub what: Sweepable,
    /// Rows of this moment or later stay.
    pub before: Timestamp,
    /// Go on behind this row: the `last` of the command before.
    pub after: Option<RowKey>,
    /// The most rows to look at.
    pub limit: u32,
}

/// Puts orders into the text index that are not in it yet.
#[derive(Clone, Copy, Debug)]
pub struct IndexOrders {
    /// The most orders to index; all of them are locked together, so a few hundred at most.
    pub limit: u32,
}

/// Puts the hub and rooms into another epoch.
#[derive(Clone, Debug)]
pub struct RotateEpoch {
    /// The new one, drawn at random.
    pub epoch: Epoch,
    /// Go on below this room: the `last` of the command before.
    pub below: Option<String>,
    /// The most rooms to look at.
    pub limit: u32,
}

/// Says whether the database is a restored copy that is held: while it is, nothing is done by itself about the orders that it has now.
#[derive(Clone, Copy, Debug)]
pub struct SetCopyHeld {
    /// Whether it is held from now on.
    pub held: bool,
}

/// Makes live orders due that have no saga, because an older version placed them beside this one.
#[derive(Clone, Copy, Debug)]
pub struct TakeInOrders {
    /// The most orders.
    pub limit: u32,
}

/// Puts one room into another epoch, if it is still in the one seen.
#[derive(Clone, Copy, Debug)]
pub struct RotateRoom {
    /// The room.
    pub room: RoomId,
    /// The epoch it was last seen in.
    pub seen: Epoch,
    /// The new one, drawn at random.
    pub epoch: Epoch,
}

/// Tells the query planner how the data is spread, where the database does not find out by itself.
#[derive(Clone, Copy, Debug)]
pub struct Analyze;

/// The progress of a command that goes through many rows in steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceProgress {
    /// The number of rows changed.
    pub changed: u64,
    /// The last row looked at, for the next command; `None` at the end.
    pub last: Option<String>,
}

/// The outcome for a room that was to change its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredEpochChange", into = "StoredEpochChange")]
pub enum EpochChange {
    /// It counts in the new epoch, from here on.
    Made(Cursor),
    /// Somebody was first: it ends here, in another epoch than the one seen.
    NotNeeded(Cursor),
}

#[derive(Serialize, Deserialize)]
struct StoredEpochChange {
    made: bool,
    head: Cursor,
}

impl From<StoredEpochChange> for EpochChange {
    fn from(StoredEpochChange { made, head }: StoredEpochChange) -> Self {
        if made { Self::Made(head) } else { Self::NotNeeded(head) }
    }
}

impl From<EpochChange> for StoredEpochChange {
    fn from(change: EpochChange) -> Self {
        match change {
            EpochChange::Made(head) => Self { made: true, head },
            EpochChange::NotNeeded(head) => Self { made: false, head },
        }
    }
}

/// Rows that run out and are deleted some time after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expirable {
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
    /// Events of the control room, by when they happened. A node that has not read them by then drops all that it keeps in memory.
    ControlEvents,
    /// Notifications with their read marks, by when they were made.
    Notifications,
    /// Invitations, by when they ran out.
    Invitations,
    /// Marks of events, by when they were made.
    DeviceMarks,
    /// First acknowledgements of orders by devices, by their time.
    OrderAcks,
    /// Sagas of orders to which nothing is to happen any more, by when the order was placed; the rings of its timeline go with them.
    OrderSagas,
    /// Uses of channels to the outside, by when they were wanted.
    Intents,
    /// Messages of the payment provider that were worked on, by when they came.
    PaymentMessages,
    /// Dead letters that came to an end, by when they were made.
    DeadLetters,
    /// Offers of deliveries, by when they were made.
    Offers,
    /// Steps of deliveries as they were reported, by when that was.
    DeliverySteps,
    /// Leases of reachable businesses, by when they ran out.
    ReachLeases,
    /// Nodes that have gone, by when they were last expected.
    Nodes,
    /// Holds of operators, by when they ended.
    Holds,
    /// The audit, by when something was changed.
    Audit,
    /// Devices by when they were seen, and those that had to go because somebody had too many, with all there is of them.
    Devices,
}

/// Rows that run out and are deleted some time after, of which no index tells the age: they are written at every acknowledgement and
/// would have to move in it each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweepable {
    /// Positions of devices in rooms, by the time of the last acknowledgement.
    DeviceAcks,
    /// The numbers of a business's day, by that day.
    OrderCounters,
}

/// Retention of the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Until a job purges them.
    Purged(Expirable),
    /// Until a job sweeps them out.
    Swept(Sweepable),
    /// As long as the rows of this table that they belong to.
    With(&'static str),
    /// For good, and why.
    Stays(&'static str),
}

/// Every table there is, on whichever database, with how long its rows stay.
pub const RETENTION: &[(&str, Retention)] = &[
    ("_sqlx_migrations", Retention::Stays("a row for each change of the schema")),
    ("audit", Retention::Purged(Expirable::Audit)),
    ("businesses", Retention::Stays("orders are theirs")),
    ("commands", Retention::Purged(Expirable::Commands)),
    ("dead_letters", Retention::Purged(Expirable::DeadLetters)),
    ("deliveries", Retention::With("orders")),
    ("delivery_steps", Retention::Purged(Expirable::DeliverySteps)),
    ("device_acks", Retention::Swept(Sweepable::DeviceAcks)),
    ("device_marks", Retention::Purged(Expirable::DeviceMarks)),
    ("devices", Retention::Purged(Expirable::Devices)),
    ("driver_zones", Retention::With("drivers")),
    ("drivers", Retention::Stays("a row for each account of a driver")),
    ("holds", Retention::Purged(Expirable::Holds)),
    ("hub", Retention::Stays("one row")),
    ("idempotency_keys", Retention::Purged(Expirable::IdempotencyKeys)),
    ("intents", Retention::Purged(Expirable::Intents)),
    ("invitations", Retention::Purged(Expirable::Invitations)),
    ("job_leases", Retention::Stays("a row for each kind of job")),
    ("members", Retention::Stays("who may do what, until they leave; a bound for each business")),
    ("menu_items", Retention::Stays("what can be ordered, until it is taken off; a bound for each business")),
    ("nodes", Retention::Purged(Expirable::Nodes)),
    ("notification_reads", Retention::With("notifications")),
    ("notifications", Retention::Purged(Expirable::Notifications)),
    ("offers", Retention::Purged(Expirable::Offers)),
    ("order_acks", Retention::Purged(Expirable::OrderAcks)),
    ("order_counters", Retention::Swept(Sweepable::OrderCounters)),
    ("order_edits", Retention::Stays("who changed what of an order, and when")),
    ("order_events", Retention::Stays("who did what to an order, and when")),
    ("order_items", Retention::Stays("what was ordered, for which price")),
    ("order_sagas", Retention::Purged(Expirable::OrderSagas)),
    ("order_search", Retention::With("orders")),
    ("orders", Retention::Stays("the books of the businesses")),
    ("payment_messages", Retention::Purged(Expirable::PaymentMessages)),
    ("payments", Retention::With("orders")),
    ("reach_leases", Retention::Purged(Expirable::ReachLeases)),
    ("refunds", Retention::With("orders")),
    ("room_events", Retention::Purged(Expirable::RoomEvents)),
    ("room_seq", Retention::Stays("a number is never given twice, and the room of an order may speak again")),
    ("sessions", Retention::Purged(Expirable::Sessions)),
    ("tickets", Retention::Purged(Expirable::Tickets)),
    ("users", Retention::Stays("orders are theirs")),
];
